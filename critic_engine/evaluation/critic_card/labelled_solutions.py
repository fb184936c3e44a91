"""Solutions with labels, read from the trees of a labelled run."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from critic_engine.data.harvest.finding_kinds import LABELS, SEARCH
from critic_engine.data.harvest.labels import SearchedPath
from critic_engine.data.harvest.paths import FinishedPath, read_paths
from critic_engine.episode.logged_tree import logged_tree
from critic_engine.errors import RunError
from critic_engine.parsing.steps import StepSplitter
from critic_engine.pocket.problems import PocketProblem, problem_of
from critic_engine.roles.checker import Checker
from critic_engine.run.findings import ProblemFindings
from critic_engine.run.store import RunStore
from critic_engine.seeds import derive_seed
from critic_engine.types import FailedRow, Problem, ProblemRow, Trajectory
from search import ReplayError


@dataclass(frozen=True, slots=True)
class StepTruth:
    """The labels of a solution's steps."""

    first_wrong_step: int | None
    """1-based; None if every step is right."""


@dataclass(frozen=True, slots=True)
class LabelledSolution:
    """One distinct solution of a problem, with its labels."""

    trajectory: Trajectory
    num_drawn: int
    """How often it is among the problem's solutions."""
    is_answer_right: bool
    """Whether its answer is right; one without an answer is wrong."""
    step_truth: StepTruth | None
    """None if its steps are not labelled."""


@dataclass(frozen=True, slots=True)
class SolvedProblem:
    """One problem with its solutions."""

    position: int
    """Its row of the run, from 0."""
    problem: Problem
    solutions: tuple[LabelledSolution, ...]
    num_unsure: int = 0
    """Solutions that were left out because the checker cannot tell whether their answer is right."""


@dataclass(frozen=True, slots=True)
class UnlabelledRow:
    """A row without labelled solutions, and why."""

    position: int
    id: str
    fault: str
    """A kind of fault, such as ``no_reference_answer`` or ``no_solution``."""
    reason: str


class SolutionReader:
    """Reads solutions and their labels from a labelled run."""

    def __init__(self, store: RunStore, *, num_solutions: int, seed: int) -> None:
        """Take at most ``num_solutions`` of the finished paths of each problem; ``seed`` chooses among more.

        Raises:
            RunError: the run holds no reference answers.
        """
        if store.checker is None:
            raise RunError(
                f"{store.folder} is no labelled run, so it holds no reference answers; give the problems file, or a "
                "run of `critic-engine collect`"
            )
        self._store = store
        self.checker: Checker = store.checker
        self._config = store.config()
        self._splitter = StepSplitter(self._config.expander)
        self._num_solutions = num_solutions
        self._seed = seed

    async def read(self, position: int) -> SolvedProblem | UnlabelledRow:
        """Return the problem at a position of the run with its solutions.

        Raises:
            RunError: the log of its search is of another version.
        """
        row = self._store.row(position)
        if isinstance(row, FailedRow):
            return UnlabelledRow(position, row.id, row.fault, row.reason)
        paths = await self._paths(position, row.problem)
        if not paths:
            answer = self._store.answer(position)
            reason = (answer and answer.error) or "its search has no finished path"
            return UnlabelledRow(position, row.id, "no_solution", reason)
        truths = self._truths(position, row)
        labelled = [(path, truths.is_answer_right(path)) for path in paths]
        known = [(path, is_right) for path, is_right in labelled if is_right is not None]
        if not known:
            reason = "the checker cannot tell whether any of its answers is right"
            return UnlabelledRow(position, row.id, "unsure", reason)
        solutions = _distinct(known, truths)
        return SolvedProblem(position, row.problem, solutions, num_unsure=len(paths) - len(known))

    async def _paths(self, position: int, problem: Problem) -> list[FinishedPath]:
        """Return the problem's finished paths, or as many of them as are wanted."""
        try:
            tree = logged_tree(self._config, problem, self._store.events(position))
        except ReplayError as error:
            raise RunError(f"the log of row {position + 1} is not of this version: {error}") from error
        await self.checker.settle(problem, (end.state.answer for end in (*tree.finished, *tree.rollouts)))
        paths = read_paths(tree, problem, checker=self.checker, splitter=self._splitter)
        paths = [path for path in paths if path.steps]
        if len(paths) <= self._num_solutions:
            return paths
        rng = random.Random(derive_seed(self._seed, problem.problem_id, "solutions"))
        return [paths[place] for place in sorted(rng.sample(range(len(paths)), self._num_solutions))]

    def _truths(self, position: int, row: ProblemRow) -> "_StepTruths":
        pocket = _pocket_problem(row, self._store.extras(position), self.checker)
        return _StepTruths(pocket, {} if pocket else _found_truths(self._store.findings.of(position)))


@dataclass(frozen=True, slots=True)
class _StepTruths:
    """The labels of one problem's solutions: of steps by the pocket oracle, or by the findings of the run."""

    pocket: PocketProblem | None
    found: Mapping[tuple[str, ...], StepTruth]

    def is_answer_right(self, path: FinishedPath) -> bool | None:
        """Return the checker's word; where it has none, the oracle's. A path without an answer is not right."""
        if path.is_known:
            return bool(path.is_right)
        return None if self.pocket is None else self.pocket.check(path.steps).is_answer_right

    def of(self, steps: tuple[str, ...]) -> StepTruth | None:
        if self.pocket is None:
            return self.found.get(steps)
        return StepTruth(self.pocket.check(steps).first_wrong)


def _distinct(paths: Sequence[tuple[FinishedPath, bool]], truths: _StepTruths) -> tuple[LabelledSolution, ...]:
    """Return the distinct solutions among paths with labelled answers, in their order."""
    counts = Counter(path.steps for path, _ in paths)
    first = {path.steps: (path, is_right) for path, is_right in reversed(paths)}
    return tuple(
        LabelledSolution(
            trajectory=Trajectory(steps, True, first[steps][0].node.state.answer, first[steps][0].pieces),
            num_drawn=num_drawn,
            is_answer_right=first[steps][1],
            step_truth=truths.of(steps),
        )
        for steps, num_drawn in counts.items()
    )


def _pocket_problem(row: ProblemRow, extras: Mapping[str, object], checker: Checker) -> PocketProblem | None:
    """Return the pocket problem of a row with a column ``board``; None if it is none, or has another answer."""
    try:
        found = problem_of({"id": row.id, "question": row.problem.question, **extras})
        is_pocket = checker.is_right(row.problem, found.answer) is True
    except (KeyError, ValueError):
        return None
    return found if is_pocket else None


def _found_truths(findings: ProblemFindings) -> dict[tuple[str, ...], StepTruth]:
    """Return the labels of steps by completions, of the solutions of which each step is labelled.

    A step counts as wrong if no completion from its end was right: the hard label of Math-Shepherd, arXiv 2312.08935.
    """
    truths: dict[tuple[str, ...], StepTruth] = {}
    for labels in findings.of_kind(LABELS):
        for path in labels.paths:
            wrong = (number for number, label in enumerate(path.labels, 1) if not label.is_hard_right)
            truths[path.steps] = StepTruth(next(wrong, None))
    for searched in findings.of_kind(SEARCH):
        if isinstance(searched, SearchedPath) and searched.known_labels:
            truths[searched.steps] = StepTruth(searched.first_wrong_step)
    return truths
