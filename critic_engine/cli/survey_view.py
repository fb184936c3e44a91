"""The survey of a labelled run as tables: its funnel, its cost so far, and a forecast."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from critic_engine.cli.answer_view import failed_line, failed_lines
from critic_engine.cli.display_names import filter_words, finding_words, reason_words
from critic_engine.cli.text import duration
from critic_engine.data.selection.forecast import Range
from critic_engine.data.selection.funnel import Funnel
from critic_engine.data.selection.survey import Session, Survey


def new_table(title: str, *columns: str, numbers: Sequence[str] = ()) -> Table:
    """Return a table that wraps its text at the width of the terminal; the columns ``numbers`` do not wrap."""
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False)
    for name in columns:
        is_number = name in numbers
        table.add_column(name, justify="right" if is_number else "left", no_wrap=is_number, overflow="fold")
    return table


def print_survey(console: Console, facts: Survey, session: Session | None) -> None:
    """Print the survey of a run without its examples."""
    console.print(funnel_table(facts.funnel))
    if facts.funnel.lifts:
        console.print(lift_table(facts.funnel))
    for line in _finding_lines(facts):
        console.print(Text(line))
    console.print()
    console.print(_cost_table(facts))
    for line in (*_session_lines(session), *_failure_lines(facts), *_forecast_lines(facts, session)):
        console.print(Text(line))


def funnel_table(funnel: Funnel) -> Table:
    """Return the table of the funnel: the numbers in, left out by reason, and kept at each stage."""
    table = new_table("funnel", "", "in", "left out", "those that", "kept", numbers=("in", "left out", "kept"))
    for stage in funnel.stages():
        reasons = [(f"{num:,}", reason_words(stage.name, reason)) for reason, num in stage.left_out.most_common()]
        first, *rest = reasons or [("", "")]
        table.add_row(stage.name, f"{stage.num_in:,}", *first, f"{stage.num_kept:,}")
        for reason in rest:
            table.add_row("", "", *reason, "")
    return table


def lift_table(funnel: Funnel) -> Table:
    """Return the table of the mean lift of the critiques that pass each filter."""
    numbers = ("critiques", "mean lift", "95 % interval")
    table = new_table(
        "lift: right solutions with a critique less those without", "left out so far", *numbers, numbers=numbers
    )
    for column in funnel.fields()["lift"]:
        table.add_row(filter_words(column["after"]), f"{column['num_critiques']:,}", *_lift_cells(column))
    return table


def range_words(found: Range | None) -> str:
    """Return a forecast number with its interval; None is ``none so far``."""
    return "none so far" if found is None else f"{found.estimate:,.0f} ({found.low:,.0f} to {found.high:,.0f})"


def duration_words(found: Range) -> str:
    """Return forecast seconds with their interval, as times."""
    return f"{duration(found.estimate)} ({duration(found.low)} to {duration(found.high)})"


def _lift_cells(column: dict[str, Any]) -> tuple[str, str]:
    if column["estimate"] is None:
        return "none measured", ""
    if column["low"] is None:
        return f"{column['estimate']:+.3f}", "of one problem"
    return f"{column['estimate']:+.3f}", f"{column['low']:+.3f} to {column['high']:+.3f}"


def _finding_lines(facts: Survey) -> Iterator[str]:
    kinds = ", ".join(f"{num:,} {kind.replace('_', ' ')}" for kind, num in facts.num_pairs.most_common())
    yield f"pairs by kind: {kinds or 'none'}"
    labels = facts.labels
    if labels:
        yield f"paths with labelled steps: {labels['num_paths']:,}"
    if labels["num_searched"]:
        yield f"binary searches: {labels['num_searched']:,}, first wrong step found by {labels['num_first_errors']:,}"
    if facts.injections:
        injections = facts.injections
        yield (
            f"injected errors: into {injections['num_injected']:,} solutions, not into {injections['num_failed']:,}; "
            f"{injections['num_scored']:,} of {injections['num_detections']:,} detections scored; "
            f"{injections['num_preferences']:,} preferences of detections, and {injections['num_unranked']:,} pairs of "
            "equal words or scores"
        )


def _cost_table(facts: Survey) -> Table:
    table = new_table("cost so far", "tokens", "generated for", numbers=("tokens",))
    table.add_row(f"{facts.search_tokens:,}", "the searches")
    for kind, num in facts.finding_tokens.most_common():
        table.add_row(f"{num:,}", finding_words(kind))
    table.add_row(f"{facts.num_tokens:,}", "all", style="bold")
    return table


def _session_lines(session: Session | None) -> Iterator[str]:
    if session is None:
        yield "seconds: unknown while a session is running, or after it was killed"
        return
    pace = "" if session.tokens_per_s is None else f", {session.tokens_per_s:,.0f} tokens/s"
    usd = "no model has a price" if session.usd is None else f"{session.usd:,.4f} USD"
    yield f"last session: {duration(session.wall_s)}{pace}; {usd}"


def _failure_lines(facts: Survey) -> Iterator[str]:
    failed = [failed_line(each.id, each.reason) for each in facts.failed]
    yield from failed_lines(failed, num=len(failed), where="--json")
    if failed:
        yield f"the harvest of {len(failed):,} trees failed; `critic-engine resume` tries it again"


def _forecast_lines(facts: Survey, session: Session | None) -> Iterator[str]:
    completeness = "complete" if facts.is_complete else "not complete"
    yield f"{completeness}: {facts.num_done:,} of {facts.num_problems:,} problems are done"
    if not facts.num_left:
        return
    whole = facts.forecast()
    if whole is None:
        yield "to come: not known before the first problems are done"
        return
    left = whole.num_tokens.less(facts.num_tokens)
    yield f"to come, if the others are like the first {len(facts.sample):,} (in brackets: the 90 % interval):"
    yield f"  tokens left     {range_words(left)}"
    if session is not None and session.tokens_per_s:
        yield f"  time left       {duration_words(left.times(1 / session.tokens_per_s))} at the last session's pace"
    yield f"  pairs at end    {range_words(whole.num_pairs)}"
    yield f"  critiques kept  {range_words(whole.num_critiques)}"
