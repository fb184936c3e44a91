"""The rules of benchmarks with open answers: ChartQA, MathVerse and GSM8K."""

import re

from critic_engine.evaluation.graders.grader import Grade
from critic_engine.evaluation.graders.rule import number_in, quoted, reference_letters, unsure
from critic_engine.types import ProblemRow

_MAX_RELATIVE_CHANGE = 0.05
_MARKED = re.compile(r"#### (-?[0-9.,]+)")
_PLAIN_NUMBER = re.compile(r"-?\$?-?[0-9][0-9.,]*")


def grade_chartqa(row: ProblemRow, answer: str, response: str) -> Grade:
    """Grade ChartQA by relaxed accuracy (Masry et al., 2022, section 5.1): 5% off for numbers, else equal text.

    Both are read as VLMEvalKit and lmms-eval do: "5%" is 0.05, a reference of 0 and a number with commas are text, and
    case does not count. The best of several references counts.
    """
    read_as = answer.strip()
    return Grade(any(_is_near(read_as, each.strip()) for each in row.reference_answers), read_as=read_as)


def _is_near(given: str, reference: str) -> bool:
    number, target = _share_or_number(given), _share_or_number(reference)
    if number is not None and target:
        return abs(number - target) / abs(target) <= _MAX_RELATIVE_CHANGE
    return given.lower() == reference.lower()


def _share_or_number(text: str) -> float | None:
    number = number_in(text.rstrip("%"))
    return number / 100 if number is not None and text.endswith("%") else number


def grade_mathverse(row: ProblemRow, answer: str, response: str) -> Grade:
    """Grade the part of MathVerse that needs no language model: equal text is right, another letter wrong."""
    read_as = answer.strip()
    if read_as in [reference.strip() for reference in row.reference_answers]:
        return Grade(True, read_as=read_as)
    letters = reference_letters(row) if row.problem.choices else {each.strip() for each in row.reference_answers}
    if all(map(_is_letter, (read_as, *letters))) and letters:
        return Grade(read_as in letters, read_as=read_as)
    return unsure(f"{quoted(read_as)} is no equal text, and the rule asks a language model", read_as=read_as)


def _is_letter(text: str) -> bool:
    return len(text) == 1 and text.isupper()


def grade_gsm8k(row: ProblemRow, answer: str, response: str) -> Grade:
    """Grade GSM8K by the number behind the first "#### " (its ``extract_answer``), compared as text without commas.

    A response without the mark is graded by the answer that the engine read, if that is a plain number. The dollar sign
    and the point at the end are left out on both sides, as lm-eval does.
    """
    marked = _MARKED.search(response)
    if marked is None and _PLAIN_NUMBER.fullmatch(answer.strip()) is None:
        return unsure(f"the response has no '#### ' with a number, and {quoted(answer)} is no plain number")
    read_as = _plain(marked[1] if marked else answer)
    return Grade(read_as in map(_plain, row.reference_answers), read_as=read_as)


def _plain(text: str) -> str:
    return text.strip().replace(",", "").replace("$", "").removesuffix(".")
