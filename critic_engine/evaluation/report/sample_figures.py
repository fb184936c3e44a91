"""pass@k and maj@k of a method's independent samples."""

from collections import Counter
from collections.abc import Iterator, Sequence

from critic_engine.evaluation.graded import MethodRun
from critic_engine.evaluation.graders.grader import Grade
from critic_engine.evaluation.report.comparison_report import ShareAtK
from critic_engine.evaluation.report.measuring import measured
from critic_engine.evaluation.report.report_options import ReportOptions
from critic_engine.statistics.intervals import clustered_share
from critic_engine.statistics.sampling import majority_at_k, pass_at_k

_Vote = tuple[int | None, bool]


def pass_at(run: MethodRun, options: ReportOptions) -> tuple[ShareAtK, ...]:
    """Return pass@k for each k of the options that some problem has samples for."""
    counts = [(len(grades), sum(grade.is_right is True for grade in grades)) for grades in run.samples or ()]
    return tuple(
        _share_at(k, [pass_at_k(num, num_right, k) for num, num_right in counts if num >= k]) for k in _ks(run, options)
    )


def majority_at(run: MethodRun, options: ReportOptions) -> tuple[ShareAtK, ...]:
    """Return maj@k for the same k; nothing without classes."""
    if run.sample_classes is None or run.samples is None:
        return ()
    problems = [_votes(*each) for each in zip(run.sample_classes, run.samples, strict=True)]
    return tuple(_share_at(k, list(_majorities(problems, k, seed=options.seed))) for k in _ks(run, options))


def _majorities(problems: Sequence[tuple[_Vote, ...]], k: int, *, seed: int) -> Iterator[float]:
    # Problems whose votes are alike have the same maj@k, which takes up to 4,000 draws to compute.
    known: dict[tuple[_Vote, ...], float] = {}
    for votes in problems:
        if len(votes) < k:
            continue
        if votes not in known:
            classes, is_right = zip(*votes, strict=True)
            known[votes] = majority_at_k(classes, is_right, k, seed=seed)
        yield known[votes]


def _votes(classes: Sequence[str | None], grades: Sequence[Grade]) -> tuple[_Vote, ...]:
    """Return the samples in an order, and with numbers for classes, that depend on the sizes of the classes alone."""
    right = Counter(name for name, grade in zip(classes, grades, strict=True) if grade.is_right)
    sizes = Counter(classes)
    num_unanswered = sizes.pop(None, 0)
    alike = sorted(((size, right[name]) for name, size in sizes.items()), reverse=True)
    votes = [(number, place < num) for number, (size, num) in enumerate(alike) for place in range(size)]
    return (*votes, *([(None, False)] * num_unanswered))


def _ks(run: MethodRun, options: ReportOptions) -> list[int]:
    most = max(map(len, run.samples or ()), default=0)
    return [k for k in sorted(set(options.pass_ks)) if k <= most]


def _share_at(k: int, values: Sequence[float]) -> ShareAtK:
    return ShareAtK(k=k, share=measured(clustered_share([[value] for value in values])), num_problems=len(values))
