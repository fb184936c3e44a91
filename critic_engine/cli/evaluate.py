"""``critic-engine evaluate``: methods compared on a file of problems, at equal cost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click

from critic_engine.cli.command import EngineCommand
from critic_engine.cli.engine_options import EngineRequest, file_options, model_options
from critic_engine.cli.placement_options import placement_options
from critic_engine.cli.problem_options import schema_options

_EPILOG = """\b
Examples:
  critic-engine evaluate problems.jsonl --out runs/compared
  critic-engine evaluate problems.jsonl --method greedy --method majority --method mcts --method mine.yaml \\
      --budget 300 --budget 1000 --seeds 3 --out runs/compared
  critic-engine evaluate problems.jsonl --method majority --method mcts --budget 4000 --match compute --out runs/flops
  critic-engine evaluate problems.jsonl --method majority --method mcts --budget 400 --gate "mcts >= majority" \\
      --out runs/gate
  critic-engine evaluate test.parquet --schema mathvista --limit 200 --budget 8000 --out runs/mathvista \\
      --reasoner openai:qwen --critic openai:qwen --base-url http://localhost:8000/v1
  critic-engine evaluate --resume runs/compared
  critic-engine evaluate problems.jsonl --score runs/a
  critic-engine evaluate problems.jsonl --compare runs/a runs/b
"""
_RUN = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateRequest(EngineRequest):
    """The parsed command line."""

    config: tuple[str, ...] = ()
    problems: Path | None
    methods: tuple[str, ...]
    budgets: tuple[float, ...]
    seeds: int | None
    match: Literal["tokens", "compute", "seconds"] | None
    prompt_weight: float | None
    grader: str | None
    gates: tuple[str, ...]
    margin: float | None
    out: Path | None
    resume: Path | None
    score: Path | None
    compare: tuple[Path, Path] | None
    is_common: bool
    limit: int | None
    image_root: Path | None
    schema: str | None
    maps: tuple[str, ...]
    is_json: bool

    def check(self) -> None:
        """Refuse contradictory options."""
        modes = {"--resume": self.resume, "--score": self.score, "--compare": self.compare}
        given = [name for name, value in modes.items() if value]
        if len(given) > 1:
            raise click.UsageError(f"{given[0]} and {given[1]} are two commands; give one of them.")
        mode = given[0] if given else "an evaluation"
        for name, value in self._unused(mode).items():
            if value not in (None, (), False):
                raise click.UsageError(f"{name} does not go with {mode}; leave it out.")
        if not given and self.problems is None:
            raise click.UsageError("Name a problems file, or see --resume.")
        if not given and self.out is None:
            raise click.UsageError("Name a folder for the evaluation by --out.")

    def _unused(self, mode: str) -> dict[str, object]:
        """Return the options that have no meaning beside ``mode``."""
        if mode == "an evaluation":
            return {"--common": self.is_common}
        searches: dict[str, object] = {
            "--method": self.methods,
            "--budget": self.budgets,
            "--seeds": self.seeds,
            "--match": self.match,
            "--set": self.settings,
            "--reasoner": self.reasoner,
            "--critic": self.critic,
            "--reward-model": self.reward_model,
            "--seed": self.seed,
        }
        files: dict[str, object] = {"--limit": self.limit, "--image-root": self.image_root, "--schema": self.schema}
        if mode == "--resume":
            planned = {"PROBLEMS": self.problems, "--out": self.out, "--common": self.is_common, "--map": self.maps}
            others = {"--grader": self.grader, "--margin": self.margin, "--prompt-weight": self.prompt_weight}
            return {**searches, **files, **planned, **others, "--gate": self.gates}
        placed = ("device", "dtype", "backend", "ray", "search_workers", "base_url")
        placement = {f"--{name.replace('_', '-')}": getattr(self, name) for name in placed}
        common = {"--common": self.is_common} if mode == "--score" else {}
        return {**searches, **placement, **common}


@click.command("evaluate", cls=EngineCommand, epilog=_EPILOG, short_help="Compare methods at equal cost.")
@click.argument("problems", required=False, type=click.Path(path_type=Path))
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="PRESET|PATH",
    help="A method: a preset or a YAML file; repeat it. Without it: greedy, majority, best_of_n and mcts.",
)
@click.option(
    "--budget",
    "budgets",
    multiple=True,
    type=click.FloatRange(min=0, min_open=True),
    metavar="X",
    help="Limit on one search, in the unit of --match; repeat it. Without it each method has its own.",
)
@click.option("--seeds", type=click.IntRange(min=1), metavar="N", help="Runs of each method; 1 without this.")
@click.option(
    "--match",
    type=click.Choice(["tokens", "compute", "seconds"]),
    help="Unit of --budget: generated tokens (the default), those and weighted uncached prompt tokens, or seconds.",
)
@click.option(
    "--prompt-weight",
    type=click.FloatRange(min=0, max=1000),
    metavar="W",
    help="Weight of an uncached prompt token in compute, beside 1 for a generated one; 1 without this.",
)
@click.option(
    "--grader",
    metavar="NAME",
    help="The rule that decides what is right, such as mathvista, math, choice or exact; by default that of the "
    "benchmark, else the answer relation.",
)
@click.option(
    "--gate",
    "gates",
    multiple=True,
    metavar="CLAIM",
    help='A claim such as "mcts >= majority", which decides the exit code: 0 true, 1 false, 3 inconclusive.',
)
@click.option(
    "--margin",
    type=click.FloatRange(min=0, max=1, max_open=True),
    metavar="X",
    help="A difference of accuracy that does not matter; 0.02 without this.",
)
@click.option("--out", type=_RUN, metavar="DIR", help="Keep the evaluation, its runs and its report in this folder.")
@click.option("--resume", type=_RUN, metavar="DIR", help="Go on with the evaluation in this folder.")
@click.option("--score", type=_RUN, metavar="RUN", help="Grade a run that exists, and search nothing.")
@click.option("--compare", type=(_RUN, _RUN), metavar="RUN RUN", help="Compare two runs that exist.")
@click.option("--common", "is_common", is_flag=True, help="With --compare: compare the problems that both runs have.")
@model_options
@placement_options
@file_options
@schema_options
@click.option("--json", "is_json", is_flag=True, help="Print the report as JSON on stdout.")
def command(**options: Any) -> int:
    """Search the problems of a file by several methods, grade the answers, and compare accuracy and cost.

    PROBLEMS is a file that `solve` reads, with reference answers, which no search sees. Every method runs at every
    budget with every seed, over the same problems and models. A method that ends on its own, such as greedy, runs
    without a budget. The same command goes on after any stop, and runs only what is missing when a method, a budget or
    a seed is added.
    """
    from critic_engine.cli.evaluation_run import compare_runs, evaluate, resume_evaluation, score_run

    request = EvaluateRequest(**options)
    request.check()
    if request.resume is not None:
        return resume_evaluation(request, request.resume)
    if request.score is not None:
        return score_run(request, request.score)
    if request.compare is not None:
        return compare_runs(request, request.compare)
    return evaluate(request)
