"""The rule of MathVista (its ``calculate_score``): the answer in the form of its type, then equal text.

Its program asks a language model to extract the answer from a response, except for a few plain forms; the engine's own
reading takes that place.
"""

import re

from critic_engine.evaluation.graders.grader import Grade
from critic_engine.evaluation.graders.rule import foreign_reference, number_in, quoted, reference_indices, unsure
from critic_engine.parsing.answers import choice_letter
from critic_engine.types import ProblemRow

_SENTENCE = 'The answer is "'
_BRACKETED = re.compile(r"\(([a-zA-Z])\)")
_MAX_DISTANCE_WORK = 150_000
"""Pairs of characters that the search for the nearest choice may compare; more is no answer."""
_MAX_DECIMALS = 20


def grade_mathvista(row: ProblemRow, answer: str, response: str) -> Grade:
    """Grade by the choice that is named or nearest, or by the number, list or text in the form of its type."""
    choices = row.problem.choices
    sentence = _quoted_answer(response)
    extracted = answer if sentence is None else sentence
    if choices and response.strip() in choices:
        extracted = response
    extracted = extracted.strip()
    if not extracted:
        return unsure("no answer was found in the response")
    return _grade_choice(row, extracted) if choices else _grade_open(row, extracted, is_quoted=sentence is not None)


def _quoted_answer(response: str) -> str | None:
    """Return the text between the first ``The answer is "`` and the last ``".`` in its line."""
    for line in response.split("\n"):
        start = line.find(_SENTENCE)
        end = line.rfind('".', start + len(_SENTENCE)) if start >= 0 else -1
        if end >= 0:
            return line[start + len(_SENTENCE) : end]
    return None


def _grade_choice(row: ProblemRow, extracted: str) -> Grade:
    choices = row.problem.choices
    letter = _BRACKETED.search(extracted)
    extracted = letter[1].upper() if letter else extracted
    letters = [choice_letter(index) for index in range(len(choices))]
    if extracted not in letters and len(extracted) * sum(map(len, choices)) > _MAX_DISTANCE_WORK:
        return unsure(f"{quoted(extracted)} is too long to be compared with the choices")
    if extracted in letters:
        index = letters.index(extracted)
    else:
        index = min(range(len(choices)), key=lambda each: _edit_distance(extracted, choices[each]))
    accepted = [choices[each] for each in reference_indices(row)]
    if not accepted:
        return unsure(foreign_reference(row), read_as=choices[index])
    return Grade(choices[index] in accepted, read_as=choices[index])


def _grade_open(row: ProblemRow, extracted: str, *, is_quoted: bool) -> Grade:
    kind = row.extras.get("answer_type")
    if kind not in ("integer", "float", "list", "text"):
        return unsure(f"the row's answer_type is {quoted(str(kind))}; the rule needs integer, float, list or text")
    read_as: str | None = extracted
    if kind in ("integer", "float"):
        number, decimals = number_in(extracted), _decimals(row.extras.get("precision"))
        if number is None and not is_quoted:
            return unsure(f"{quoted(extracted)} is no plain number, and the rule asks a language model for it")
        if kind == "float" and decimals is None:
            return unsure("the row has no precision, the number of decimals that the rule rounds to")
        if number is None:
            read_as = None
        else:
            read_as = str(int(number)) if kind == "integer" or decimals is None else str(round(number, decimals))
    return Grade(read_as in [reference.strip() for reference in row.reference_answers], read_as=read_as)


def _decimals(cell: object) -> int | None:
    number = None if isinstance(cell, bool) or cell is None else number_in(str(cell))
    return int(number) if number is not None and 0 <= number <= _MAX_DECIMALS else None


def _edit_distance(left: str, right: str) -> int:
    """Return the least number of characters to insert, delete or replace (Levenshtein, 1966)."""
    distances = list(range(len(right) + 1))
    for row, one in enumerate(left, 1):
        diagonal, distances[0] = distances[0], row
        for column, other in enumerate(right, 1):
            cost = min(distances[column] + 1, distances[column - 1] + 1, diagonal + (one != other))
            diagonal, distances[column] = distances[column], cost
    return distances[-1]
