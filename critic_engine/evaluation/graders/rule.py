"""A grader made of one function, and the small parts that such functions share."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from critic_engine.evaluation.graders.grader import Grade
from critic_engine.parsing.answers import AnswerRelation, choice_letter
from critic_engine.types import ProblemRow

Rule: TypeAlias = Callable[[ProblemRow, str, str], Grade]
"""Grades an answer to a row with a reference answer, given the row, the answer and the response."""

_MAX_QUOTED = 60
_MAX_READ = 300
_MAX_NUMBER_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class RuleGrader:
    """A grader that applies one rule to every row with a reference answer."""

    name: str
    rule: Rule

    def grade(self, row: ProblemRow, answer: str, response: str) -> Grade:
        """Return the grade of one answer; see ``AnswerGrader.grade``."""
        if not row.reference_answers:
            return unsure("the row has no reference answer")
        grade = self.rule(row, answer, response)
        is_long = grade.read_as is not None and len(grade.read_as) > _MAX_READ
        return replace(grade, read_as=f"{(grade.read_as or '')[:_MAX_READ]}…") if is_long else grade


def unsure(reason: str, *, read_as: str | None = None, is_timeout: bool = False) -> Grade:
    """Return a grade that tells neither right nor wrong."""
    return Grade(None, reason, read_as, is_timeout)


def by_letter(letter: str | None, row: ProblemRow) -> Grade:
    """Return right if ``letter`` is that of a reference, else wrong; None is no letter, and wrong."""
    letters = reference_letters(row)
    return Grade(letter in letters, read_as=letter) if letters else unsure(foreign_reference(row), read_as=letter)


def reference_letters(row: ProblemRow) -> frozenset[str]:
    """Return the letters of the choices that the references name; of a row without choices, those they are."""
    choices = row.problem.choices
    if not choices:
        texts = (reference.strip().upper() for reference in row.reference_answers)
        return frozenset(text for text in texts if len(text) == 1 and text.isalpha())
    return frozenset(map(choice_letter, reference_indices(row)))


def reference_indices(row: ProblemRow) -> frozenset[int]:
    """Return the 0-based indices of the choices that the references name by letter or text."""
    relation = AnswerRelation(row.problem.question, row.problem.choices)
    found = (relation.choice_index(reference) for reference in row.reference_answers)
    return frozenset(index for index in found if index is not None)


def foreign_reference(row: ProblemRow) -> str:
    """Return the reason for which a row's reference cannot be compared with choices."""
    return f"the reference answer {quoted(row.reference_answers[0])} is none of the choices"


def number_in(text: str) -> float | None:
    """Return the number that a whole text is, as Python reads it; None if it is none, or not finite."""
    try:
        number = float(text) if len(text) <= _MAX_NUMBER_CHARACTERS else None
    except ValueError:
        return None
    return number if number is not None and abs(number) < float("inf") else None


def quoted(text: str) -> str:
    """Return the beginning of a text in quotes, in one line."""
    shown = repr(text[: _MAX_QUOTED + 1])
    return shown if len(shown) <= _MAX_QUOTED + 2 else f"{shown[: _MAX_QUOTED + 1]}…{shown[0]}"
