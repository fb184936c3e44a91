"""Graders that hold for every data set: by the engine's answer relation, and by equal text."""

import unicodedata

from critic_engine.evaluation.graders.grader import Grade
from critic_engine.parsing.answers import AnswerRelation
from critic_engine.types import ProblemRow

_MAX_QUOTED = 60


class RelationGrader:
    """Grades by the answer relation that votes and searches use, over all accepted references.

    An answer is right if it means the same as one of the references, and wrong only if it surely differs from each.
    The comparison of formulas may take seconds; call ``grade`` from a thread where a loop must not wait.
    """

    name = "relation"

    def grade(self, row: ProblemRow, answer: str, response: str) -> Grade:
        """Return the grade of ``answer``; the response is not read."""
        relation = AnswerRelation(row.problem.question, row.problem.choices)
        found = [relation.is_same(answer, reference) for reference in row.reference_answers]
        read_as = relation.read(answer).key
        if True in found:
            return Grade(True, read_as=read_as)
        if found and None not in found:
            return Grade(False, read_as=read_as)
        unsure = [reference for reference, same in zip(row.reference_answers, found, strict=True) if same is None]
        return Grade(None, f"{quoted(answer)} and {quoted(unsure[0])} may mean the same" if unsure else NO_REFERENCE,
                     read_as=read_as)  # fmt: skip


class ExactGrader:
    """Grades by equal text: Unicode in its composed form, without the spaces around, case as it is."""

    name = "exact"

    def grade(self, row: ProblemRow, answer: str, response: str) -> Grade:
        """Return the grade of ``answer``; the response is not read."""
        if not row.reference_answers:
            return Grade(None, NO_REFERENCE)
        read_as = _composed(answer)
        return Grade(read_as in map(_composed, row.reference_answers), read_as=read_as)


NO_REFERENCE = "the row has no reference answer"


def quoted(text: str) -> str:
    """Return the beginning of a text in quotes, in one line."""
    return repr(text if len(text) <= _MAX_QUOTED else text[:_MAX_QUOTED] + "…")


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()
