"""The checker: the only holder of reference answers. It tells right answers from wrong ones."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from critic_engine.parsing.answers import AnswerRelation
from critic_engine.types import FailedRow, Problem, ProblemRow, RowFault


@dataclass(frozen=True, slots=True)
class Objection:
    """The reason that a problem cannot be checked."""

    fault: RowFault
    reason: str
    """One line that says what to do."""


class Checker:
    """Compares answers with reference answers. Only evaluators and reports get one, and only in labelling mode.

    Several rows of one problem may each bring a reference answer. A problem with conflicting reference answers cannot
    be checked; nor can a multiple-choice problem with a reference answer that is none of its choices.
    """

    def __init__(self, rows: Iterable[ProblemRow | FailedRow] = ()) -> None:
        """Add the reference answers of ``rows``; rows without one are skipped."""
        self._references: dict[str, tuple[tuple[str, ...], ...]] = {}
        for row in rows:
            if isinstance(row, ProblemRow):
                self.add(row.problem.problem_id, row.reference_answers)

    def add(self, problem_id: str, accepted: Sequence[str]) -> None:
        """Add one row's accepted answers to its problem; none, or the same ones again, change nothing."""
        if isinstance(accepted, str):
            raise TypeError(f"the accepted answers are the text {accepted!r}; give a tuple of texts")
        known = self._references.get(problem_id, ())
        if accepted and tuple(accepted) not in known:
            self._references[problem_id] = (*known, tuple(accepted))

    def accepted(self, problem: Problem) -> tuple[tuple[str, ...], ...]:
        """Return the accepted answers of each of the problem's rows."""
        return self._references.get(problem.problem_id, ())

    def references(self, problem: Problem) -> tuple[str, ...]:
        """Return the problem's distinct reference answers, in the order of their rows."""
        return tuple(dict.fromkeys(answer for accepted in self.accepted(problem) for answer in accepted))

    def is_right(self, problem: Problem, answer: str | None) -> bool | None:
        """Return whether ``answer`` means the same as the reference answer; None if that is unknown.

        It is unknown if the problem cannot be checked, or if the answers are neither surely equal nor surely different.
        A missing answer is wrong.
        """
        if self.objection(problem) is not None:
            return None
        if answer is None:
            return False
        relation = AnswerRelation(problem.question, problem.choices)
        found = {relation.is_same(answer, reference) for reference in self.references(problem)}
        return True if True in found else None if None in found else False

    async def settle(self, problem: Problem, answers: Iterable[str | None]) -> None:
        """Do the mathematics that ``is_right`` needs for these answers in another thread."""
        references = self.references(problem)
        pairs = [(answer, reference) for answer in answers if answer is not None for reference in references]
        await AnswerRelation(problem.question, problem.choices).settle(pairs)

    def objection(self, problem: Problem) -> Objection | None:
        """Return the reason that ``problem`` cannot be checked; None if it can."""
        rows = self.accepted(problem)
        if not rows:
            reason = "it has no reference answer; write one in its column 'answer', or leave the row out"
            return Objection("no_reference_answer", reason)
        relation = AnswerRelation(problem.question, problem.choices)
        if not any(_is_accepted_by_all(answer, rows, relation) for answer in rows[0]):
            quoted = " and ".join(repr(accepted[0]) for accepted in rows)
            reason = f"its rows have different reference answers, {quoted}; keep the right one"
            return Objection("disputed_reference_answer", reason)
        foreign = [answer for answer in rows[0] if relation.choice_index(answer) is None]
        if problem.choices and len(foreign) == len(rows[0]):
            reason = f"its reference answer {foreign[0]!r} is none of the choices; write one's letter or text"
            return Objection("foreign_reference_answer", reason)
        return None


def _is_accepted_by_all(answer: str, rows: Sequence[Sequence[str]], relation: AnswerRelation) -> bool:
    return all(any(relation.is_same(answer, other) for other in accepted) for accepted in rows)
