"""Find the headings of steps in a text: "Step 2:" at the start of a line, in the markup that models write."""

import re
import string
from collections.abc import Iterator
from functools import lru_cache

from critic_engine.parsing.thoughts import MASK

_MARKUP = r"[ \t]{0,8}(?:[#>*_•-]{1,6}[ \t]{0,4}){0,3}"
_MARKUP_CHARACTERS = "#>*_•- \t"
# Behind a number: "2:", "2.", "2)", "2**:", or nothing else in the line, or a title behind a dash or in brackets.
_BEHIND_NUMBER = r"[*_]{0,3}(?:[:：)]|\.(?![0-9]))|(?=[ \t*_]{0,8}(?:[\r\n]|\Z|[–—(-]))"
_STOP_MARKUP = ("", "**", "### ")
_RARER_MARKUP = ("## ", "#### ", "### **", "- **")


def find_headings(text: str, template: str) -> Iterator[tuple[int, int]]:
    """Yield the span of each heading except that of step 1 where the text begins; without numbers, of each heading.

    A heading stands at the start of a line, or behind a thought. Its markup and its case may differ from the template,
    and its number may have been skipped or come again. A template without letters, such as ``$number.``, also begins
    the items of lists, so its numbers have to follow each other.

    Args:
        text: What the model wrote, its thoughts masked.
        template: The heading, with ``$number`` for the number.
    """
    for _, span, begins_step in _numbered(text, template):
        if begins_step:
            yield span


def heading_stops(text: str, template: str) -> tuple[str, ...]:
    """Return the stop strings of a step written after ``text``, likeliest first: some endpoints watch for four.

    A heading that none of them is, such as one in a rare markup, is found in the text once it is written.
    """
    if "number" not in _pattern(template).groupindex:
        heading = _heading(template, 1)
        return (f"\n{heading}",) if text else (heading, f"\n{heading}")
    last = 1
    for number, _, _ in _numbered(text, template):
        last = number
    heading = _heading(template, last + 1)
    plain = heading.lstrip(_MARKUP_CHARACTERS)
    stops = [f"\n{heading}", *(f"\n{markup}{plain}" for markup in _STOP_MARKUP)]
    stops += [f"\n{plain.removesuffix(':')}."] if plain.endswith(":") else []
    stops += [f"\n{_heading(template, last + 2)}", *(f"\n{markup}{plain}" for markup in _RARER_MARKUP)]
    return tuple(dict.fromkeys([heading, *stops] if text.endswith("\n") else stops))


def _numbered(text: str, template: str) -> Iterator[tuple[int, tuple[int, int], bool]]:
    """Yield the number and span of each heading, and whether it begins a further step."""
    pattern, is_named = _pattern(template), any(map(str.isalpha, _heading(template, 1)))
    last = None
    for match in pattern.finditer(text):
        span = match.start("heading"), match.end()
        if "number" not in pattern.groupindex:
            yield 0, span, True
            continue
        number = int(match["number"])
        if is_named:
            yield number, span, last is not None or number > 1
            last = number
        elif number == (last or 1) + 1:
            yield number, span, True
            last = number


def _heading(template: str, number: int) -> str:
    return string.Template(template).substitute(number=number)


@lru_cache(maxsize=16)
def _pattern(template: str) -> re.Pattern[str]:
    before, number, behind = string.Template(template).substitute(number="\0").partition("\0")
    is_named = any(map(str.isalpha, before + behind))
    words = _flexible(before.lstrip(_MARKUP_CHARACTERS) if is_named and before.strip() else before)
    if number:
        ending = rf"{_flexible(behind)}|{_BEHIND_NUMBER}" if behind.strip() else _BEHIND_NUMBER
        words = re.sub(r"(?:\\ )+$", r"[ \\t]{1,3}", words) + rf"(?P<number>[0-9]{{1,4}})(?![0-9])(?:{ending})"
    markup = _MARKUP if is_named else ""
    return re.compile(rf"(?:^|(?<={MASK}))(?P<heading>{markup}{words})", re.MULTILINE | re.IGNORECASE)


def _flexible(literal: str) -> str:
    """Return a pattern of the literal in which spaces between its words may be more."""
    return re.sub(r"(?<=\w)(?:\\ )+(?=\w)", r"[ \\t]{1,3}", re.escape(literal))
