"""The checker: it alone holds reference answers, and says of an answer whether it is right."""

from collections.abc import Iterable
from dataclasses import dataclass

from critic_engine.parsing.answers import canonical_answer, choice_index, is_same_answer
from critic_engine.types import FailedRow, Problem, ProblemRow, RowFault


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a problem cannot be checked."""

    fault: RowFault
    reason: str
    """One line that says what to do."""


class Checker:
    """Says whether an answer is right. Only evaluators and reports are given one, and only in labelling mode.

    Rows that hold the same problem may each bring a reference answer. Where these do not mean the same, none of them is
    believed, and the problem cannot be checked; nor can one with choices whose reference answer is none of them.
    """

    def __init__(self, rows: Iterable[ProblemRow | FailedRow] = ()) -> None:
        """Take up the reference answers of ``rows``, of which some may have none."""
        self._references: dict[str, tuple[str, ...]] = {}
        for row in rows:
            if isinstance(row, ProblemRow) and row.reference_answer is not None:
                self.add(row.problem.problem_id, row.reference_answer)

    def add(self, problem_id: str, reference_answer: str) -> None:
        """Take up a reference answer beside those the problem has; one it has already changes nothing."""
        known = self._references.get(problem_id, ())
        if reference_answer not in known:
            self._references[problem_id] = (*known, reference_answer)

    def references(self, problem: Problem) -> tuple[str, ...]:
        """Return the problem's reference answers, for a checker elsewhere to take up."""
        return self._references.get(problem.problem_id, ())

    def is_right(self, problem: Problem, answer: str | None) -> bool | None:
        """Return whether ``answer`` means the same as the reference answer; None when that cannot be told.

        It cannot where the problem cannot be checked, and where the two can neither be read as the same nor as
        different; no answer at all is not right.
        """
        if self.objection(problem) is not None:
            return None
        reference = self._references[problem.problem_id][0]
        return False if answer is None else is_same_answer(answer, reference, problem.choices)

    def objection(self, problem: Problem) -> Objection | None:
        """Return why ``problem`` cannot be checked; None when it can be."""
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
