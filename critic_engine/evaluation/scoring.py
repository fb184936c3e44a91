"""Grading the answers of a run directory by reference answers that the run never saw."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from critic_engine.episode.node_state import NodeState, decode_state
from critic_engine.errors import RunError
from critic_engine.evaluation.graded import GradedAnswer
from critic_engine.evaluation.graders.grader import AnswerGrader, Grade
from critic_engine.evaluation.problem_set import GradedProblem
from critic_engine.parsing.answers import AnswerClasses
from critic_engine.run.store import RunStore
from critic_engine.types import Answer
from search import Abandoned, Proposal, ReplayError, Told, event_from_dict

_UNREADABLE = ("reasoner_unreadable", "reasoner_cut")
_UNANSWERED = Grade(False, "it gives no answer")


@dataclass(frozen=True, slots=True)
class Scorekeeper:
    """Grades the answers of runs; the same answer to the same problem is graded once."""

    grader: AnswerGrader
    _known: dict[tuple[str, tuple[str, ...], str, int], Grade] = field(default_factory=dict, init=False)

    def grade(self, problem: GradedProblem, answer: Answer) -> GradedAnswer:
        """Return the graded answer, without its steps; a failed problem is wrong."""
        # Without its steps: those of all answers of an evaluation may not fit into memory.
        light = replace(answer, problem_id=problem.problem_id, steps=())
        if answer.answer is None:
            return GradedAnswer(light, Grade(False, f"the problem failed: {answer.error or 'it has no answer'}"))
        return GradedAnswer(light, self._grade(problem, answer.answer, answer.steps))

    def samples(
        self, store: RunStore, position: int, problem: GradedProblem
    ) -> tuple[tuple[Grade, ...], tuple[str, ...]]:
        """Return the grades and answer classes of a problem's independent samples, in the order they were told.

        A sample without an answer is wrong, and the only one of its class.

        Raises:
            RunError: the log of the search cannot be read.
        """
        classes = AnswerClasses(problem.row.problem.question, problem.row.problem.choices)
        grades: list[Grade] = []
        names: list[str] = []
        for number, sample in enumerate(_samples(store, position)):
            answer = None if sample is None or not sample.is_terminal else sample.state.answer
            if sample is None or answer is None:
                grades.append(_UNANSWERED)
                names.append(f"no answer in sample {number + 1}")
            else:
                grades.append(self._grade(problem, answer, sample.state.steps))
                names.append(classes.key(answer))
        return tuple(grades), tuple(names)

    def _grade(self, problem: GradedProblem, answer: str, steps: Sequence[str]) -> Grade:
        response = "\n".join(steps)
        key = (problem.problem_id, problem.row.reference_answers, answer, hash(response))
        if key not in self._known:
            self._known[key] = self.grader.grade(problem.row, answer, response)
        return self._known[key]


def stored_answers(store: RunStore, problems: Sequence[GradedProblem]) -> list[Answer]:
    """Return the answers of a finished run over exactly these problems.

    Raises:
        RunError: the run is over other problems, or some have no outcome.
    """
    if store.num_rows != len(problems):
        raise RunError(f"{store.folder} has {store.num_rows} problems, and {len(problems)} are graded")
    answers = dict(store.answers())
    for position, problem in enumerate(problems):
        if position not in answers:
            raise RunError(f"{store.folder}: row {position + 1} has no outcome; resume the run")
        if answers[position].problem_id not in ("", problem.problem_id):
            raise RunError(
                f"{store.folder}: row {position + 1} is not the problem {problem.row.id} of the problems file, which "
                "has changed; put the file back, or evaluate in a new folder"
            )
    return [answers[position] for position in range(len(problems))]


def _samples(store: RunStore, position: int) -> Iterator[Proposal[NodeState] | None]:
    """Yield the told proposals of a sampling search; None for a sample that could not be read."""
    unreadable = {each.trial_id for each in store.failures(position) if each.kind in _UNREADABLE}
    with _explained(store, position):
        for event in store.events(position):
            settled = event_from_dict(event, decode_state)
            if isinstance(settled, Told):
                yield from settled.proposals
            elif isinstance(settled, Abandoned) and settled.trial_id in unreadable:
                yield None


@contextlib.contextmanager
def _explained(store: RunStore, position: int) -> Iterator[None]:
    try:
        yield
    except (ReplayError, ValueError) as error:
        raise RunError(f"{store.folder}: the log of row {position + 1} cannot be read: {error}") from error
