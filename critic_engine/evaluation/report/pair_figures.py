"""The pairs of a comparison and their verdicts."""

from collections.abc import Sequence
from itertools import combinations

from critic_engine.config.critic_card import Measured
from critic_engine.evaluation.graded import MethodRun
from critic_engine.evaluation.report.comparison_report import PairReport
from critic_engine.evaluation.report.figure_words import measured_words, p_value_words
from critic_engine.evaluation.report.measuring import measured, significant
from critic_engine.evaluation.report.method_figures import right_shares
from critic_engine.evaluation.report.report_options import ReportOptions
from critic_engine.statistics.verdicts import PairVerdict, judge_pairs

_ORDER = ("worse", "inconclusive", "no_difference", "better")


def paired_runs(runs: Sequence[MethodRun]) -> list[tuple[MethodRun, MethodRun]]:
    """Return the pairs to compare: those of one budget, and those in which a method has none; the later run first.

    Methods that were told the reference answers are in no pair.
    """
    judged = [run for run in runs if not run.needs_reference]
    return [
        (ours, theirs)
        for theirs, ours in combinations(judged, 2)
        if ours.budget is None or theirs.budget is None or ours.budget == theirs.budget
    ]


def pair_reports(runs: Sequence[MethodRun], options: ReportOptions) -> tuple[PairReport, ...]:
    """Return the verdicts of all pairs, the losses first; none without problems."""
    pairs = paired_runs(runs)
    if not pairs or not pairs[0][0].answers:
        return ()
    outcomes = {run.name: right_shares(run) for run in runs if not run.needs_reference}
    verdicts = judge_pairs(
        outcomes,
        pairs=[(ours.name, theirs.name) for ours, theirs in pairs],
        seed=options.seed,
        margin=options.margin,
        level=options.level,
    )
    budgets = {run.name: run.budget for run in runs}
    reports = [
        _pair_report(
            verdict,
            outcomes[verdict.ours],
            outcomes[verdict.theirs],
            is_equal_cost=budgets[verdict.ours] == budgets[verdict.theirs] is not None,
        )
        for verdict in verdicts
    ]
    return tuple(sorted(reports, key=lambda pair: (_ORDER.index(pair.verdict), pair.difference.estimate or 0.0)))


def _pair_report(
    verdict: PairVerdict,
    ours: Sequence[Sequence[float]],
    theirs: Sequence[Sequence[float]],
    *,
    is_equal_cost: bool,
) -> PairReport:
    both = [pair for one, other in zip(ours, theirs, strict=True) for pair in zip(one, other, strict=True)]
    difference = measured(verdict.difference)
    counts = both.count((1.0, 0.0)), both.count((0.0, 1.0))
    return PairReport(
        ours=verdict.ours,
        theirs=verdict.theirs,
        is_equal_cost=is_equal_cost,
        num_ours_alone_right=counts[0],
        num_theirs_alone_right=counts[1],
        difference=difference,
        p_value=significant(verdict.p_value),
        adjusted_p_value=significant(verdict.adjusted_p_value),
        smallest_effect=significant(verdict.smallest_effect),
        num_needed=verdict.num_needed,
        verdict=verdict.verdict,
        text=_sentence(verdict, difference, counts, is_equal_cost=is_equal_cost),
    )


def _sentence(verdict: PairVerdict, difference: Measured, counts: tuple[int, int], *, is_equal_cost: bool) -> str:
    if verdict.verdict in ("better", "worse"):
        claim = f"{verdict.ours} is {verdict.verdict} than {verdict.theirs}"
    else:
        claim = f"{verdict.ours} and {verdict.theirs}: {verdict.text}"
    return (
        f"{claim} ({'' if is_equal_cost else 'not at equal cost; '}difference {measured_words(difference, sign='+')}, "
        f"adjusted p {p_value_words(verdict.adjusted_p_value)}, {counts[0]:,} answers won and {counts[1]:,} lost)"
    )
