"""Builds the report of a comparison."""

from collections import Counter
from collections.abc import Sequence

from critic_engine.evaluation.graded import MethodRun
from critic_engine.evaluation.report.cautions import cautions
from critic_engine.evaluation.report.comparison_report import ComparisonReport
from critic_engine.evaluation.report.method_figures import method_report
from critic_engine.evaluation.report.pair_figures import pair_reports
from critic_engine.evaluation.report.report_options import ReportOptions


def build_report(runs: Sequence[MethodRun], *, options: ReportOptions) -> ComparisonReport:
    """Return the figures, verdicts and cautions of a comparison; the same runs and options give the same report.

    Raises:
        ValueError: the runs are of other problems or numbers of seeds, or two have the same name.
    """
    _check(runs)
    methods = tuple(method_report(run, options) for run in runs)
    costs = {method.name: getattr(method.costs, options.currency) for method in methods if method.costs is not None}
    pairs = pair_reports(runs, options, costs=costs)
    return ComparisonReport(
        problems=options.problems,
        reasoner=options.reasoner,
        critic=options.critic,
        grader=options.grader,
        currency=options.currency,
        prompt_weight=options.prompt_weight,
        concurrency=options.concurrency,
        margin=options.margin,
        level=options.level,
        seed=options.seed,
        num_problems=len(runs[0].answers) if runs else 0,
        num_rows_without_reference=options.num_rows_without_reference,
        num_seeds=methods[0].num_seeds if methods else 0,
        methods=methods,
        pairs=pairs,
        cautions=tuple(cautions(methods, pairs, options, num_repeated=_num_repeated(runs))),
    )


def _num_repeated(runs: Sequence[MethodRun]) -> int:
    ids = [problem[0].answer.problem_id for problem in (runs[0].answers if runs else ()) if problem]
    return len(ids) - len(set(ids))


def _check(runs: Sequence[MethodRun]) -> None:
    for name, num in Counter(run.name for run in runs).items():
        if num > 1:
            raise ValueError(f"{num} runs have the name {name!r}; give each method once at each budget")
    for run in runs:
        if _shape(run) != _shape(runs[0]):
            raise ValueError(f"{run.name} and {runs[0].name} have answers to other problems or numbers of seeds")
        if any(len(problem) != len(run.answers[0]) for problem in run.answers):
            raise ValueError(f"{run.name} lacks seeds of some problems; each problem needs one answer a seed")
        for field in ("samples", "sample_classes"):
            found = getattr(run, field)
            if found is not None and len(found) != len(run.answers):
                raise ValueError(f"{field} of {run.name} has {len(found)} problems; it must have {len(run.answers)}")


def _shape(run: MethodRun) -> list[tuple[str, int]]:
    """Return the problem id and number of seeds of each problem."""
    return [(problem[0].answer.problem_id if problem else "", len(problem)) for problem in run.answers]
