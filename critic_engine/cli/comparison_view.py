"""The report of a comparison in the terminal: its table, its verdicts, and the outcomes of gates."""

from collections.abc import Iterator, Sequence

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
    counted,
    currency_words,
    measured_words,
    spending_words,
)

_STYLES = {"worse": "red", "fail": "red", "better": "green", "pass": "green"}
_NUM_PAIRS_SHOWN = 20
_MIN_NAME, _MAX_NAME, _MAX_TITLE = 8, 40, 80
_WIDTH = 100
"""Columns that the tables need."""


def print_report(report: ComparisonReport, console: Console) -> None:
    """Print accuracies and costs, the verdicts, losses first, what cannot be concluded, and the outcomes of gates.

    Where the console is no terminal, it takes the width that the tables need.
    """
    if not console.is_terminal:
        console.width = max(console.width, _WIDTH)
    is_wide = console.width >= _WIDTH
    console.print(_accuracy_table(report, is_wide=is_wide))
    console.print(_detail_table(report, is_wide=is_wide))
    for line in _explanations(report):
        _print_line(console, line)
    console.print()
    for pair in report.pairs[:_NUM_PAIRS_SHOWN]:
        _print_line(console, pair.text, style=_STYLES.get(pair.verdict, ""))
    if len(report.pairs) > _NUM_PAIRS_SHOWN:
        _print_line(console, f"… and {counted(len(report.pairs) - _NUM_PAIRS_SHOWN, 'more pair')}")
    for sentence in report.cautions:
        _print_line(console, f"note: {sentence}")
    for outcome in report.gates:
        line = f"{outcome.passing}: {outcome.gate}: {outcome.reason}"
        _print_line(console, line, style=_STYLES.get(outcome.passing, "yellow"))


def _print_line(console: Console, line: str, *, style: str = "") -> None:
    """Print a sentence, which wraps in a terminal and stays one line elsewhere."""
    console.print(Text(one_line(line), style=style), soft_wrap=not console.is_terminal)


def _explanations(report: ComparisonReport) -> Iterator[str]:
    counts = f"{counted(report.num_problems, 'problem')}, {counted(report.num_seeds, 'seed')}"
    yield f"{counts}; budgets in {currency_words(report.currency)}"
    yield (
        "means of one search: tokens generated, those by the critic, and prompt tokens read uncached; wall is of the "
        f"whole run, with {report.concurrency:,} requests in flight"
    )
    known = [(_name(method).plain, method.costs) for method in report.methods if method.costs is not None]
    prices = [f"{name} {amount_words(costs.usd)}" for name, costs in known if costs.usd is not None]
    operations = [f"{name} {amount_words(costs.flops)}" for name, costs in known if costs.flops is not None]
    for unit, amounts in (("USD", prices), ("FLOPs", operations)):
        if amounts:
            yield f"{unit} of one search: {', '.join(amounts)}"


def _accuracy_table(report: ComparisonReport, *, is_wide: bool) -> Table:
    numbers = ["right", "95 % interval", "tokens", "compute", "seconds", "spent"]
    # Columns that hold nothing would take the room of those that do.
    has_ungraded = any(method.num_unsure or method.num_failed for method in report.methods)
    numbers += ["unsure", "failed"] if has_ungraded else []
    table = _new_table(f"methods on {report.problems}", numbers, is_wide=is_wide)
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


def _detail_table(report: ComparisonReport, *, is_wide: bool) -> Table:
    # The largest k of each method says most; report.md has all of them.
    table = _new_table("", ["critic", "prompt", "AUROC of value", "pass@k", "maj@k", "wall"], is_wide=is_wide)
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


def _new_table(title: str, numbers: Sequence[str], *, is_wide: bool) -> Table:
    """Return a table of methods whose other columns hold numbers; these wrap if the console is narrow."""
    table = Table(
        box=SIMPLE_HEAD,
        title=Text(one_line(title, max_chars=_MAX_TITLE), style="bold") if title else None,
        title_justify="left",
        padding=(0, 1, 0, 0),
    )
    table.add_column("method", overflow="fold", min_width=_MIN_NAME)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=is_wide, overflow="fold")
    return table


def _name(method: MethodReport) -> Text:
    return Text(one_line(method.name, max_chars=_MAX_NAME))
