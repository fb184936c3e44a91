"""The rule of MMMU (its ``eval_utils``): the last letter or choice in a response, or the phrases and numbers of it."""

import re
from collections.abc import Iterator, Sequence

from critic_engine.evaluation.graders.grader import Grade
from critic_engine.evaluation.graders.rule import by_letter, number_in, quoted, unsure
from critic_engine.parsing.answers import choice_letter
from critic_engine.types import ProblemRow

_ENDS = ",.!?;:'"
_MIN_WORDS = 6
_INDICATORS = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")
# Digits are never given back, so that a long number takes linear time.
_GROUPED = re.compile(r"-?\b[0-9]{1,3}(?:,[0-9]{3})+\b")
_SCIENTIFIC = re.compile(r"-?(?<![0-9])[0-9]++(?:\.[0-9]++)?[eE][+-]?[0-9]+")
_SIMPLE = re.compile(r"-?(?:(?<![0-9])[0-9]++\.[0-9]++|\.[0-9]++|(?<![0-9])[0-9]++\b)(?![eE][+-]?[0-9])(?![,0-9])")


def grade_mmmu(row: ProblemRow, answer: str, response: str) -> Grade:
    """Grade by the choice that the response names last, or an open answer by its phrases and numbers."""
    return _grade_choice(row, answer, response) if row.problem.choices else _grade_open(row, answer, response)


def _grade_choice(row: ProblemRow, answer: str, response: str) -> Grade:
    """Grade by the letter; without any in the response, by the letter in the answer that the engine read."""
    letter = _last_choice(response, row.problem.choices) or _last_choice(answer, row.problem.choices)
    if letter is None:
        return unsure(f"the rule reads no choice from {quoted(answer)}, and then draws one at random")
    return by_letter(letter, row)


def _last_choice(response: str, choices: Sequence[str]) -> str | None:
    for end in _ENDS:
        response = response.strip(end)
    padded = f" {response} "
    letters = [choice_letter(index) for index in range(len(choices))]
    places = _places(padded, {letter: f"({letter})" for letter in letters})
    places = places or _places(padded, {letter: f" {letter} " for letter in letters})
    places = places or _places(padded, {letter: f" {letter}." for letter in letters})
    if not places and len(response.split()) >= _MIN_WORDS:
        texts = zip(letters, (choice.lower() for choice in choices), strict=True)
        places = _places(padded.lower(), {letter: text for letter, text in texts if text})
    return max(places, key=lambda letter: places[letter]) if places else None


def _places(text: str, forms: dict[str, str]) -> dict[str, int]:
    """Return the last place of each form that is in the text, by its letter."""
    return {letter: place for letter, form in forms.items() if (place := text.rfind(form)) >= 0}


def _grade_open(row: ProblemRow, answer: str, response: str) -> Grade:
    """Grade by a reference that is in a phrase of the response, or equals one of its numbers to two decimals."""
    phrases = list(_phrases(response if response.strip() else answer))
    whole = [_rounded(phrase) for phrase in phrases]
    numbers = {number for number in whole if number is not None} | set(_numbers_in("\n".join(phrases)))
    texts = [form for phrase, number in zip(phrases, whole, strict=True) if number is None for form in _forms(phrase)]
    is_right = any(
        number in numbers if (number := _rounded(reference)) is not None
        else any(form in text for form in _forms(reference) for text in texts)
        for reference in row.reference_answers
    )  # fmt: skip
    return Grade(is_right, read_as=phrases[-1])


def _phrases(response: str) -> Iterator[str]:
    """Yield the end of each line behind the last indicator of an answer in it; the whole response if there is none."""
    response = response.strip().strip(".").lower()
    lines = response.split("\n")
    found = False
    for number, line in enumerate(lines, 1):
        # Only the last line may be an equation.
        indicators = (*_INDICATORS, "=") if number == len(lines) else _INDICATORS
        phrase = ""
        for end in (line.rpartition(each)[2].strip() for each in indicators if each in line):
            phrase = end if not phrase or len(end) < len(phrase) else phrase
        if phrase and phrase not in tuple(":,.!?;'"):
            found = True
            yield phrase
    if not found:
        yield response


def _numbers_in(text: str) -> Iterator[float]:
    for pattern in (_GROUPED, _SCIENTIFIC, _SIMPLE):
        yield from (number for each in set(pattern.findall(text)) if (number := _rounded(each)) is not None)


def _rounded(text: str) -> float | None:
    number = number_in(text.strip().replace(",", ""))
    return None if number is None else round(number, 2)


def _forms(text: str) -> tuple[str, ...]:
    """Return a text as it is looked for in phrases; one character with a space on either side."""
    text = text.strip().lower()
    return (f" {text}", f"{text} ") if len(text) == 1 else (text,) if text else ()
