"""Split pairs, intervals, sets and lists into their items."""

import re

_CLOSING = {"(": ")", "[": "]", "{": "}"}
_INTERVALS = {"(": ")]", "[": ")]", "{": "}"}
_SEPARATOR = re.compile(r" ?; ?|,? (?:and|or|&) |, ?(?:and |or )?")
_THOUSANDS = re.compile(r"[0-9],[0-9]{3}(?![0-9])")
_MAX_ITEMS = 20


def split_group(text: str) -> tuple[str, list[str]] | None:
    """Return the brackets around the whole ``text``, or none, and the texts of its items, two or more; one in braces.

    None if it is no group, or if a comma between its digits may also be one of thousands.
    """
    brackets = _brackets(text)
    inner = text[1:-1].strip() if brackets else text
    items = _items(inner)
    if items is None or (_THOUSANDS.search(inner) and len(items) == 1):
        return None
    if len(items) < 2 and brackets != "{}":
        return None
    return (brackets, items) if len(items) <= _MAX_ITEMS and all(items) else None


def _brackets(text: str) -> str:
    """Return the first and the last character if they are brackets of each other."""
    if len(text) < 3 or text[0] not in _CLOSING or text[-1] not in _INTERVALS[text[0]]:
        return ""
    depth = 0
    for place, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if depth == 0 and place < len(text) - 1:
            return ""
    return text[0] + text[-1] if depth == 0 else ""


def _items(text: str) -> list[str] | None:
    """Return the parts between separators outside all brackets; None if brackets do not balance."""
    items, start, depth, place = [], 0, 0, 0
    while place < len(text):
        depth += (text[place] in "([{") - (text[place] in ")]}")
        if depth < 0:
            return None
        match = _SEPARATOR.match(text, place) if depth == 0 and place else None
        if match and not _THOUSANDS.match(text, place - 1):
            items.append(text[start:place].strip())
            start = place = match.end()
        else:
            place += 1
    return None if depth else [*items, text[start:].strip()]
