"""The figures of one method run."""

from collections import Counter
from collections.abc import Sequence

from critic_engine.config.critic_card import Measured
from critic_engine.evaluation.graded import GradedAnswer, MethodRun
from critic_engine.evaluation.report.comparison_report import MethodReport, Outcome, ReasonCount
from critic_engine.evaluation.report.costs import mean_costs, spending
from critic_engine.evaluation.report.measuring import measured, significant
from critic_engine.evaluation.report.report_options import ReportOptions
from critic_engine.evaluation.report.sample_figures import majority_at, pass_at
from critic_engine.statistics.calibration import clustered_auroc
from critic_engine.statistics.intervals import clustered_share

# With more, the AUROC of a large benchmark would take longer than all else of a report.
_NUM_RESAMPLES = 1_000
_MAX_REASONS, _MAX_REASON = 10, 200


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
        num_timed_out=sum(graded.grade.is_timeout for graded in answers),
        num_failed=outcomes["failed"],
        reasons=_reasons(answers),
        accuracy=None if run.needs_reference or not answers else measured(clustered_share(right_shares(run))),
        costs=mean_costs(run, prompt_weight=options.prompt_weight),
        spending=spending(run, options.currency, prompt_weight=options.prompt_weight),
        wall_s=significant(run.wall_s),
        num_requests=sum(graded.answer.num_requests for graded in answers),
        flops=run.flops,
        usd=run.usd,
        pass_at=() if run.needs_reference else pass_at(run, options),
        majority_at=() if run.needs_reference else majority_at(run, options),
        stop_reasons=dict(sorted(Counter(graded.answer.stop_reason for graded in answers).items())),
        failures=_failures(answers),
        value_auroc=None if run.needs_reference else auroc,
        num_valued=num_valued,
    )


def outcome(graded: GradedAnswer) -> Outcome:
    """Return whether an answer is right or wrong, or why it is neither."""
    if graded.answer.status == "failed":
        return "failed"
    return "unsure" if graded.grade.is_right is None else "right" if graded.grade.is_right else "wrong"


def right_shares(run: MethodRun) -> list[list[float]]:
    """Return 1.0 for each right answer and 0.0 for each other one: a list a problem, an entry a seed."""
    return [[float(outcome(graded) == "right") for graded in problem] for problem in run.answers]


def _failures(answers: Sequence[GradedAnswer]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for graded in answers:
        counts.update(graded.answer.failures)
    return {kind: num for kind, num in sorted(counts.items()) if num}


def _reasons(answers: Sequence[GradedAnswer]) -> tuple[ReasonCount, ...]:
    counts = Counter(
        (outcome(graded), (graded.answer.error or graded.grade.reason)[:_MAX_REASON])
        for graded in answers
        if outcome(graded) in ("unsure", "failed")
    )
    commonest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_MAX_REASONS]
    return tuple(ReasonCount(outcome=kind, reason=reason, num=num) for (kind, reason), num in commonest)


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
