"""Cells of a row: missing, a text, a number or a list, also where the list is written as text."""

import json
import re
from collections.abc import Iterable, Mapping

from critic_engine.errors import ProblemError

_WANTED = {"choices": 'a list of texts or numbers, ["…", "…"]'}
# One item of a list that Python or JSON wrote. Quotes do not nest, so that a text takes linear time.
_ITEM = re.compile(
    r"""\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(-?\d[\d_.eE+-]*|True|False))\s*(,|\Z)""", re.DOTALL
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U000[0-9a-fA-F]{5}|U0010[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "\n": "", "\\": "\\", "'": "'", '"': '"'}


def first_filled(raw: Mapping[str, object], columns: Iterable[str]) -> object:
    """Return the first cell of ``columns`` that is not missing; None if all are."""
    return next((raw[name] for name in columns if not is_missing(raw.get(name))), None)


def is_missing(cell: object) -> bool:
    """Return whether a cell holds nothing: null, NaN, or blank text."""
    is_nan = isinstance(cell, float) and cell != cell  # pandas writes NaN for a missing cell
    return cell is None or is_nan or (isinstance(cell, str) and not cell.strip())


def text_of(cell: object, name: str) -> str:
    """Return a cell as text that UTF-8 can hold.

    Raises:
        ProblemError: it holds neither text nor a number, or blank text.
    """
    if isinstance(cell, bool):
        cell = "true" if cell else "false"
    if not isinstance(cell, str | int | float):
        raise ProblemError(f"{name} holds {kind_of(cell)}; write {_WANTED.get(name, 'text or a number')}")
    text = str(cell)
    if not text.strip():
        raise ProblemError(f"{name} is empty text; write something, or leave it out")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ProblemError(f"{name} holds half a surrogate pair, which is no character; write the whole one") from error
    return text


def id_of(cell: object) -> str:
    """Return the id in a cell; empty text if it is missing.

    Raises:
        ProblemError: it holds neither text nor a whole number.
    """
    if is_missing(cell):
        return ""
    if not isinstance(cell, str | int) or isinstance(cell, bool):
        raise ProblemError(f"id is {kind_of(cell)}; write text or a whole number, or leave it out")
    return text_of(cell, "id").strip()


def list_of(cell: object, name: str) -> list[object]:
    """Return the entries of a cell that holds a list, a list written as text by JSON or Python, or one entry.

    Raises:
        ProblemError: it begins like a list and is none.
    """
    if is_missing(cell):
        return []
    if isinstance(cell, str) and cell.lstrip().startswith("["):
        found = list_in(cell)
        if found is None:
            raise ProblemError(f'{name} begins like a list and is not JSON; write ["…", "…"]')
        cell = found
    return list(cell) if isinstance(cell, list | tuple) else [cell]


def list_in(text: str) -> list[object] | None:
    """Return the list that JSON or Python wrote as ``text``; None if there is none. Nothing in it is run."""
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]")):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return _python_list(text[1:-1])
    return found if isinstance(found, list) else None


def _python_list(text: str) -> list[object] | None:
    """Return the texts, numbers and truth values of a flat list as ``repr`` writes them between its brackets."""
    items: list[object] = []
    text, position = text.strip(), 0
    while position < len(text):
        item = _ITEM.match(text, position)
        if item is None:
            return None
        single, double, bare = item.group(1), item.group(2), item.group(3)
        quoted = single if single is not None else double
        items.append(bare if quoted is None else _ESCAPE.sub(_unescaped, quoted))
        position = item.end()
    return items


def _unescaped(escape: re.Match[str]) -> str:
    code = escape.group(1)
    if len(code) > 1:
        return chr(int(code[1:], 16))
    return _ESCAPED.get(code, escape.group())


def kind_of(cell: object) -> str:
    """Return words for the kind of a cell, for messages."""
    kinds = {
        dict: "an object",
        list: "a list",
        str: "empty text",
        bool: "true or false",
        int: "a number",
        float: "a number",
        bytes: "bytes",
    }
    return "missing" if cell is None else kinds.get(type(cell), f"a {type(cell).__name__}")
