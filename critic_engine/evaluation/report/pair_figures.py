"""The pairs of a comparison and their verdicts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from critic_engine.evaluation.graded import MethodRun
from critic_engine.evaluation.report.comparison_report import PairReport
from critic_engine.evaluation.report.figure_words import amount_words, counted, measured_words, p_value_words
from critic_engine.evaluation.report.measuring import measured, significant
from critic_engine.evaluation.report.method_figures import right_shares
from critic_engine.evaluation.report.report_options import ReportOptions
from critic_engine.statistics.verdicts import PairVerdict, judge_pairs

_ORDER = ("worse", "inconclusive", "no_difference", "better")
# Costs that differ by no more than this factor count as equal.
_EQUAL = 1.1


def are_equal(one: float, other: float) -> bool:
    """Return whether two costs count as equal."""
    least, most = sorted((one, other))
    return most <= _EQUAL * least


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


def pair_reports(
    runs: Sequence[MethodRun], options: ReportOptions, *, costs: Mapping[str, float]
) -> tuple[PairReport, ...]:
    """Return the verdicts of all pairs, the losses first; none without problems.

    Args:
        runs: The graded answers.
        options: Of the report.
        costs: The mean cost of one search of each run by its name, in the currency of the comparison.
    """
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
    reports = [
        _pair_report(verdict, _CostedPair(ours, theirs, costs[ours.name], costs[theirs.name]), options)
        for verdict, (ours, theirs) in zip(verdicts, pairs, strict=True)
    ]
    return tuple(sorted(reports, key=lambda pair: (_ORDER.index(pair.verdict), pair.difference.estimate or 0.0)))


@dataclass(frozen=True, slots=True)
class _CostedPair:
    """Two runs and their mean costs."""

    ours: MethodRun
    theirs: MethodRun
    our_cost: float
    their_cost: float

    @property
    def is_equal_cost(self) -> bool:
        return are_equal(self.our_cost, self.their_cost)

    def alone_right(self) -> tuple[int, int]:
        """Return the number of answers that ours alone gave right, and that theirs alone did."""
        sides = zip(right_shares(self.ours), right_shares(self.theirs), strict=True)
        both = Counter(each for one, other in sides for each in zip(one, other, strict=True))
        return both[1.0, 0.0], both[0.0, 1.0]


def _pair_report(verdict: PairVerdict, pair: _CostedPair, options: ReportOptions) -> PairReport:
    num_ours, num_theirs = pair.alone_right()
    difference = measured(verdict.difference)
    if verdict.verdict in ("better", "worse"):
        claim = f"{verdict.ours} is {verdict.verdict} than {verdict.theirs}"
    else:
        claim = f"{verdict.ours} and {verdict.theirs}: {verdict.text}"
    costs = f"{amount_words(pair.our_cost)} against {amount_words(pair.their_cost)} {options.currency}"
    return PairReport(
        ours=verdict.ours,
        theirs=verdict.theirs,
        our_cost=pair.our_cost,
        their_cost=pair.their_cost,
        is_equal_cost=pair.is_equal_cost,
        num_ours_alone_right=num_ours,
        num_theirs_alone_right=num_theirs,
        difference=difference,
        p_value=significant(verdict.p_value),
        adjusted_p_value=significant(verdict.adjusted_p_value),
        smallest_effect=significant(verdict.smallest_effect),
        num_needed=verdict.num_needed,
        verdict=verdict.verdict,
        text=(
            f"{claim} ({'' if pair.is_equal_cost else 'not at equal cost: '}{costs}; difference "
            f"{measured_words(difference, sign='+')}, adjusted p {p_value_words(verdict.adjusted_p_value)}, "
            f"{counted(num_ours, 'answer')} won and {num_theirs:,} lost)"
        ),
    )
