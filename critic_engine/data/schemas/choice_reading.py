"""The choices of a row: a list, a mapping, one column each, or a part of the question's text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from critic_engine.data.schemas.cells import first_filled, is_missing, list_of, text_of
from critic_engine.data.schemas.schema import LETTERS, Schema
from critic_engine.errors import ProblemError

_HEADER = re.compile(r"(?:^|\s)(?:options|choices)[ \t]*:\s*", re.IGNORECASE)
_OWN_LETTER = re.compile(r"\s{0,9}\(?([A-Z])[).:]\s*(?=\S)")
_LETTER_WISH = re.compile(r"please [^\n]*\bletter\b[^\n]*", re.IGNORECASE)
# How a choice begins, the letter apart: by a line of its own, or behind a header also within a line.
_LINE_STYLES = ("({})", "{}:", "{}.", "{})")
_HEADED_STYLES = ((r"(?:^|\s)", "({})"), (r"(?:^|,\s|\n)[ \t]*", "{}:"), (r"(?:^|,\s|\n)[ \t]*", "{}."))


@dataclass(frozen=True, slots=True)
class Choices:
    """The choices of a row in order."""

    texts: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    """The file's own labels of the choices, such as 1 to 4; empty if it gives none."""


def read_choices(schema: Schema, raw: Mapping[str, object]) -> Choices:
    """Return the choices in a row's columns; none if it fills none.

    Raises:
        ProblemError: they are no list of texts.
    """
    for group in schema.choices:
        if len(group) > 1:
            cells = {column: raw.get(column) for column in group}
            if any(not is_missing(cell) for cell in cells.values()):
                return Choices(_in_turn(cells))
        elif not is_missing(cell := first_filled(raw, group)):
            return _mapped(cell) if isinstance(cell, Mapping) else Choices(_listed(cell))
    return Choices()


def _listed(cell: object) -> tuple[str, ...]:
    """Return the choices of a list, or of a text like "(A) … (B) …", without letters of their own."""
    texts = _texts(list_of(cell, "choices"))
    if len(texts) == 1 and isinstance(cell, str):
        return split_question(f"Options: {cell}")[1] or texts
    marks = [_OWN_LETTER.match(text) for text in texts[: len(LETTERS)]]
    letters = [mark.group(1) for mark in marks if mark is not None]
    if len(texts) < 2 or letters != list(LETTERS[: len(texts)]):
        return texts
    return tuple(text[mark.end() :] for text, mark in zip(texts, marks, strict=True) if mark is not None)


def _texts(cells: list[object]) -> tuple[str, ...]:
    return tuple(text_of(cell, "choices") for cell in cells)


def _mapped(cell: Mapping[str, object]) -> Choices:
    """Return the choices of ``{"A": …, "B": …}``, or of ``{"text": […], "label": […]}``."""
    if isinstance(texts := cell.get("text"), list | tuple):
        labels = cell.get("label")
        if not isinstance(labels, list | tuple) or len(labels) != len(texts):
            raise ProblemError("choices holds as many texts as labels in no list; write as many of each")
        return Choices(_texts(list(texts)), _texts(list(labels)))
    if not set(cell) <= {*LETTERS, *map(str.lower, LETTERS)}:
        raise ProblemError('choices holds an object; write a list of texts or numbers, ["…", "…"], or {"A": "…"}')
    return Choices(_in_turn({name.upper(): cell[name] for name in sorted(cell, key=str.upper)}))


def _in_turn(cells: Mapping[str, object]) -> tuple[str, ...]:
    """Return the choices of columns in order; those behind the last one are missing, and none before it."""
    filled = [name for name, cell in cells.items() if not is_missing(cell)]
    names = list(LETTERS if set(cells) <= set(LETTERS) else cells)
    gap = next((name for name, found in zip(names, filled, strict=False) if name != found), None)
    if gap is not None:
        raise ProblemError(f"the choice {gap} is missing and a later one is not; write it, or move the others up")
    return _texts([cells[name] for name in filled])


def split_question(text: str) -> tuple[str, tuple[str, ...]]:
    """Return a question without the choices that its text lists, and the choices; none if it surely lists none.

    They stand behind "Options:" or "Choices:", or begin lines of their own: "(A) …", "A: …", "A. …". A wish for the
    letter behind them is left out, because prompts say themselves how to answer.
    """
    headers = list(_HEADER.finditer(text))
    if headers:
        header = headers[-1]
        body, behind = _apart(text[header.end() :])
        found = max((_split(body, before, style) for before, style in _HEADED_STYLES), key=lambda each: len(each[1]))
        if found[1] and not found[0].strip():
            return _joined(text[: header.start()], behind), found[1]
    first_line = _first_choice_line(text)
    if first_line is None:
        return text, ()
    body, behind = _apart(text[first_line:])
    _, choices = max((_split(body, r"(?:^|\n)[ \t]*", style) for style in _LINE_STYLES), key=lambda each: len(each[1]))
    if len(choices) < 2 or any("\n" in choice for choice in choices):
        return text, ()
    return _joined(text[:first_line], behind), choices


def _first_choice_line(text: str) -> int | None:
    """Return where the last line begins that looks like a choice A."""
    starts = [match.start() for match in re.finditer(r"^[ \t]*(?:\(A\)|A[:.)])[ \t]*\S", text, re.MULTILINE)]
    return starts[-1] if starts else None


def _apart(text: str) -> tuple[str, str]:
    """Return the text up to the first blank line, and what stands behind it."""
    body, _, behind = text.partition("\n\n")
    return body, behind


def _joined(question: str, behind: str) -> str:
    behind = "\n".join(line for line in behind.split("\n") if line.strip() and not _LETTER_WISH.match(line.strip()))
    return "\n".join(part for part in (question.strip(), behind.strip()) if part)


def _split(text: str, before: str, style: str) -> tuple[str, tuple[str, ...]]:
    """Return the text before the choice A, and the choices A, B, … in order as far as they go; each begins once."""
    starts: list[tuple[int, int]] = []
    position = 0
    for letter in LETTERS:
        mark = re.compile(before + re.escape(style.format(letter)) + r"[ \t]*").search(text, position)
        if mark is None:
            break
        starts.append(mark.span())
        position = mark.end()
    ends = [start for start, _ in starts[1:]] + [len(text)]
    choices = tuple(text[begin:end].strip() for (_, begin), end in zip(starts, ends, strict=False))
    if len(choices) < 2 or not all(choices):
        return text, ()
    return text[: starts[0][0]], choices
