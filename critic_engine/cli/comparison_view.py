"""The report of a comparison in the terminal: its table, its verdicts, and the outcomes of gates."""

from collections.abc import Iterable, Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from critic_engine.cli.text import duration, one_line
from critic_engine.evaluation.report.comparison_report import ComparisonReport, MethodReport, ShareAtK
from critic_engine.evaluation.report.figure_words import (
    UNKNOWN,
    accuracy_words,
    amount_words,
    currency_words,
    measured_words,
    spending_words,
)
from critic_engine.evaluation.report.gates import GateOutcome

_STYLES = {"worse": "red", "fail": "red", "better": "green", "pass": "green"}
_NUM_PAIRS_SHOWN = 20
_MAX_NAME, _MAX_TITLE = 40, 80


def print_report(report: ComparisonReport, console: Console) -> None:
    """Print the accuracy and the costs of each method, the verdicts, losses first, and what cannot be concluded."""
    console.print(_accuracy_table(report))
    console.print(_detail_table(report))
    for line in _explanations(report):
        console.print(Text(line))
    console.print()
    for pair in report.pairs[:_NUM_PAIRS_SHOWN]:
        console.print(Text(one_line(pair.text), style=_STYLES.get(pair.verdict, "")))
    if len(report.pairs) > _NUM_PAIRS_SHOWN:
        console.print(Text(f"… and {len(report.pairs) - _NUM_PAIRS_SHOWN:,} more pairs; see report.md"))
    for sentence in report.cautions:
        console.print(Text(f"note: {one_line(sentence)}"))


def print_gates(outcomes: Iterable[GateOutcome], console: Console) -> None:
    """Print a line for each outcome of a gate."""
    for outcome in outcomes:
        line = Text(f"{outcome.passing:<12} ", style=_STYLES.get(outcome.passing, "yellow"))
        line.append(f"{one_line(outcome.gate)}: {one_line(outcome.reason)}", style="default")
        console.print(line)


def _explanations(report: ComparisonReport) -> Iterator[str]:
    yield f"{report.num_problems:,} problems, {report.num_seeds} seeds; budgets in {currency_words(report.currency)}"
    yield (
        "means of one search: tokens generated, those by the critic, and prompt tokens read uncached; wall is of the "
        f"whole run, with {report.concurrency:,} requests in flight"
    )


def _accuracy_table(report: ComparisonReport) -> Table:
    numbers = ["right", "95 % interval", "tokens", "compute", "seconds", "spent"]
    # Columns that hold nothing would take the room of those that do.
    has_ungraded = any(method.num_unsure or method.num_failed for method in report.methods)
    table = _new_table(f"methods on {report.problems}", [*numbers, *(("unsure", "failed") if has_ungraded else ())])
    for method in report.methods:
        costs = method.costs
        amounts = (None,) * 3 if costs is None else (costs.tokens, costs.compute, costs.seconds)
        table.add_row(
            _name(method),
            *accuracy_words(method),
            *map(amount_words, amounts),
            spending_words(method.spending),
            *((f"{method.num_unsure:,}", f"{method.num_failed:,}") if has_ungraded else ()),
        )
    return table


def _detail_table(report: ComparisonReport) -> Table:
    # The largest k of each method says most; report.md has all of them.
    table = _new_table("", ["critic", "prompt", "AUROC of value", "pass@k", "maj@k", "wall"])
    for method in report.methods:
        costs = method.costs
        amounts = (None, None) if costs is None else (costs.critic_tokens, costs.uncached_prompt_tokens)
        auroc = method.value_auroc
        table.add_row(
            _name(method),
            *map(amount_words, amounts),
            UNKNOWN if auroc is None else measured_words(auroc),
            _at_largest_k(method.pass_at),
            _at_largest_k(method.majority_at),
            duration(method.wall_s),
        )
    return table


def _at_largest_k(shares: Sequence[ShareAtK]) -> str:
    if not shares or shares[-1].share.estimate is None:
        return UNKNOWN
    return f"{shares[-1].share.estimate:.3f} ({shares[-1].k})"


def _new_table(title: str, numbers: Sequence[str]) -> Table:
    """Return a table of methods whose other columns hold numbers; it fits 100 columns."""
    table = Table(
        box=SIMPLE_HEAD,
        title=Text(one_line(title, max_chars=_MAX_TITLE), style="bold") if title else None,
        title_justify="left",
        padding=(0, 1, 0, 0),
    )
    table.add_column("method", overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _name(method: MethodReport) -> Text:
    return Text(one_line(method.name, max_chars=_MAX_NAME))
