"""``critic-engine solve``: one question, or a file of problems."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from critic_engine.cli.command import EngineCommand, Interrupted
from critic_engine.cli.engine_options import EngineRequest, engine_options, file_options
from critic_engine.cli.placement_options import placement_options
from critic_engine.cli.problem_options import open_problems, schema_options

if TYPE_CHECKING:
    from critic_engine.config.search import RunConfig
    from critic_engine.engine import Engine
    from critic_engine.types import FailedRow, Problem, ProblemRow

_EPILOG = """\b
Examples:
  critic-engine solve problems.jsonl --config guided --run runs/a
  critic-engine solve problems.jsonl --limit 10 --out answers.jsonl
  critic-engine solve problems.jsonl --plan
  critic-engine solve test.parquet --schema mathvista --limit 10
  critic-engine solve problems.jsonl --map question=problem --map answer=solution --run runs/mapped
  critic-engine solve hf:openai/gsm8k/main:test --limit 10
  critic-engine solve --question "how many red shapes ?" --image boards/test-7-0000.png
  critic-engine solve --question "Which is larger?" --choice 9.8 --choice 9.11 --json
  critic-engine solve problems.jsonl --run runs/b --set budget.max_tokens=800 --seed 7
  critic-engine solve problems.jsonl --run runs/c --reasoner Qwen/Qwen2.5-VL-7B-Instruct \\
      --critic Qwen/Qwen2.5-VL-7B-Instruct --device cuda
  critic-engine solve problems.jsonl --config guided --config one_gpu --run runs/d
  critic-engine solve problems.jsonl --backend vllm --ray local --run runs/e
  critic-engine solve problems.jsonl --reasoner openai:qwen --critic openai:qwen \\
      --base-url http://localhost:8000/v1 --run runs/f
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _SolveRequest(EngineRequest):
    """The parsed command line."""

    problems: Path | None
    question: str | None
    images: tuple[str, ...]
    choices: tuple[str, ...]
    run: Path | None
    limit: int | None
    image_root: Path | None
    schema: str | None
    maps: tuple[str, ...]
    out: Path | None
    is_json: bool
    is_streamed: bool | None
    is_plan: bool

    def check(self) -> None:
        """Refuse contradictory options."""
        if (self.problems is None) == (self.question is None):
            raise click.UsageError("give either a problems file or --question.")
        if not all(choice.strip() for choice in self.choices):
            raise click.UsageError("--choice is empty; give its text, or leave it out.")
        only_for_file: dict[str, object] = {"--run": self.run, "--limit": self.limit, "--image-root": self.image_root}
        only_for_file |= {"--schema": self.schema, "--map": self.maps, "--out": self.out}
        only_for_question: dict[str, object] = {"--image": self.images, "--choice": self.choices}
        is_file = self.problems is not None
        for name, value in (only_for_question if is_file else only_for_file).items():
            if value:
                raise click.UsageError(f"{name} goes with {'--question' if is_file else 'a problems file'} only.")
        if self.run is not None and self.out is not None:
            raise click.UsageError(f"--out excludes --run; a run writes its rows to {self.run}/answers.jsonl.")
        if self.search_workers and not is_file:
            raise click.UsageError("--search-workers share the problems of a file; leave it out for one question.")
        if is_file and self.is_streamed and self.limit != 1:
            raise click.UsageError("--stream shows one tree; with a problems file it needs --limit 1.")
        if is_file and self.is_streamed and (self.run or self.out):
            raise click.UsageError("--stream prints the answer; it cannot be used with --run or --out.")
        kept = {"--run": self.run, "--out": self.out, "--stream": self.is_streamed}
        if self.is_plan and (given := [name for name, value in kept.items() if value]):
            raise click.UsageError(f"--plan solves nothing; leave {given[0]} out.")
        if self.out is not None and self.out.exists():
            raise click.UsageError(f"--out {self.out} exists; name a new file.")
        if self.out is not None and not self.out.parent.is_dir():
            raise click.UsageError(f"--out {self.out}: there is no folder {self.out.parent}; make it first.")


@click.command("solve", cls=EngineCommand, epilog=_EPILOG, short_help="Answer one question or a file of problems.")
@click.argument("problems", required=False, type=click.Path(path_type=Path))
@click.option("--question", metavar="TEXT", help="One question, instead of a file.")
@click.option("--image", "images", multiple=True, metavar="PATH", help="An image file or data URL; may be repeated.")
@click.option(
    "--choice",
    "choices",
    multiple=True,
    metavar="TEXT",
    help="One choice of the question; may be repeated.",
)
@engine_options("guided")
@placement_options
@click.option(
    "--run",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Keep the run in a new folder, to resume it.",
)
@file_options
@schema_options
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write the rows to FILE, not to stdout.")
@click.option(
    "--json",
    "is_json",
    is_flag=True,
    help="Print JSON: the answer to one question, or the summary of a --run. The answers to a file are always JSON.",
)
@click.option(
    "--stream/--no-stream",
    "is_streamed",
    default=None,
    help="Show the tree as it grows; on by default in a terminal.",
)
@click.option(
    "--plan",
    "is_plan",
    is_flag=True,
    help="Solve nothing: draw a few solutions, steps and critiques of the first two problems, or of --limit N, and say "
    "what the budget buys.",
)
def command(**options: Any) -> int:
    """Answer one question, or each problem of a file.

    PROBLEMS is a .jsonl, .json, .csv, .tsv or .parquet file, a folder of such files, or hf:NAME[/CONFIG][:SPLIT]. Its
    columns are those of a known benchmark, or `question` and, optionally, `images`, `choices` and `id`; `doctor
    --problems PROBLEMS` shows what would be read. Answers go to stdout, one line of JSON per problem, or with --run
    into a folder.
    """
    request = _SolveRequest(**options)
    request.check()
    if request.problems is None:
        return _solve_question(request)
    return _solve_file(request, request.problems)


def _solve_question(request: _SolveRequest) -> int:
    from critic_engine.cli.progress import load_models
    from critic_engine.engine import Engine

    config = request.load_config()
    problem = _problem(request, config.run)
    is_streamed = sys.stderr.isatty() if request.is_streamed is None else request.is_streamed
    with Engine(config) as engine:
        load_models(engine)
        if request.is_plan:
            return _plan(engine, [problem], is_json=request.is_json)
        return _solve_problem(engine, problem, is_streamed=is_streamed, is_json=request.is_json)


def _solve_problem(engine: Engine, problem: Problem, *, is_streamed: bool, is_json: bool) -> int:
    from critic_engine.cli.answer_view import print_answer
    from critic_engine.cli.tree_view import watch_tree

    with watch_tree(problem.question) if is_streamed else nullcontext() as watcher:
        answer = engine.solve(problem, on_event=watcher)
    return print_answer(answer, is_json=is_json)


def _plan_file(engine: Engine, rows: Iterable[ProblemRow | FailedRow], request: _SolveRequest) -> int:
    from critic_engine.cli.plan_view import NUM_PROBLEMS
    from critic_engine.errors import ProblemError
    from critic_engine.types import ProblemRow

    readable = (row.problem for row in rows if isinstance(row, ProblemRow))
    problems = list(itertools.islice(readable, request.limit or NUM_PROBLEMS))
    if not problems:
        raise ProblemError(f"{request.problems} has no row that can be read, so there is nothing to plan with")
    return _plan(engine, problems, is_json=request.is_json)


def _plan(engine: Engine, problems: Sequence[Problem], *, is_json: bool) -> int:
    from critic_engine.cli.command import interrupted_with
    from critic_engine.cli.plan_view import print_plan

    with interrupted_with("interrupted; a plan keeps nothing"):
        plan = engine.plan(problems)
    return print_plan(plan, is_json=is_json)


def _problem(request: _SolveRequest, limits: RunConfig) -> Problem:
    from critic_engine.images.loading import load_image
    from critic_engine.run.problem_size import check_num_images
    from critic_engine.types import Problem

    check_num_images(len(request.images), limits.max_images)
    images = tuple(load_image(image, max_pixels=limits.max_image_pixels) for image in request.images)
    try:
        for text in (request.question or "", *request.choices):
            text.encode()
        return Problem(question=request.question or "", images=images, choices=request.choices, name="1")
    except UnicodeEncodeError as error:
        raise click.UsageError("--question and --choice must be UTF-8.") from error
    except ValueError as error:
        raise click.UsageError(f"--question: {error}.") from error


def _solve_file(request: _SolveRequest, path: Path) -> int:
    from critic_engine.cli.follow_run import keep_run
    from critic_engine.cli.progress import load_models
    from critic_engine.engine import Engine
    from critic_engine.run.database import check_free

    problems, config = open_problems(
        path, request.load_config(), image_root=request.image_root, schema=request.schema, maps=request.maps
    )
    if request.run is not None:
        check_free(request.run)
    with Engine(config) as engine:
        load_models(engine)
        if request.is_plan:
            return _plan_file(engine, problems, request)
        rows = itertools.islice(problems, request.limit)
        if request.is_streamed:
            return _stream_row(engine, next(rows), is_json=request.is_json)
        if request.run is None:
            return _solve_to_rows(engine, rows, request.out)
        return keep_run(engine, rows, request.run, is_json=request.is_json)


def _stream_row(engine: Engine, row: ProblemRow | FailedRow, *, is_json: bool) -> int:
    from critic_engine.errors import ProblemError
    from critic_engine.types import FailedRow

    if isinstance(row, FailedRow):
        raise ProblemError(f"row {row.row}: {row.reason}", row=row.row)
    return _solve_problem(engine, row.problem, is_streamed=True, is_json=is_json)


def _solve_to_rows(engine: Engine, rows: Iterator[ProblemRow | FailedRow], out: Path | None) -> int:
    from critic_engine.cli.answer_view import Tally, answer_row
    from critic_engine.cli.follow_run import closing_answers
    from critic_engine.cli.progress import show_progress

    tally = Tally()
    with click.open_file("-" if out is None else str(out), "w", encoding="utf-8") as file:
        try:
            with show_progress() as progress, closing_answers(engine.solve_many(rows, on_progress=progress)) as answers:
                for answer in answers:
                    tally.count(answer)
                    click.echo(answer_row(answer), file=file)
        except KeyboardInterrupt as error:
            num = tally.num_answered + tally.num_failed
            raise Interrupted(f"interrupted; {num} rows were written, and --run DIR keeps all the work") from error
    return tally.report(where=out)
