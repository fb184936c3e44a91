"""The reference answers of a row: a text, a letter, an index, a list, or the end of a worked solution."""

import re
from collections.abc import Sequence

from critic_engine.data.schemas.cells import is_missing, kind_of, list_in, text_of
from critic_engine.data.schemas.choice_reading import Choices
from critic_engine.data.schemas.schema import LETTERS, AnswerForm
from critic_engine.errors import ProblemError

_LETTER = re.compile(r"\(?([A-Za-z])[).:]?")
_INDEX = re.compile(r"[0-9]{1,4}")
_MARKED = re.compile(r"^#### *([^\n]*)$", re.MULTILINE)
_TAGGED = re.compile(r"<answer>([^<]*)</answer>", re.IGNORECASE)
_BOX_OR_BRACE = re.compile(r"\\f?boxed[ \t]{0,4}\{|\\boxed[ \t]+([^\s$\\{}]+)|\\[\\{}]|[{}]")
# Test splits that withhold their answers write these.
_WITHHELD: dict[AnswerForm, object] = {"index": -1, "letter": "?", "list": "?"}
_YES_NO = {True: "yes", False: "no"}
_MAX_BARE_WORDS = 5
"""A column of solutions holds an answer alone only where it is as short as this."""


def read_references(cell: object, form: AnswerForm, choices: Choices, *, is_solution: bool = False) -> tuple[str, ...]:
    """Return the accepted answers in a cell; none if it is missing.

    Args:
        cell: The cell.
        form: The form of the answers.
        choices: The choices of the row.
        is_solution: Whether a text of unknown form may be a worked solution whose answer is not marked.

    Raises:
        ProblemError: it is not of that form, or could mean two things.
    """
    if is_missing(cell) or cell == _WITHHELD.get(form):
        return ()
    if form == "list" and isinstance(cell, str) and (found := list_in(cell)) is not None:
        cell = found
    cells = list(cell) if isinstance(cell, list | tuple) else [cell]
    read = [_reference(each, form, choices, is_solution=is_solution) for each in cells if not is_missing(each)]
    # A statement is true, and the question whether it holds is answered by yes.
    read += [_YES_NO[each] for each in cells if isinstance(each, bool)]
    return tuple(dict.fromkeys(read))


def _reference(cell: object, form: AnswerForm, choices: Choices, *, is_solution: bool) -> str:
    if form == "index":
        return _by_index(cell, choices)
    text = text_of(cell, "answer")
    if form == "unsure" or (form == "plain" and isinstance(cell, int)):
        _check_not_a_place(text.strip(), choices, is_counted=form == "unsure")
    if form == "letter":
        return _by_letter(text, choices)
    if form == "label":
        return _by_label(text, choices)
    if form == "marked":
        return _given(marked_answer(text), "marks no answer by '#### ' at its end")
    if form == "boxed":
        return _given(boxed_answer(text), "has no answer in \\boxed{…}")
    if form in ("plain", "named", "unsure"):
        text = _plain(text, is_solution=is_solution)
    return _unlike_a_letter(text, choices)


def _plain(text: str, *, is_solution: bool) -> str:
    last_line = text.rstrip().rpartition("\n")[2]
    found = marked_answer(last_line) or tagged_answer(text) or boxed_answer(text)
    if found is None and is_solution and len(text.split()) > _MAX_BARE_WORDS:
        raise ProblemError(
            "the solution marks no answer by \\boxed{…} or '#### '; name its column by --map answer=COLUMN"
        )
    return text if found is None else found


def marked_answer(text: str) -> str | None:
    """Return the answer behind the last ``####`` that begins a line, as GSM8K's grader reads it: without commas."""
    found = _MARKED.findall(text)
    if not found or not found[-1].strip():
        return None
    answer: str = found[-1].strip()
    return answer.replace(",", "") if re.fullmatch(r"[$]?-?[0-9][0-9,.]*%?", answer) else answer


def tagged_answer(text: str) -> str | None:
    """Return the answer in the last ``<answer>…</answer>``; None if there is none."""
    found = _TAGGED.findall(text)
    return found[-1].strip() or None if found else None


def boxed_answer(text: str) -> str | None:
    r"""Return the content of the last ``\boxed{…}`` with balanced braces, or of a later ``\boxed X``."""
    answer: str | None = None
    begins: list[int | None] = []  # of each open brace; that of a box has the place where its content begins
    for match in _BOX_OR_BRACE.finditer(text):
        token = match.group()
        if match.group(1) is not None:
            answer = match.group(1)
        elif token.endswith("boxed{") or (token.startswith("\\") and token.endswith("{") and len(token) > 2):
            begins.append(match.end())
        elif token == "{":
            begins.append(None)
        elif token == "}" and begins:
            begin = begins.pop()
            answer = answer if begin is None else text[begin : match.start()].strip() or answer
    return answer


def _given(answer: str | None, complaint: str) -> str:
    if answer is None:
        raise ProblemError(f"the answer {complaint}; read the file by another --schema, or see --map")
    return answer


def _by_index(cell: object, choices: Choices) -> str:
    text = str(cell).strip() if isinstance(cell, str | int) and not isinstance(cell, bool) else ""
    if _INDEX.fullmatch(text) is None or int(text) >= len(choices.texts):
        given = repr(text[:40]) if text else kind_of(cell)
        raise ProblemError(f"answer is {given}; it must count the {len(choices.texts)} choices from 0, or be left out")
    return _named(int(text), choices)


def _by_letter(text: str, choices: Choices) -> str:
    letter = _LETTER.fullmatch(text.strip())
    if letter is not None and LETTERS.index(letter.group(1).upper()) < len(choices.texts):
        return letter.group(1).upper()
    if letter is None and choices.texts.count(text.strip()) == 1:
        return _named(choices.texts.index(text.strip()), choices)
    last = LETTERS[min(len(choices.texts), len(LETTERS)) - 1]
    raise ProblemError(f"answer is {text[:40]!r}; it must be the letter of a choice, A to {last}")


def _by_label(text: str, choices: Choices) -> str:
    if not choices.labels:
        return _by_letter(text, choices)
    if choices.labels.count(text.strip()) != 1:
        raise ProblemError(f"answer is {text[:40]!r}; it must be one of the labels {', '.join(choices.labels)[:80]}")
    return _named(choices.labels.index(text.strip()), choices)


def is_place(text: str, choices: Sequence[str]) -> bool:
    """Return whether a text may count the choices, from 0 or from 1."""
    return _INDEX.fullmatch(text) is not None and int(text) <= len(choices) > 0


def _check_not_a_place(text: str, choices: Choices, *, is_counted: bool) -> None:
    """Refuse a number that may be a choice's place as well as its text; ``is_counted`` if other rows count choices."""
    if is_place(text, choices.texts) and (is_counted or choices.texts[int(text) : int(text) + 1] != (text,)):
        raise ProblemError(
            f"answer is the number {text}, which may be a choice's text or its place; say which: --map answer=COLUMN "
            "reads the text, and --map answer_index=COLUMN counts the choices from 0"
        )


def _unlike_a_letter(text: str, choices: Choices) -> str:
    """Return the text of a choice, or its letter where the text is one letter and would name another choice."""
    stripped = text.strip()
    if len(stripped) != 1 or stripped.upper() not in LETTERS[: len(choices.texts)] or stripped not in choices.texts:
        return text
    return _named(choices.texts.index(stripped), choices)


def _named(index: int, choices: Choices) -> str:
    """Return the letter of a choice, which cannot be taken for another choice's text; its text past Z."""
    return LETTERS[index] if index < len(LETTERS) else choices.texts[index]
