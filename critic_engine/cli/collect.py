"""``critic-engine collect``: searches with reference answers, and training data from their trees."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from critic_engine.cli.command import EngineCommand
from critic_engine.cli.engine_options import EngineRequest, engine_options, file_options, limit_options, limited
from critic_engine.cli.placement_options import placement_options
from critic_engine.cli.problem_options import open_problems, schema_options

if TYPE_CHECKING:
    from critic_engine.config.engine import EngineConfig

_EPILOG = """\b
Examples:
  critic-engine collect problems.jsonl --run runs/labelled
  critic-engine collect problems.jsonl --estimate
  critic-engine collect problems.jsonl --run runs/few --limit 10 --seed 7 --max-tokens 1000000
  critic-engine collect problems.jsonl --run runs/guarded --evaluation-set test.jsonl
  critic-engine collect problems.jsonl --run runs/wide --set evaluator.num_rollouts=48
  critic-engine collect problems.jsonl --run runs/qwen --reasoner Qwen/Qwen2.5-VL-7B-Instruct --device cuda
  critic-engine resume runs/labelled
  critic-engine inspect runs/labelled
  critic-engine export runs/labelled --format trl-dpo --out data/critiques
"""


_SAMPLE_SIZE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class _CollectRequest(EngineRequest):
    """The command line of one call."""

    problems: Path
    run: Path | None
    limit: int | None
    image_root: Path | None
    schema: str | None
    maps: tuple[str, ...]
    evaluation_sets: tuple[Path, ...]
    max_tokens: int | None
    max_seconds: float | None
    is_estimate: bool
    sample: int | None
    is_json: bool


@click.command("collect", cls=EngineCommand, epilog=_EPILOG, short_help="Collect training data from labelled trees.")
@click.argument("problems", type=click.Path(path_type=Path))
@click.option("--run", type=click.Path(path_type=Path), metavar="DIR", help="Keep the run in this new folder.")
@engine_options("mmc_collect")
@placement_options
@file_options
@schema_options
@click.option(
    "--evaluation-set",
    "evaluation_sets",
    type=click.Path(path_type=Path),
    metavar="FILE",
    multiple=True,
    help="Refuse the problems of this problems file and near duplicates of them; may be repeated.",
)
@limit_options
@click.option(
    "--estimate", "is_estimate", is_flag=True, help="Run a small sample, forecast the cost of all rows, and stop."
)
@click.option(
    "--sample",
    type=click.IntRange(min=2),
    metavar="N",
    help=f"Problems that --estimate searches; {_SAMPLE_SIZE} without this.",
)
@click.option("--json", "is_json", is_flag=True, help="Print the summary as JSON on stdout.")
def command(**options: Any) -> int:
    """Search each problem of a file with its reference answer, and collect training data.

    The file is one that `solve` reads, with a column `answer`; a row without an answer fails. In each tree, right and
    wrong paths are paired where they part, annotators write critiques of the error there, and the lift of each critique
    is measured: how much it helps the reasoner. All findings are kept in the run, which can be stopped at any moment
    and resumed. `inspect` shows them, and `export` writes them for trainers.
    """
    return _collect(_CollectRequest(**options))


def _collect(request: _CollectRequest) -> int:
    from critic_engine.cli.estimate import estimate, print_estimate
    from critic_engine.cli.follow_run import keep_run
    from critic_engine.cli.progress import load_models
    from critic_engine.engine import Engine
    from critic_engine.errors import ProblemError
    from critic_engine.roles.checker import Checker
    from critic_engine.run.database import check_free

    if (request.run is None) != request.is_estimate:
        raise click.UsageError("Name a folder by --run, or ask for an --estimate, which keeps nothing.")
    if request.sample is not None and not request.is_estimate:
        raise click.UsageError("--sample is about an --estimate; leave it out, or see --limit.")
    problems, config = open_problems(
        request.problems,
        _load_config(request),
        image_root=request.image_root,
        schema=request.schema,
        maps=request.maps,
    )
    if not problems.has_reference_answers(request.limit):
        raise ProblemError(
            f"{request.problems} has no reference answer in the rows to search; write them in a column 'answer', "
            "name their column by --map answer=COLUMN, or use `critic-engine solve`"
        )
    if request.run is None:
        found = estimate(config, problems, limit=request.limit, size=request.sample or _SAMPLE_SIZE)
        return print_estimate(found, is_json=request.is_json)
    _check_same(request.run, config)
    check_free(request.run)
    with Engine(config, checker=Checker()) as engine:
        load_models(engine)
        return keep_run(engine, itertools.islice(problems, request.limit), request.run, is_json=request.is_json)


def _check_same(run: Path, config: EngineConfig) -> None:
    """Refuse a folder that holds a run of another configuration, by the first field that differs."""
    from critic_engine.config.compare import first_difference, without_hosting_and_limits
    from critic_engine.errors import RunError
    from critic_engine.run.database import holds_run
    from critic_engine.run.store import RunStore

    if not holds_run(run):
        return
    with RunStore.view(run) as store:
        field = first_difference(without_hosting_and_limits(store.config()), without_hosting_and_limits(config))
    if field is not None:
        raise RunError(
            f"{run} holds a run of another configuration: {field}; continue that one with `critic-engine resume "
            f"{run}`, or name a new folder"
        )


def _load_config(request: _CollectRequest) -> EngineConfig:
    """Return the config with the options for the whole run applied."""
    from critic_engine.config.collect import CollectConfig
    from critic_engine.data.tables import is_on_hub, is_there
    from critic_engine.errors import ProblemError

    config = request.load_config()
    collect = config.collect or CollectConfig()
    paths = [*map(Path, collect.filters.evaluation_sets), *request.evaluation_sets]
    for path in paths:
        if not is_there(path):
            raise ProblemError(f"the evaluation set {path} does not exist; give the path of a problems file")
    sets = tuple(str(path) if is_on_hub(path) else str(path.absolute()) for path in paths)
    collect = collect.model_copy(update={"filters": collect.filters.model_copy(update={"evaluation_sets": sets})})
    config = config.model_copy(update={"collect": collect})
    return limited(config, max_tokens=request.max_tokens, max_seconds=request.max_seconds)
