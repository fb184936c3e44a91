"""The rules of benchmarks whose answers are letters: MMStar, RealWorldQA, M3CoT and ScienceQA.

They read the letter from the whole response. Where the benchmark's program draws a choice at random, or takes a letter
from inside of a word, the outcome is unsure.
"""

import re
from collections.abc import Iterator, Sequence

from critic_engine.evaluation.graders.grader import Grade
from critic_engine.evaluation.graders.rule import by_letter, quoted, reference_letters, unsure
from critic_engine.parsing.answers import choice_letter
from critic_engine.types import ProblemRow

_FOUR = "ABCD"
_ENDS = (",", ".", "!", "?", ";", ":", "'", '"')
_NAMES = ("answer", "correct answer", "best answer", "correct option", "best option", "choice", "correct choice")
_PHRASES = (
    *(f"{article}{name} is" for name in _NAMES for article in ("", "the ")),
    *("my answer is", "my choice is", "i choose", "i select", "i pick"),
    *("옵션", "정답은", "답은", "답:", "答案是", "答案为", "选", "答えは"),
)
_BRACKETED = re.compile(r"\(([A-Za-z])\)")
_M3COT_MARKS = re.compile(r"[\n.,!?]")
_SCIENCEQA_SENTENCE = re.compile(r"The answer is ([A-Z]).")


def grade_mmstar(row: ProblemRow, answer: str, response: str) -> Grade:
    """Grade MMStar as lmms-eval does (``mcq_extract``): the letter A to D in the clearest form, the last of these."""
    return _by_clearest_letter(row, response if response.strip() else answer)


def grade_realworldqa(row: ProblemRow, answer: str, response: str) -> Grade:
    """Grade RealWorldQA as lmms-eval does: a letter A to D like MMStar's, else equal text whatever its case."""
    if reference_letters(row) & set(_FOUR):
        return _by_clearest_letter(row, response if response.strip() else answer)
    read_as = answer.lower().strip().rstrip(".")
    return Grade(read_as in [each.strip().lower() for each in row.reference_answers], read_as=read_as)


def grade_m3cot(row: ProblemRow, answer: str, response: str) -> Grade:
    """Grade M3CoT by its ``judge_answer``: the last "(X)", else the last choice named; nothing found is wrong.

    Only the text behind the last "[Answer]" is read. Of several choices named without brackets, the last in the order
    of the choices counts.
    """
    if not row.problem.choices:
        return unsure("the row has no choices")
    text = response if response.strip() else answer
    if "[Answer]" in text:
        text = text.rpartition("[Answer]")[2].partition("[Rationale]")[0].partition("[Context]")[0]
    found = _BRACKETED.findall(text)
    return by_letter(found[-1].upper() if found else _named_without_brackets(text, row.problem.choices), row)


def _named_without_brackets(text: str, choices: Sequence[str]) -> str | None:
    letters = [choice_letter(index) for index in range(len(choices))]
    lowered, words = text.lower(), set(_M3COT_MARKS.sub(" ", text).split(" "))
    named = [letter for letter, choice in zip(letters, choices, strict=True) if choice.lower() in lowered]
    named = named or [letter for letter in letters if letter in words]
    named = named or [letter for letter in letters if letter.lower() in words]
    return named[-1] if named else None


def grade_scienceqa(row: ProblemRow, answer: str, response: str) -> Grade:
    """Grade ScienceQA by its sentence "The answer is X.", once in the response, or by an answer that is one letter.

    The answer is a letter alone, or begins with "X.", as lmms-eval reads it. ScienceQA's own program draws a choice at
    random where the sentence is missing or stands twice.
    """
    if not row.problem.choices:
        return unsure("the row has no choices")
    found = _SCIENCEQA_SENTENCE.findall(response)
    if len(found) > 1:
        return unsure(f"the response says {len(found)} times 'The answer is X.', and the rule then draws at random")
    letter = found[0] if found else _leading_letter(response.strip()) or _leading_letter(answer.strip())
    if letter is None or letter not in map(choice_letter, range(len(row.problem.choices))):
        return unsure(f"the rule reads no choice from {quoted(answer)}, and then draws at random")
    return by_letter(letter, row)


def _leading_letter(text: str) -> str | None:
    is_letter = len(text) == 1 and text.isalpha()
    return text[0].upper() if is_letter or (text[:1].isupper() and text[1:2] == ".") else None


def _by_clearest_letter(row: ProblemRow, text: str) -> Grade:
    for end in ("", *_ENDS):
        text = text.strip(end or None)
    # Clearer forms count more; of one form the later place does, and at one place the earlier letter.
    found = [(force, place, -_FOUR.index(letter)) for force, place, letter in _letters(text)]
    if found:
        return by_letter(_FOUR[-max(found)[2]], row)
    place = max(map(text.rfind, _FOUR))
    if place < 0:
        return by_letter(None, row)
    if text[max(0, place - 1) : place].isalnum() or text[place + 1 : place + 2].isalnum():
        return unsure(f"no letter of a choice stands apart in {quoted(text)}")
    return by_letter(text[place], row)


def _letters(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield each letter found, with the force of its form and its place."""
    padded = f" {text} "
    lowered = padded.lower()
    starts = [place + len(phrase) for phrase in _PHRASES if (place := lowered.find(phrase)) >= 0]
    text = text.strip()
    for letter in _FOUR:
        if text.startswith(letter) and not text[1:2].isalpha():
            yield 10, 0, letter
        if text.endswith(letter) and not text[-2:-1].isalpha():
            yield 9, len(padded) - 1, letter
        for start in starts:
            if (place := padded.find(letter, start)) >= 0:
                yield 7, place, letter
        for force, form in ((6, "({})"), (5, "{}."), (4, "{}:"), (3, "{})"), (2, "{} ")):
            if (place := padded.rfind(form.format(letter))) >= 0:
                yield force, place, letter
