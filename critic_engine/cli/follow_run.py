"""Show the progress of a run that is kept in a folder, new or resumed, and report its result."""

import shlex
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from critic_engine.cli.answer_view import Tally, failed_line, failed_lines
from critic_engine.cli.command import interrupted_with
from critic_engine.run.report import json_line
from critic_engine.run.written_report import NOT_DONE, CollectionSummary, WrittenReport
from critic_engine.types import Answer

if TYPE_CHECKING:
    from critic_engine.engine import Engine
    from critic_engine.types import FailedRow, ProblemRow


def keep_run(engine: "Engine", rows: "Iterable[ProblemRow | FailedRow]", run: Path, *, is_json: bool) -> int:
    """Search every row, keep the run in the new folder ``run``, and report; return the exit code.

    Raises:
        Interrupted: Ctrl-C was pressed; the message holds the command to resume.
    """
    begin = partial(engine.solve_many, rows, run=run)
    return _follow(begin, run, before="while the problems were read in", is_json=is_json)


def resume_run(engine: "Engine", run: Path, *, is_json: bool) -> int:
    """Resume the run in the folder ``run``, and report; return the exit code, as ``keep_run`` does."""
    return _follow(partial(engine.resume, run), run, before="before the run went on", is_json=is_json)


def _follow(begin: Callable[..., Iterator[Answer]], run: Path, *, before: str, is_json: bool) -> int:
    from critic_engine.cli.progress import show_progress

    tally, command = Tally(), f"critic-engine resume {shlex.quote(str(run))}"
    with show_progress() as progress:
        with interrupted_with(f"interrupted {before}; run the same command again"):
            answers = begin(on_progress=progress)
        with interrupted_with(f"interrupted; the work is kept; resume it with: {command}"), closing_answers(answers):
            for answer in answers:
                tally.count(answer)
    return _report(tally, run, is_json=is_json)


@contextmanager
def closing_answers(answers: Iterator[Answer]) -> Iterator[Iterator[Answer]]:
    """End the search on leaving, so that Ctrl-C between two answers ends it before the engine closes."""
    try:
        yield answers
    finally:
        if isinstance(answers, Generator):
            answers.close()


def _report(tally: Tally, run: Path, *, is_json: bool) -> int:
    """Print the summary of a run, as JSON on stdout if ``is_json``; return the exit code."""
    rows, report = run / "answers.jsonl", WrittenReport.read(run)
    labelling, collection = report.labelling, report.collect
    if is_json:
        parts = {} if labelling is None else labelling.model_dump()
        parts |= {} if collection is None else {"collect": collection.model_dump(by_alias=True)}
        click.echo(json_line({"run": str(run), "answers": str(rows), **tally.fields(), **parts}))
    exit_code = tally.report(where=rows)
    if labelling is not None:
        click.echo(
            f"found right paths for {labelling.num_with_right}, wrong ones for {labelling.num_with_wrong}, both for "
            f"{labelling.num_with_both}; {labelling.num_rollouts:,} rollouts",
            err=True,
        )
    if collection is None:
        return exit_code
    return max(exit_code, _report_collection(collection, run, is_cut_by_tokens=report.cut_by == "run_tokens"))


def _report_collection(collection: CollectionSummary, run: Path, *, is_cut_by_tokens: bool) -> int:
    """Print the counts of pairs and critiques; return 1 when some problems failed or are not done yet."""
    pairs, critiques = collection.stages["divergent pairs"], collection.stages["critiques"]
    name = shlex.quote(str(run))
    failed = [failed_line(each.id, each.reason) for each in collection.failed]
    for line in failed_lines(failed, num=len(failed), where=str(run / "report.json")):
        click.echo(line, err=True)
    click.echo(
        f"{pairs.num_in:,} divergent pairs, {critiques.kept:,} of {critiques.num_in:,} critiques kept, "
        f"{collection.num_tokens:,} tokens for them; see `critic-engine inspect {name}`",
        err=True,
    )
    if failed:
        click.echo(
            f"the harvest of {len(failed):,} problems failed; `critic-engine resume {name}` tries it again, and "
            "--debug shows the traceback",
            err=True,
        )
    num_left = collection.stages["rows"].left_out.get(NOT_DONE, 0)
    if num_left:
        more = f", with a higher run.max_tokens in {run / 'config.yaml'} or --max-tokens N" if is_cut_by_tokens else ""
        click.echo(
            f"{num_left:,} problems are not done yet; continue with `critic-engine resume {name}`{more}", err=True
        )
    return int(bool(failed) or num_left > 0)
