"""Sentences on the conclusions that a comparison does not allow."""

from collections.abc import Iterator, Sequence

from critic_engine.config.gate import CRITIC_GATED
from critic_engine.evaluation.report.comparison_report import MethodReport, PairReport
from critic_engine.evaluation.report.figure_words import amount_words, counted, currency_words, kinds_words
from critic_engine.evaluation.report.pair_figures import are_equal
from critic_engine.evaluation.report.report_options import ReportOptions
from critic_engine.statistics.verdicts import FEWEST_PROBLEMS

# Shares of its budget between which a method spent about all of it.
_LEAST_SPENT, _MOST_SPENT = 0.9, 1.05
# Reasons for the end of a search that give up its requests under way.
_CUT = ("seconds", "run_tokens", "run_seconds")


def cautions(
    methods: Sequence[MethodReport], pairs: Sequence[PairReport], options: ReportOptions, *, num_repeated: int
) -> Iterator[str]:
    """Yield what cannot be concluded from these figures, and why, a sentence each.

    Args:
        methods: The figures of the methods.
        pairs: Those of their pairs.
        options: Of the report.
        num_repeated: Problems that are the same as an earlier one.
    """
    yield from _on_problems(methods, options, num_repeated)
    yield from _on_pairs(pairs)
    yield from _on_costs(methods, pairs, options)
    yield from _on_grades(methods)
    yield from _on_spending(methods, options)


def _on_problems(methods: Sequence[MethodReport], options: ReportOptions, num_repeated: int) -> Iterator[str]:
    num = methods[0].num_problems if methods else 0
    if options.num_rows_without_reference:
        rows = counted(options.num_rows_without_reference, "row")
        yield f"{rows} without a reference answer that can be used: nothing is known of them."
    if not num:
        yield "No problem could be graded, so there is no accuracy and no verdict."
    elif num < FEWEST_PROBLEMS:
        yield (
            f"There are fewer than {FEWEST_PROBLEMS} problems ({num}): neither a difference nor its absence can be "
            "concluded."
        )
    if num_repeated:
        yield (
            f"Problems that repeat another: {num_repeated:,} of {num:,}. They count as problems of their own, so "
            "intervals are too narrow and p-values too small."
        )
    if num and methods[0].num_seeds == 1:
        yield "There is one seed: the figures do not show how much a method varies from seed to seed."


def _on_pairs(pairs: Sequence[PairReport]) -> Iterator[str]:
    unsettled = [pair for pair in pairs if pair.verdict == "inconclusive"]
    if unsettled:
        needed = sorted({pair.num_needed for pair in unsettled if pair.num_needed is not None})
        amounts = " to ".join(f"{num:,}" for num in dict.fromkeys((needed[0], needed[-1]))) if needed else ""
        rest = f"; {amounts} problems would settle them, if the differences found are the true ones" if needed else ""
        yield f"Inconclusive pairs: {len(unsettled):,} of {len(pairs):,}{rest}."
    if pairs:
        least, most = (f"{limit([pair.smallest_effect for pair in pairs]):.3f}" for limit in (min, max))
        some = "" if least == most else f", for some pairs below {most}"
        yield (
            "With this many problems, a true difference of accuracy would mostly not show if it is below "
            f"{least}{some}."
        )


def _on_costs(methods: Sequence[MethodReport], pairs: Sequence[PairReport], options: ReportOptions) -> Iterator[str]:
    num_unequal = sum(not pair.is_equal_cost for pair in pairs)
    if num_unequal:
        yield f"Pairs not at equal cost: {num_unequal:,} of {len(pairs):,}. Read their verdicts with the costs."
    compute = {method.name: method.costs.compute for method in methods if method.costs is not None}
    equal = [pair for pair in pairs if pair.is_equal_cost]
    num_otherwise = sum(not are_equal(compute[pair.ours], compute[pair.theirs]) for pair in equal)
    if num_otherwise:
        yield (
            f"Pairs at equal {options.currency} and not at equal compute: {num_otherwise:,} of {len(pairs):,}; "
            "--match compute compares at equal compute."
        )


def _on_grades(methods: Sequence[MethodReport]) -> Iterator[str]:
    for method in methods:
        if method.needs_reference:
            yield f"{method.name} was told the reference answers, so it has no accuracy and is in no verdict."
    graded = [method for method in methods if not method.needs_reference]
    unsure = [f"{method.name} {method.num_unsure:,}" for method in graded if method.num_unsure]
    if unsure:
        most = max(method.num_unsure / (method.num_problems * method.num_seeds) for method in graded)
        yield (
            f"Answers that could not be judged count as not right: {', '.join(unsure)}. Were all of them right, no "
            f"accuracy would rise by more than {most:.3f}."
        )
    timed_out = [f"{method.name} {method.num_timed_out:,}" for method in graded if method.num_timed_out]
    if timed_out:
        yield f"Answers among these whose grading ran out of time: {', '.join(timed_out)}."
    failed = [f"{method.name} {method.num_failed:,}" for method in graded if method.num_failed]
    if failed:
        yield f"Searches that failed count as not right: {', '.join(failed)}."
    yield from _on_failures(methods)
    alike = [method.name for method in graded if method.num_valued and method.value_auroc is None]
    if alike:
        yield (
            f"The answers with a value are all right or all wrong with {', '.join(alike)}: it cannot be told whether "
            "values part right answers from wrong ones."
        )


def _on_failures(methods: Sequence[MethodReport]) -> Iterator[str]:
    gated = [f"{method.name} {num:,}" for method in methods if (num := method.failures.get(CRITIC_GATED, 0))]
    if gated:
        yield (
            "Searches in which the critic did not steer, for it is not known to tell right from wrong: "
            f"{', '.join(gated)}. Their figures are not those of the method with its critic."
        )
    others = [
        (method.name, {kind: num for kind, num in method.failures.items() if kind != CRITIC_GATED})
        for method in methods
    ]
    said = [f"{name} ({kinds_words(counts)})" for name, counts in others if counts]
    if said:
        yield f"Searches met failures, after which they may have gone on: {', '.join(said)}."


def _on_spending(methods: Sequence[MethodReport], options: ReportOptions) -> Iterator[str]:
    counts = [(method.name, sum(method.stop_reasons.get(reason, 0) for reason in _CUT)) for method in methods]
    cut = [f"{name} {num:,}" for name, num in counts if num]
    if cut:
        yield (
            f"Searches that were cut: {', '.join(cut)}. Tokens, compute, FLOPs and USD leave out the requests that "
            "were under way then."
        )
    for method in methods:
        spent = method.spending
        if spent is None or _LEAST_SPENT <= spent.share <= _MOST_SPENT:
            continue
        amounts = (
            f"{method.name} spent {amount_words(spent.mean)} of {amount_words(spent.limit)} "
            f"{currency_words(options.currency)}"
        )
        if spent.share < _LEAST_SPENT:
            yield f"{amounts}: it may do better or worse where it spends all."
        else:
            yield f"{amounts}, more than its budget."
