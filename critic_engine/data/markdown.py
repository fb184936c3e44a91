"""Markdown of texts that may hold markup."""

import re
from collections.abc import Iterable, Sequence

_MAX_CELL = 120
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~&!])")


def plain_markdown(text: str, *, max_chars: int | None = None) -> str:
    """Return Markdown that shows ``text`` as it is, on one line, without control characters, cut at ``max_chars``."""
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    text = text if max_chars is None or len(text) <= max_chars else text[: max_chars - 1] + "…"
    return _MARKUP.sub(r"\\\1", text)


def markdown_table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; ``names`` are Markdown, and each cell is the ``str`` of its value, cut at 120 characters."""
    lines = [names, ["---"] * len(names)]
    lines += [[plain_markdown(str(value), max_chars=_MAX_CELL) for value in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
