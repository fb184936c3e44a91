"""Finished runs of an evaluation as graded answers: the seeds of a method at one budget together."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from critic_engine.config.engine import EngineConfig
from critic_engine.evaluation.campaign import Campaign
from critic_engine.evaluation.graded import GradedAnswer, MethodRun
from critic_engine.evaluation.graders.grader import Grade
from critic_engine.evaluation.plan import PlannedRun
from critic_engine.evaluation.problem_set import GradedProblem
from critic_engine.evaluation.role_costs import RoleCosts
from critic_engine.evaluation.scoring import Scorekeeper, stored_answers
from critic_engine.run.store import RunStore
from critic_engine.types import ProblemRow
from search import BestOfNOptions


@dataclass(frozen=True, slots=True)
class Sampled:
    """The independent samples of all problems of one run."""

    grades: tuple[tuple[Grade, ...], ...]
    classes: tuple[tuple[str, ...], ...]


def read_method_runs(campaign: Campaign, keeper: Scorekeeper) -> list[MethodRun]:
    """Return the graded answers of all runs of an evaluation, in the order of its methods and budgets.

    Raises:
        RunError: a run is not finished, damaged, or over other problems.
    """
    groups: dict[tuple[str, float | None], list[PlannedRun]] = {}
    for run in campaign.plan.runs():
        groups.setdefault((run.method, run.budget), []).append(run)
    return [_method_run(campaign, runs, keeper) for runs in groups.values()]


def answer_texts(campaign: Campaign) -> Iterator[tuple[ProblemRow, str, str]]:
    """Yield each answer of all runs with its problem and its response, as graders take them.

    Raises:
        RunError: a run is not finished, damaged, or over other problems.
    """
    problems = campaign.problems.problems
    for run in campaign.plan.runs():
        with RunStore.view(campaign.run_folder(run)) as store:
            answers = stored_answers(store, problems)
        for problem, answer in zip(problems, answers, strict=True):
            if answer.answer is not None:
                yield problem.row, answer.answer, "\n".join(answer.steps)


def _method_run(campaign: Campaign, runs: Sequence[PlannedRun], keeper: Scorekeeper) -> MethodRun:
    of_seeds = [_graded(campaign, run, keeper) for run in runs]
    sampled = _sampled(campaign, runs[0], keeper)
    costs = RoleCosts.of(runs[0].config, [graded.answer for answers in of_seeds for graded in answers])
    folders = tuple(str(campaign.run_folder(run)) for run in runs)
    return MethodRun(
        method=runs[0].method,
        budget=runs[0].budget,
        answers=tuple(zip(*of_seeds, strict=True)),
        samples=None if sampled is None else sampled.grades,
        sample_classes=None if sampled is None else sampled.classes,
        wall_s=sum(map(campaign.wall_s, runs)),
        usd=costs.usd(),
        flops=costs.flops(),
        needs_reference=runs[0].needs_reference,
        folders=folders,
        rows=tuple(range(1, len(campaign.problems.problems) + 1)),
    )


def _graded(campaign: Campaign, run: PlannedRun, keeper: Scorekeeper) -> list[GradedAnswer]:
    problems = campaign.problems.problems
    with RunStore.view(campaign.run_folder(run)) as store:
        answers = stored_answers(store, problems)
    return [keeper.grade(problem, answer) for problem, answer in zip(problems, answers, strict=True)]


def _sampled(campaign: Campaign, run: PlannedRun, keeper: Scorekeeper) -> Sampled | None:
    with RunStore.view(campaign.run_folder(run)) as store:
        return samples_of(store, run.config, enumerate(campaign.problems.problems), keeper)


def samples_of(
    store: RunStore, config: EngineConfig, problems: Iterable[tuple[int, GradedProblem]], keeper: Scorekeeper
) -> Sampled | None:
    """Return the graded independent samples of the problems at these positions of a run; None if it draws none.

    Raises:
        RunError: a log cannot be read.
    """
    options = config.strategy.options
    if not isinstance(options, BestOfNOptions) or options.num_samples < 2:
        return None
    found = [keeper.samples(store, position, problem) for position, problem in problems]
    return Sampled(tuple(grades for grades, _ in found), tuple(classes for _, classes in found))
