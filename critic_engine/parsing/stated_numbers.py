"""Read the numbers that a critic states: a step, and a probability. A number that could mean another is none."""

import re

from critic_engine.parsing.statements import LETTER, MARKUP

_SIGNS = "-–—−"
_BETWEEN = rf"(?:(?![.,][0-9]|[<>≤≥±](?!/?[a-z]{{1,10}}>)){MARKUP}(?<![{_SIGNS}])|[{_SIGNS}](?=[ \t*_\[(]))"
"""A piece of what may stand between a label and its number: no line break, and no sign that belongs to the number."""
_CARDINALS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth"
)  # fmt: skip
_WORDS = {word: number for words in (_CARDINALS, _ORDINALS) for number, word in enumerate(words, 1)}
_STEP_WORD = r"(?:steps?|no\.?|number|nr\.?|schritt|paso|étape|etapa|passo|шаг|第|步骤)"
_DIGITS = rf"(?P<digits>[0-9]{{1,6}})(?:st|nd|rd|th)?(?![0-9]|[.][0-9]|{LETTER})"
_WORD = rf"(?P<word>{'|'.join(_WORDS)})(?!\w)(?(named)|(?=[ \t]{{0,2}}(?:\Z|[^\w \t]|_|steps?\b)))"
_STEP = re.compile(
    rf"{_BETWEEN}{{0,12}}(?:(?:is|was|are|occurs|in|at)\b{_BETWEEN}{{1,8}}){{0,3}}"
    rf"(?:the\b{_BETWEEN}{{1,4}}|k[ ]?=[ ]?)?"
    rf"(?P<named>{_STEP_WORD}[{_SIGNS}]?{_BETWEEN}{{0,8}})?(?:{_DIGITS}|{_WORD})",
    re.IGNORECASE,
)
_NO_STEP = re.compile(
    rf"{_BETWEEN}{{0,12}}(?:none|n/?a|null|nil|no|not applicable|无)(?!{LETTER})[*_`.)\]}}]{{0,6}}", re.IGNORECASE
)
_TO_NEXT_LINE = re.compile(rf"(?:{MARKUP}){{0,12}}(?:\n[ \t]{{0,8}}){{1,4}}")
_ENDS_NUMBER = re.compile(r"[^\w\n ]|_|[ \t]*(?:\n|\Z)")

_NUMBER = r"(?P<number>(?:0|[1-9][0-9]{0,2})?[.,][0-9]{1,12}|0|[1-9][0-9]{0,2})(?![0-9]|[.,][0-9])"
_SCALE = r"(?P<scale>[1-9][0-9]{0,3})(?:\.0{1,3})?(?![0-9]|[.,][0-9])"
_SCORE = re.compile(
    rf"(?P<label_scale>[ \t*_]{{0,4}}[(\[](?P<range>[^()\[\]\n]{{0,40}})[)\]])?{_BETWEEN}{{0,12}}"
    rf"(?:(?:(?:is|of|about|approx(?:imately)?|around|roughly)(?!\w)|P(?:\(right\))?[ ]?[=:]){_BETWEEN}{{0,8}}){{0,2}}"
    rf"{_NUMBER}"
    rf"(?:[ \t]?\\?(?P<percent>%|percent\b)|(?:{_BETWEEN}{{0,4}}(?:/|⁄|out of|of)[ \t]?{_BETWEEN}{{0,4}}{_SCALE}"
    rf"(?:[ \t](?:points?|stars?)\b)?))?",
    re.IGNORECASE,
)
# Behind a number: what makes it part of a longer expression, a range, another kind of number, or one of another scale.
_GOES_ON = re.compile(
    rf"{LETTER}|[/%⁄^×]|:[0-9]|}}\{{|[*_`)\]}}$ \t]{{0,6}}"
    r"(?:[-–—−+*×÷/=<>±~→][ \t]?[0-9.(\\]|/|(?:to|or|and|bis|à|until|vs)[ \t]{1,3}[0-9.]|"
    r"[(\[]?(?:out|of|on)\b|in [0-9]|(?:points?|stars?|percent|steps?)\b)|[ \t]{0,3}(?:[0-9]|,[ \t]?[0-9])",
    re.IGNORECASE,
)
_UNIT_RANGE = re.compile(r"[^0-9]*(?:0(?:\.0)?[^0-9.]{1,12}1(?:\.0)?)?[^0-9]*")


def step_behind(text: str, start: int) -> tuple[int | None, int]:
    """Return the number of the step stated in ``text`` from ``start`` on, and where the statement ends.

    It may be a numeral, a word, the first of several, or on the next line. It is None for ``none``, and for what is no
    number of a step, ``-1`` or ``1.5``; without a statement, the end is ``start``.
    """
    match = _STEP.match(text, start)
    if match is None and (line_end := _TO_NEXT_LINE.match(text, start)) is not None:
        match = _STEP.match(text, line_end.end())
        if match is not None and not (match["named"] or _ENDS_NUMBER.match(text, match.end())):
            match = None
    if match is not None:
        number = int(match["digits"]) if match["digits"] else _WORDS[match["word"].lower()]
        return number, match.end()
    none = _NO_STEP.match(text, start)
    return None, start if none is None else none.end()


def probability_behind(text: str, start: int) -> tuple[float | None, int]:
    """Return the probability stated in ``text`` from ``start`` on, in [0, 1], and where the statement ends.

    ``0.7``, ``0,7``, ``70%``, ``7/10`` and ``7 out of 10`` are the same. It is None for what is none of these: a range,
    a calculation, a number without its scale. The end is ``start`` if no number is there.
    """
    match = _SCORE.match(text, start)
    if match is None and (line_end := _TO_NEXT_LINE.match(text, start)) is not None:
        match = _SCORE.match(text, line_end.end())
        if match is not None and not re.compile(r"[^\w\n]{0,8}(?:\n|\Z)").match(text, match.end()):
            match = None
    if match is None:
        return None, start
    is_unit = match["range"] is None or _UNIT_RANGE.fullmatch(match["range"]) is not None
    if not is_unit or _GOES_ON.match(text, match.end()):
        return None, match.end()
    return _fraction(match), match.end()


def _fraction(match: re.Match[str]) -> float | None:
    """Return the number over its scale; None above 1, and for a comma that may separate thousands."""
    written = match["number"]
    if re.fullmatch(r"[1-9][0-9]*,[0-9]{3}", written):
        return None
    number = float(written.replace(",", "."))
    whole = 100.0 if match["percent"] else float(match["scale"] or 1)
    return number / whole if number <= whole else None
