"""The checker: the only holder of reference answers. It tells right answers from wrong ones."""

from collections.abc import Iterable
from dataclasses import dataclass

from critic_engine.parsing.answers import canonical_answer, choice_index, is_same_answer
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
        self._references: dict[str, tuple[str, ...]] = {}
        for row in rows:
            if isinstance(row, ProblemRow) and row.reference_answer is not None:
                self.add(row.problem.problem_id, row.reference_answer)

    def add(self, problem_id: str, reference_answer: str) -> None:
        """Add a reference answer to a problem; adding the same one again changes nothing."""
        known = self._references.get(problem_id, ())
        if reference_answer not in known:
            self._references[problem_id] = (*known, reference_answer)

    def references(self, problem: Problem) -> tuple[str, ...]:
        """Return the problem's distinct reference answers, in the order of their rows."""
        return self._references.get(problem.problem_id, ())

    def is_right(self, problem: Problem, answer: str | None) -> bool | None:
        """Return whether ``answer`` means the same as the reference answer; None if that is unknown.

        It is unknown if the problem cannot be checked, or if the answers are neither surely equal nor surely different.
        A missing answer is wrong.
        """
        if self.objection(problem) is not None:
            return None
        reference = self._references[problem.problem_id][0]
        return False if answer is None else is_same_answer(answer, reference, problem.choices)

    def objection(self, problem: Problem) -> Objection | None:
        """Return the reason that ``problem`` cannot be checked; None if it can."""
        references = self.references(problem)
        if not references:
            reason = "it has no reference answer; write one in its column 'answer', or leave the row out"
            return Objection("no_reference_answer", reason)
        meanings = {canonical_answer(reference, problem.choices): reference for reference in references}
        if len(meanings) > 1:
            quoted = " and ".join(repr(reference) for reference in meanings.values())
            reason = f"its rows have different reference answers, {quoted}; keep the right one"
            return Objection("disputed_reference_answer", reason)
        if problem.choices and choice_index(references[0], problem.choices) is None:
            reason = f"its reference answer {references[0]!r} is none of the choices; write one's letter or text"
            return Objection("foreign_reference_answer", reason)
        return None
