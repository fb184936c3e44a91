"""``critic-engine resume``: continue a run that was stopped."""

from pathlib import Path
from typing import Any

import click

from critic_engine.cli.command import EngineCommand
from critic_engine.cli.engine_options import limit_options, limited
from critic_engine.cli.placement_options import Placement, placement_options

_EPILOG = """\b
Examples:
  critic-engine resume runs/a
  critic-engine resume runs/labelled --device cuda:1
  critic-engine resume runs/labelled --max-tokens 2000000
  critic-engine resume runs/a --ray auto --search-workers 8
"""


@click.command("resume", cls=EngineCommand, epilog=_EPILOG, short_help="Continue a run that was stopped.")
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@placement_options
@limit_options
@click.option("--json", "is_json", is_flag=True, help="Print the summary as JSON on stdout.")
def command(run: Path, max_tokens: int | None, max_seconds: float | None, is_json: bool, **placement: Any) -> int:
    """Continue the run in the folder RUN, inside its unfinished trees, with the config it was started with.

    If run.max_tokens stopped it, raise that in the run's config.yaml, or for this session with --max-tokens. Harvests
    that failed with an unexpected error are tried again on each resume; --debug shows the traceback. A problem whose
    search failed stays failed.
    """
    from critic_engine.cli.follow_run import resume_run
    from critic_engine.config.engine import load_config
    from critic_engine.engine import Engine
    from critic_engine.run.store import RunStore

    with RunStore.open(run) as store:
        checker, begun_with = store.checker, store.config()
    # Users change a run's limits in this file.
    path = run / "config.yaml"
    config = load_config(path) if path.is_file() else begun_with
    config = limited(config, max_tokens=max_tokens, max_seconds=max_seconds)
    config = Placement(**placement).apply(config)
    with Engine(config, checker=checker) as engine:
        return resume_run(engine, run, is_json=is_json)
