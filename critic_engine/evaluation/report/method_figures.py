"""The figures of one method run."""

import math
from collections import Counter
from collections.abc import Sequence

from critic_engine.config.critic_card import Measured
from critic_engine.evaluation.graded import GradedAnswer, MethodRun
from critic_engine.evaluation.report.comparison_report import MethodReport, ShareAtK
from critic_engine.evaluation.report.costs import mean_costs, significant, spending
from critic_engine.evaluation.report.report_options import ReportOptions
from critic_engine.statistics.calibration import clustered_auroc
from critic_engine.statistics.intervals import Interval, clustered_share
from critic_engine.statistics.sampling import majority_at_k, pass_at_k

# With more, the AUROC of a large benchmark would take longer than all else of a report.
_NUM_RESAMPLES = 1_000


def method_report(run: MethodRun, options: ReportOptions) -> MethodReport:
    """Return the figures of one method run."""
    answers = [graded for problem in run.answers for graded in problem]
    outcomes = Counter(outcome(graded) for graded in answers)
    auroc, num_valued = _value_auroc(run, seed=options.seed)
    return MethodReport(
        name=run.name,
        method=run.method,
        budget=run.budget,
        needs_reference=run.needs_reference,
        num_problems=len(run.answers),
        num_seeds=max(map(len, run.answers), default=0),
        num_right=outcomes["right"],
        num_wrong=outcomes["wrong"],
        num_unsure=outcomes["unsure"],
        num_failed=outcomes["failed"],
        accuracy=None if run.needs_reference or not answers else measured(clustered_share(right_shares(run))),
        costs=mean_costs(run, prompt_weight=options.prompt_weight),
        spending=spending(run, options.currency, prompt_weight=options.prompt_weight),
        wall_s=significant(run.wall_s),
        num_requests=sum(graded.answer.num_requests for graded in answers),
        flops=run.flops,
        usd=run.usd,
        pass_at=() if run.needs_reference else _pass_at(run, options),
        majority_at=() if run.needs_reference else _majority_at(run, options),
        stop_reasons=dict(sorted(Counter(graded.answer.stop_reason for graded in answers).items())),
        value_auroc=auroc,
        num_valued=num_valued,
    )


def outcome(graded: GradedAnswer) -> str:
    """Return ``right``, ``wrong``, ``unsure`` or ``failed``."""
    if graded.answer.status == "failed":
        return "failed"
    return {True: "right", False: "wrong", None: "unsure"}[graded.grade.is_right]


def right_shares(run: MethodRun) -> list[list[float]]:
    """Return 1.0 for each right answer and 0.0 for each other one: a list a problem, an entry a seed."""
    return [[float(outcome(graded) == "right") for graded in problem] for problem in run.answers]


def measured(interval: Interval) -> Measured:
    """Return an interval with None in place of NaN."""
    estimate, low, high = (
        None if math.isnan(each) else significant(each) for each in (interval.estimate, interval.low, interval.high)
    )
    return Measured(estimate=estimate, low=low, high=high)


def _value_auroc(run: MethodRun, *, seed: int) -> tuple[Measured | None, int]:
    """Return the AUROC of the chosen paths' values and the number of them; unsure and failed answers are left out."""
    groups = [
        [
            (graded.answer.value, graded.grade.is_right)
            for graded in problem
            if graded.answer.value is not None and 0 <= graded.answer.value <= 1
            if graded.answer.status == "answered" and graded.grade.is_right is not None
        ]
        for problem in run.answers
    ]
    groups = [group for group in groups if group]
    num = sum(map(len, groups))
    if len({is_right for group in groups for _, is_right in group}) < 2:
        return None, num
    return measured(clustered_auroc(groups, seed=seed, num_resamples=_NUM_RESAMPLES)), num


def _pass_at(run: MethodRun, options: ReportOptions) -> tuple[ShareAtK, ...]:
    counts = [(len(grades), sum(grade.is_right is True for grade in grades)) for grades in run.samples or ()]
    return tuple(
        _share_at(k, [pass_at_k(num, num_right, k) for num, num_right in counts if num >= k]) for k in _ks(run, options)
    )


def _majority_at(run: MethodRun, options: ReportOptions) -> tuple[ShareAtK, ...]:
    drawn = list(zip(run.sample_classes or (), run.samples or (), strict=False))
    shares = []
    for k in _ks(run, options) if drawn else ():
        values = [
            majority_at_k(classes, [grade.is_right is True for grade in grades], k, seed=options.seed)
            for classes, grades in drawn
            if len(classes) >= k
        ]
        shares.append(_share_at(k, values))
    return tuple(shares)


def _ks(run: MethodRun, options: ReportOptions) -> list[int]:
    most = max(map(len, run.samples or ()), default=0)
    return [k for k in sorted(set(options.pass_ks)) if k <= most]


def _share_at(k: int, values: Sequence[float]) -> ShareAtK:
    return ShareAtK(k=k, share=measured(clustered_share([[value] for value in values])), num_problems=len(values))
