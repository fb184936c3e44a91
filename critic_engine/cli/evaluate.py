"""``critic-engine evaluate``: methods compared on a file of problems, at equal cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from critic_engine.cli.command import EngineCommand
from critic_engine.cli.engine_options import file_options, model_options
from critic_engine.cli.evaluation_request import EvaluateRequest
from critic_engine.cli.placement_options import placement_options
from critic_engine.cli.problem_options import schema_options

_EPILOG = """\b
Examples:
  critic-engine evaluate problems.jsonl --out runs/compared
  critic-engine evaluate problems.jsonl --method greedy --method majority --method guided --method mine.yaml \\
      --budget 300 --budget 1000 --seeds 3 --out runs/compared
  critic-engine evaluate problems.jsonl --method majority --method guided --budget 4000 --match compute --out runs/flops
  critic-engine evaluate problems.jsonl --method majority --method guided --budget 400 --gate "guided >= majority" \\
      --out runs/gate
  critic-engine evaluate test.parquet --schema mathvista --limit 200 --budget 8000 --out runs/mathvista \\
      --reasoner openai:qwen --critic openai:qwen --base-url http://localhost:8000/v1
  critic-engine evaluate --resume runs/compared
  critic-engine evaluate problems.jsonl --score runs/a
  critic-engine evaluate problems.jsonl --compare runs/a runs/b
"""
_RUN = click.Path(path_type=Path)


@click.command("evaluate", cls=EngineCommand, epilog=_EPILOG, short_help="Compare methods at equal cost.")
@click.argument("problems", required=False, type=click.Path(path_type=Path))
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="PRESET|PATH",
    help="A method: a preset or a YAML file; repeat it. Without it: greedy, majority, best_of_n and guided.",
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
    help="The rule that decides what is right: relation (the default), exact, choice, math, a benchmark's such as "
    "mathvista, or 'benchmark' for that of the problems.",
)
@click.option(
    "--judge",
    metavar="MODEL",
    help="A model that gives its opinion on each answer, beside the grades and apart from them; such as openai:NAME.",
)
@click.option(
    "--gate",
    "gates",
    multiple=True,
    metavar="CLAIM",
    help='A claim such as "guided >= majority", which decides the exit code: 0 true, 1 false, 3 inconclusive.',
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
    a seed is added. A search that failed stays failed until the folder of its run is deleted.
    """
    from critic_engine.cli.evaluation_run import evaluate, resume_evaluation
    from critic_engine.cli.evaluation_score import compare_runs, score_run

    request = EvaluateRequest(**options)
    request.check()
    if request.resume is not None:
        return resume_evaluation(request, request.resume)
    if request.score is not None:
        return score_run(request, request.score)
    if request.compare is not None:
        return compare_runs(request, request.compare)
    return evaluate(request)
