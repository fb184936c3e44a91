"""The report of a comparison in the terminal: its table, its verdicts, and the outcomes of gates."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from critic_engine.cli.survey_view import new_table
from critic_engine.cli.text import duration, one_line
from critic_engine.evaluation.report.comparison_report import ComparisonReport, MethodReport, PairReport
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
_MAX_NAME = 40


def print_report(report: ComparisonReport, console: Console) -> None:
    """Print the accuracy and the costs of each method, the verdicts, losses first, and what cannot be concluded."""
    console.print(_table(report))
    counts = f"{report.num_problems:,} problems, {report.num_seeds} seeds"
    console.print(Text(f"{counts}; spent of the budget in {currency_words(report.currency)}"))
    for method in report.methods:
        for line in _method_lines(method):
            console.print(Text(line))
    console.print()
    for pair in report.pairs[:_NUM_PAIRS_SHOWN]:
        console.print(_pair_line(pair))
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


def _table(report: ComparisonReport) -> Table:
    numbers = ["right", "95 % interval", "tokens", "compute", "seconds", "spent"]
    # Columns that hold nothing would take the room of those that do.
    has_ungraded = any(method.num_unsure or method.num_failed for method in report.methods)
    numbers += ["unsure", "failed"] if has_ungraded else []
    table = new_table(f"methods on {one_line(report.problems, max_chars=80)}", "method", *numbers, numbers=numbers)
    for method in report.methods:
        ungraded = (f"{method.num_unsure:,}", f"{method.num_failed:,}") if has_ungraded else ()
        table.add_row(
            one_line(method.name, max_chars=_MAX_NAME),
            *accuracy_words(method),
            *_cost_cells(method),
            spending_words(method.spending),
            *ungraded,
        )
    return table


def _cost_cells(method: MethodReport) -> Sequence[str]:
    costs = method.costs
    if costs is None:
        return (UNKNOWN,) * 3
    return tuple(map(amount_words, (costs.tokens, costs.compute, costs.seconds)))


def _method_lines(method: MethodReport) -> Iterable[str]:
    """Return a line of the figures that only some methods have."""
    parts = []
    if method.costs is not None and method.costs.critic_tokens:
        parts.append(f"{amount_words(method.costs.critic_tokens)} of the tokens by the critic")
    if method.value_auroc is not None:
        parts.append(f"AUROC of its values {measured_words(method.value_auroc)}")
    for name, shares in (("pass", method.pass_at), ("maj", method.majority_at)):
        if shares:
            parts.append(f"{name}@{shares[-1].k} {measured_words(shares[-1].share)}")
    if method.costs is not None and method.costs.usd is not None:
        parts.append(f"{method.costs.usd:.4f} USD a search")
    if parts:
        yield f"{one_line(method.name, max_chars=_MAX_NAME)}: {', '.join(parts)}, {duration(method.wall_s)} in all"


def _pair_line(pair: PairReport) -> Text:
    return Text(one_line(pair.text), style=_STYLES.get(pair.verdict, ""))
