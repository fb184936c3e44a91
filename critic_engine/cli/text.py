"""Text that is safe to print: text of models, image names and problems may hold terminal escapes."""

import re
import unicodedata

_ESCAPE_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movement
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC: titles, clipboard
    r"|\x1b[ -/]*[0-~]?"
)
# Bidirectional controls can show a text in another order than it has.
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    """Return ``text`` without terminal escapes and control characters; newlines stay."""
    text = _ESCAPE_SEQUENCE.sub("", text.replace("\r\n", "\n").replace("\t", " "))
    return "".join(char for char in text if char == "\n" or _is_printable(char))


def one_line(text: str, *, max_chars: int | None = None) -> str:
    """Return ``printable`` text on one line, runs of white space collapsed, cut at ``max_chars`` characters."""
    line = " ".join(printable(text).split())
    return line if max_chars is None or len(line) <= max_chars else line[: max_chars - 1] + "…"


def labelled(name: str, value: object) -> str:
    """Return one line of a report: the name in a fixed column, then ``value`` as ``one_line``."""
    return f"{name:<14} {one_line(str(value))}"


def duration(seconds: float) -> str:
    """Return a duration for people, such as ``3 min 05 s``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _is_printable(char: str) -> bool:
    return char not in _BIDI and unicodedata.category(char) not in {"Cc", "Cs", "Zl", "Zp"}
