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
    """Return pass@k for each k of the options that every problem has samples for.

    How many samples a search draws may depend on their answers. So each problem counts with its first ``m`` samples,
    where ``m`` is the fewest of any search that did not fail; samples that a failed search lacks are wrong.
    """
    num = _num_samples(run)
    right = [sum(grade.is_right is True for grade in grades[:num]) for grades in run.samples or ()]
    return tuple(_share_at(k, [pass_at_k(num, each, k) for each in right]) for k in _ks(num, options))


def majority_at(run: MethodRun, options: ReportOptions) -> tuple[ShareAtK, ...]:
    """Return maj@k of the same samples for the same k; nothing without classes."""
    if run.sample_classes is None or run.samples is None:
        return ()
    num = _num_samples(run)
    problems = [_votes(*each, num=num) for each in zip(run.sample_classes, run.samples, strict=True)]
    return tuple(_share_at(k, list(_majorities(problems, k, seed=options.seed))) for k in _ks(num, options))


def _majorities(problems: Sequence[tuple[_Vote, ...]], k: int, *, seed: int) -> Iterator[float]:
    # Problems whose votes are alike have the same maj@k, which takes up to 4,000 draws to compute.
    known: dict[tuple[_Vote, ...], float] = {}
    for votes in problems:
        if votes not in known:
            classes, is_right = zip(*votes, strict=True)
            known[votes] = majority_at_k(classes, is_right, k, seed=seed)
        yield known[votes]


def _votes(classes: Sequence[str | None], grades: Sequence[Grade], *, num: int) -> tuple[_Vote, ...]:
    """Return ``num`` samples in an order, and with numbers for classes, that depend on the classes' sizes alone."""
    drawn = list(zip(classes, grades, strict=True))[:num]
    sizes = Counter(name for name, _ in drawn if name is not None)
    right = Counter(name for name, grade in drawn if grade.is_right)
    alike = sorted(((size, right[name]) for name, size in sizes.items()), reverse=True)
    votes = [(number, place < num_right) for number, (size, num_right) in enumerate(alike) for place in range(size)]
    return (*votes, *([(None, False)] * (num - len(votes))))


def _num_samples(run: MethodRun) -> int:
    """Return the fewest samples of any search that did not fail."""
    searched = zip(run.samples or (), run.answers, strict=False)
    return min((len(grades) for grades, problem in searched if problem[0].answer.status == "answered"), default=0)


def _ks(num: int, options: ReportOptions) -> list[int]:
    return [k for k in sorted(set(options.pass_ks)) if k <= num]


def _share_at(k: int, values: Sequence[float]) -> ShareAtK:
    return ShareAtK(k=k, share=measured(clustered_share([[value] for value in values])))
