"""``critic-engine resume``: go on with a run that was stopped."""

import contextlib
from pathlib import Path
from typing import Any

import click

from critic_engine.cli.command import EngineCommand
from critic_engine.cli.placement import Placement, placement_options

_EPILOG = """\b
Examples:
  critic-engine resume runs/a
  critic-engine resume runs/labelled --device cuda:1
  critic-engine resume runs/a --ray auto --search-workers 8
"""


@click.command("resume", cls=EngineCommand, epilog=_EPILOG, short_help="Go on with a run that was stopped.")
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@placement_options
@click.option("--json", "is_json", is_flag=True, help="Print the summary as JSON on stdout.")
def command(run: Path, is_json: bool, **placement: Any) -> int:
    """Go on with the run in the folder RUN, inside the trees where it stopped, by the config it was started with.

    Trees of which an unexpected error let nothing be made are tried again each time; --debug shows where the error
    arose. A problem whose search failed keeps that outcome.
    """
    from critic_engine.cli.progress import show_progress
    from critic_engine.cli.running import follow_run, report_run
    from critic_engine.config import load_config
    from critic_engine.engine import Engine
    from critic_engine.errors import RunError
    from critic_engine.store import RunStore

    path = run / "config.yaml"
    if not path.is_file():
        raise RunError(f"{run} holds no run; start one with 'critic-engine solve PROBLEMS --run {run}'")
    with contextlib.closing(RunStore.open(run)) as store:
        checker = store.checker
    config = Placement(**placement).apply(load_config(path))
    with Engine(config, checker=checker) as engine, show_progress() as progress:
        tally = follow_run(engine.resume(run, on_progress=progress), run)
    return report_run(tally, run, is_json=is_json)
