"""Find the answer in a solution."""

import re
from collections.abc import Iterator, Sequence

_STATED = re.compile(
    r"\b(?:answer[ \t*_]{0,8}[:：]|final[ \t]{1,4}answer[ \t*_]{0,8}is\b)[ \t*_:]{0,8}\n?[ \t]{0,8}([^\n]+)",
    re.IGNORECASE,
)
_MENTIONED = re.compile(r"\banswer[ \t*_]{1,8}is\b[ \t*_:]{0,8}([^\n]+)", re.IGNORECASE)
_BOX_OR_BRACE = re.compile(r"\\boxed[ \t]{0,4}\{|\\[\\{}]|[{}]")
MARKUP = "*_` "


def extract_answer(text: str | Sequence[str]) -> str | None:
    """Return the answer in a text or its steps, without markup; None if there is none.

    A stated answer has precedence (see ``stated_answer``); without one, the last ``answer is X`` counts.
    """
    whole = _whole(text)
    stated = stated_answer(whole)
    return stated if stated is not None else _last(match[1] for match in _MENTIONED.finditer(whole))


def stated_answer(text: str | Sequence[str]) -> str | None:
    r"""Return the last answer in one of the forms that end a solution; None if there is none.

    The forms are ``answer : X``, ``final answer is X`` and ``\boxed{X}``; the one that begins last counts.
    """
    whole = _whole(text)
    lines = [(match.start(), match[1]) for match in _STATED.finditer(whole)]
    boxes = [(start, whole[start:end]) for start, end in _last_box(whole)]
    return _last(found for _, found in sorted(lines + boxes))


def tidied(raw: str) -> str:
    """Return an answer in one line, without markup around it and without a dot at its end."""
    printable = "".join(character for character in " ".join(raw.split()) if character.isprintable())
    return printable.strip(MARKUP).rstrip("." + MARKUP)


def _whole(text: str | Sequence[str]) -> str:
    return text if isinstance(text, str) else "\n".join(text)


def _last(found: Iterator[str]) -> str | None:
    answer = None
    for raw in found:
        answer = tidied(raw) or answer
    return answer


def _last_box(text: str) -> list[tuple[int, int]]:
    r"""Return the span inside the last ``\boxed{...}`` with balanced braces, as a list of at most one."""
    opened: list[int | None] = []
    span: list[tuple[int, int]] = []
    for match in _BOX_OR_BRACE.finditer(text):
        if match[0].startswith("\\boxed"):
            opened.append(match.end())
        elif match[0] == "{":
            opened.append(None)
        elif match[0] == "}" and opened:
            start = opened.pop()
            span = span if start is None else [(start, match.start())]
    return span
