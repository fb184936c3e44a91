"""Sentences on the conclusions that a comparison does not allow."""

from collections.abc import Iterator, Sequence

from critic_engine.evaluation.report.comparison_report import MethodReport, PairReport
from critic_engine.evaluation.report.figure_words import amount_words, currency_words
from critic_engine.evaluation.report.report_options import ReportOptions
from critic_engine.statistics.verdicts import FEWEST_PROBLEMS

_UNDERSPENT = 0.9


def cautions(methods: Sequence[MethodReport], pairs: Sequence[PairReport], options: ReportOptions) -> Iterator[str]:
    """Yield what cannot be concluded from these figures, and why, a sentence each."""
    yield from _on_problems(methods, options)
    yield from _on_pairs(pairs)
    for method in methods:
        yield from _on_grades(method)
        yield from _on_spending(method, options)


def _on_problems(methods: Sequence[MethodReport], options: ReportOptions) -> Iterator[str]:
    num = methods[0].num_problems if methods else 0
    if options.num_rows_without_reference:
        yield (
            f"{options.num_rows_without_reference:,} rows have no reference answer that can be used: nothing is known "
            "of them."
        )
    if not num:
        yield "No problem could be graded, so there is no accuracy and no verdict."
    elif num < FEWEST_PROBLEMS:
        yield (
            f"{num} problems are fewer than {FEWEST_PROBLEMS}: neither a difference nor its absence can be concluded."
        )
    if num and methods[0].num_seeds == 1:
        yield "There is one seed: the figures do not show how much a method varies from seed to seed."


def _on_pairs(pairs: Sequence[PairReport]) -> Iterator[str]:
    unsettled = [pair for pair in pairs if pair.verdict == "inconclusive"]
    if unsettled:
        needed = [pair.num_needed for pair in unsettled if pair.num_needed is not None]
        rest = f"; to settle them would take from {min(needed):,} to {max(needed):,} problems" if needed else ""
        yield f"{len(unsettled):,} of {len(pairs):,} pairs are inconclusive{rest}."
    if pairs:
        smallest = [pair.smallest_effect for pair in pairs]
        yield (
            f"True differences of accuracy below {min(smallest):.3f} to {max(smallest):.3f}, depending on the pair, "
            "would mostly not show with this many problems."
        )
    if any(not pair.is_equal_cost for pair in pairs):
        yield (
            "Methods without a budget end on their own: their pairs are not at equal cost, so the costs in the table "
            "belong to the verdict."
        )


def _on_grades(method: MethodReport) -> Iterator[str]:
    num = method.num_problems * method.num_seeds
    if method.needs_reference:
        yield f"{method.name} was told the reference answers, so it has no accuracy and is in no verdict."
        return
    if method.num_unsure:
        most = (method.num_right + method.num_unsure) / num
        yield (
            f"{method.name}: {method.num_unsure:,} of {num:,} answers could not be judged and count as not right; were "
            f"all of them right, its accuracy would be {most:.3f}."
        )
    if method.num_failed:
        yield f"{method.name}: {method.num_failed:,} of {num:,} searches failed and count as not right."
    if num and method.num_valued and method.value_auroc is None:
        yield (
            f"{method.name}: the answers with a value are all right or all wrong, so it cannot be told whether values "
            "part right answers from wrong ones."
        )


def _on_spending(method: MethodReport, options: ReportOptions) -> Iterator[str]:
    spent = method.spending
    if spent is not None and spent.share < _UNDERSPENT:
        yield (
            f"{method.name} spent {amount_words(spent.mean)} of {amount_words(spent.limit)} "
            f"{currency_words(options.currency)}: it may do better or worse where it spends all."
        )
    if spent is not None and spent.share > 1:
        yield (
            f"{method.name} spent {amount_words(spent.mean)} of {amount_words(spent.limit)} "
            f"{currency_words(options.currency)}, more than its budget: compare it by the costs in the table."
        )
