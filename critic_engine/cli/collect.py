"""``critic-engine collect``: a search that asks the reference answers, to label what it finds."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from critic_engine.cli.command import EngineCommand
from critic_engine.cli.options import EngineRequest, engine_options, file_options
from critic_engine.cli.placement import placement_options

_EPILOG = """\b
Examples:
  critic-engine collect problems.jsonl --run runs/labelled
  critic-engine collect problems.jsonl --run runs/few --limit 10 --seed 7
  critic-engine collect problems.jsonl --run runs/wide --set evaluator.num_rollouts=16
  critic-engine collect problems.jsonl --run runs/qwen --reasoner Qwen/Qwen2.5-VL-7B-Instruct --device cuda
  critic-engine resume runs/labelled
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request(EngineRequest):
    """The command line of one call."""

    problems: Path
    run: Path
    limit: int | None
    image_root: Path | None
    is_json: bool


@click.command("collect", cls=EngineCommand, epilog=_EPILOG, short_help="Search problems whose answers are known.")
@click.argument("problems", type=click.Path(path_type=Path))
@click.option(
    "--run", type=click.Path(path_type=Path), metavar="DIR", required=True, help="Keep the run in this new folder."
)
@engine_options("mmc_collect")
@placement_options
@file_options
@click.option("--json", "is_json", is_flag=True, help="Print the summary as JSON on stdout.")
def command(**options: Any) -> int:
    """Search each problem of a .jsonl, .csv or .parquet file with its reference answer at hand.

    The rows have a column `answer` beside those that `solve` reads; one without fails. The evaluator may ask whether an
    answer is right. The run keeps every tree with all its rollouts, and the answers and other columns of the rows; its
    report.json says for how many problems right paths, wrong paths and both were found.
    """
    return _collect(_Request(**options))


def _collect(request: _Request) -> int:
    from critic_engine.checker import Checker
    from critic_engine.cli.progress import load_models
    from critic_engine.cli.running import keep_run
    from critic_engine.collect_options import CollectConfig
    from critic_engine.data.problems import read_problems
    from critic_engine.engine import Engine
    from critic_engine.errors import ProblemError
    from critic_engine.run_folder import check_free

    config = request.load_config()
    if config.collect is None:
        config = config.model_copy(update={"collect": CollectConfig()})
    problems = read_problems(request.problems, limits=config.run, image_root=request.image_root)
    if not problems.has_reference_answers(request.limit):
        raise ProblemError(
            f"{request.problems} has no reference answer in the rows to search; write them in a column 'answer', or "
            "use `critic-engine solve`"
        )
    check_free(request.run)
    with Engine(config, checker=Checker()) as engine:
        load_models(engine)
        return keep_run(engine, itertools.islice(problems, request.limit), request.run, is_json=request.is_json)
