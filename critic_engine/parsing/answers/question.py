"""Tell from a question how its answer is meant: its unit, and whether it is a share, a count or a set."""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from critic_engine.parsing.answers.units import NO_UNIT, PERCENT, Unit, read_unit

_MAX_CHARACTERS = 20_000
_PERCENT = re.compile(
    r"\b(?:what|which|how many|find the|give the|compute the|calculate the|determine the|as a|as|in|nearest)"
    r"((?: [^\W\d_]+){0,4}) (?:per ?cent(?:age)?s?|%)(?!\w)|\(%\)",
    re.IGNORECASE,
)
_CONDITION = re.compile(r"\b(?:if|when|where|whose|with|given|after|after a|by)\b", re.IGNORECASE)
_ASKED_UNIT = re.compile(
    r"(?<!\w)(?:(?P<many>how many|number of)|in|to the nearest(?: (?:whole|tenth|hundredth)(?: of an?)?)?|nearest)"
    r" (?P<words>[^\W\d_][^\s,.?!;:()]{0,20}(?: [^\W\d_][^\s,.?!;:()]{0,20}){0,3})"
    r"|\((?:in )?(?P<bracketed>[^()\s]{1,12}(?: [^()\s]{1,12}){0,2})\)",
    re.IGNORECASE,
)
_MONEY = re.compile(
    r"\bhow much\b[^.?!\n]{0,80}\b(?:cost|costs|pay|pays|paid|spend|spent|spends|earn|earns|earned|make|makes|made|"
    r"money|price|charge|charged|owe|owes|save|saved|saves|profit|change|worth|raise|raised|receive|left)\b"
    r"|\bwhat (?:is|was|will be|are)\b[^.?!\n]{0,60}"
    r"\b(?:cost|price|profit|salary|revenue|income|wage|bill|fee|budget)\b",
    re.IGNORECASE,
)
_DOLLARS = re.compile(r"\\?\$ ?[0-9]|\bdollars?\b|\bUSD\b", re.IGNORECASE)
_OTHER_MONEY = re.compile(r"[€£¥₹₩₽]|\b(?:euros?|pounds?|yen|yuan|rupees?|rubles?|won|pence)\b", re.IGNORECASE)
_COUNTED = re.compile(r"\b(?:how many|number of|count of|count the|count)((?: [^\W\d_]+){1,6})", re.IGNORECASE)
_NO_THINGS_TEXT = """
are is were was did does do will would can could has have had in on at there of the these those his her their its your
more fewer less total different whole
"""
_NO_THINGS = frozenset(_NO_THINGS_TEXT.split())
_SET = re.compile(
    r"\b(?:all|both|list)\b[^.?!\n]{0,60}\b(?:solutions?|roots?|values?|zeros|zeroes|numbers|integers|factors|"
    r"intercepts|primes|answers?)\b"
    r"|\bwhat are the\b[^.?!\n]{0,40}\b(?:solutions|roots|values|zeros|zeroes|numbers|integers|factors|intercepts)\b"
    r"|\bwhich (?:two|three|of the following)\b[^.?!\n]{0,60}\b(?:are|have)\b"
    r"|\bseparated by commas\b|\bcommas?-separated\b",
    re.IGNORECASE,
)
_KIND = re.compile(r"\b(?:what|which) (?:is the )?(colou?r|shape|animal|country|month|season|fruit)\b", re.IGNORECASE)
_LATEX_BREAK = re.compile(r"[\\${}]+")
_VARIABLE = re.compile(r"(?<![\w\\])[B-HJ-Zb-hj-z](?!\w)")
_WORD = re.compile(r"[^\W\d_]{2,}")
_ALTERNATIVES = re.compile(r"\bor\b|\bversus\b|\bvs\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class QuestionForm:
    """The form of answer that a question asks for."""

    choices: tuple[str, ...] = ()
    unit: Unit = NO_UNIT
    """The unit of a bare number; none if the question names none, or several."""
    counted: frozenset[str] = frozenset()
    """The words, in lower case, that say what is to be counted; empty if it does not say."""
    is_set: bool = False
    """Whether several values, in any order, are asked for."""
    kind: str = ""
    """The kind of word that is asked for, such as a colour; empty if the question names none."""
    words: frozenset[str] = frozenset()
    """The question's words of two letters and more, in lower case."""
    variables: frozenset[str] = frozenset()
    """The letters that stand alone in it, other than A and I."""
    text: str = ""
    """The question."""


@functools.lru_cache(maxsize=256)
def question_form(question: str, choices: tuple[str, ...] = ()) -> QuestionForm:
    """Return what ``question`` asks for."""
    text = question if len(question) <= _MAX_CHARACTERS else question[-_MAX_CHARACTERS:]
    return QuestionForm(
        choices=choices,
        unit=_unit(text),
        counted=frozenset(_counted(text)),
        is_set=_SET.search(text) is not None,
        kind=_kind(text),
        words=frozenset(word.lower() for word in _WORD.findall(text)),
        variables=frozenset(_VARIABLE.findall(text)),
        text=text,
    )


def _kind(text: str) -> str:
    kinds = {kind.lower() for kind in _KIND.findall(text)}
    kind = kinds.pop() if len(kinds) == 1 else ""
    return "colour" if kind == "color" else kind


def _counted(text: str) -> Iterator[str]:
    for match in _COUNTED.finditer(text):
        yield from (word for word in match[1].lower().split() if word not in _NO_THINGS)


def _unit(text: str) -> Unit:
    if any(not _CONDITION.search(match[1] or "") for match in _PERCENT.finditer(text)):
        return PERCENT
    found: dict[bool, list[Unit]] = {True: [], False: []}
    for match in _ASKED_UNIT.finditer(_LATEX_BREAK.sub(" ", text)):
        unit = _first_unit(match["words"] or match["bracketed"], is_bracketed=match["words"] is None)
        if unit is not None:
            found[match["many"] is not None].append(unit)
    units = found[True] or found[False]
    if units:
        return units[-1] if len(set(units)) == 1 else NO_UNIT
    is_dollars = (_MONEY.search(text) or _DOLLARS.search(text)) and not _OTHER_MONEY.search(text)
    return _dollar() if _MONEY.search(text) and is_dollars else NO_UNIT


def _first_unit(words: str, *, is_bracketed: bool) -> Unit | None:
    """Return the unit that the words begin with, the longest; a symbol of one letter counts in brackets alone."""
    parts = words.split()
    for count in range(len(parts), 0, -1):
        name = " ".join(parts[:count])
        unit = read_unit(name) if len(name) > 1 or is_bracketed else None
        if unit is not None:
            return unit
    return None


def _dollar() -> Unit:
    unit = read_unit("USD")
    assert unit is not None
    return unit
