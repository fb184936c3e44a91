"""Reading an annotator's text: which of two paths it holds wrong, from which step, and why; and what it calls them."""

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from critic_engine.errors import ParseError
from critic_engine.parsing.injections import check_unicode

Side: TypeAlias = Literal["A", "B"]
_MARKUP = r"[\s*_`\"'#\[(]{0,8}"
_WRONG_PATH = re.compile(rf"\bwrong path\b[*_ ]{{0,4}}:{_MARKUP}(?:path )?([AB])\b", re.IGNORECASE)
_STEP = re.compile(rf"\bfirst wrong step\b[*_ ]{{0,4}}:{_MARKUP}(?:step )?([0-9]{{1,6}})(?![0-9])", re.IGNORECASE)
_CRITIQUE = re.compile(r"\bcritique\b[*_ ]{0,4}:[*_]{0,4}", re.IGNORECASE)
_LABEL_ON_NEXT_LINE = re.compile(
    r"\n[\s*_`\"'#\[(>-]{0,12}(?:wrong path|first wrong step|critique)\b[*_ ]{0,4}:", re.IGNORECASE
)
_MARKUP_AT_END = re.compile(r" [*_`\"'#\[(>-]{1,8}\Z")
_MAX_QUOTED_CHARACTERS = 200

_QUOTES = r"[*_\"'`]{0,3}"
_ENDS = r"(?![^\W_]| ?[=+*/<>^(-])"
_LETTERED_PATH = r"\b(?i:(?:path|branch|attempt|solution)(?:e?s)?)[\s:(\[\-*_`\"']{0,8}[AB](?![^\W_])"
# The first "solution" may well be one of an equation.
_ORDERED_PATH = r"\b(?i:(?:first|second|other|left|right)[\s-](?:path|branch|attempt)(?:e?s)?)\b"
_CONTRAST = rf"\b(?i:unlike|while|whereas|contrary to|as opposed to|in contrast to)\s{_QUOTES}[AB]{_ENDS}"
_STEP_OF = rf"\b(?i:step|mistake|error|reasoning)s?\s(?:[0-9]{{1,4}}\s)?(?:of|in|by|from)\s{_QUOTES}[AB]{_ENDS}"
_ADVERBS = r"\s(?:(?:[a-z]{2,20}ly|also|then|never|just|does|did|should|could|has|not)\s){0,3}"
_SOLVES = (
    r"(?:mis)?(?:add|agree|answer|assume|calculate|claim|compute|conclude|confuse|count|disagree|fail|find|forget|get|"
    r"give|go|ignore|interpret|list|miss|note|omit|overlook|read|report|say|see|skip|state|subtract|take|think|treat|use|"
    r"write)"
)
_IS = "is|was|has|had|does|did"
_BEGINS = rf"(?:\A|[.!?;:]\s){_QUOTES}"
_GOES_ON = (
    r"(?:[,(–—]\s?|[0-9]\s|\b(?i:although|and|as|because|but|how|if|or|since|so|that|then|though|what|when|where|yet)\s)"
    + _QUOTES
)
_SUBJECT = (
    # Here a capital A before a word like "count" or "stated" may be the article.
    rf"{_BEGINS}A{_QUOTES}(?:['’]s\s|{_ADVERBS}(?:{_IS}|{_SOLVES}e?s)\b)",
    rf"{_BEGINS}B{_QUOTES}(?:['’]s\s|{_ADVERBS}(?:{_IS}|{_SOLVES}(?:e?[sd])?)\b)",
    rf"{_GOES_ON}[AB]{_QUOTES}(?:['’]s\s|{_ADVERBS}{_SOLVES}(?:e?[sd])?\b)",
)
_NAMED_PATHS = re.compile(f"{_LETTERED_PATH}|{_ORDERED_PATH}")
_PATHS = re.compile("|".join((_LETTERED_PATH, _ORDERED_PATH, _CONTRAST, _STEP_OF, *_SUBJECT)))


@dataclass(frozen=True, slots=True)
class ReadAnnotation:
    """What an annotator's text says."""

    wrong_side: Side
    """As it was shown."""
    first_wrong_step: int
    """As the steps were numbered; whether there is such a step is not looked at."""
    reason: str
    """In one line."""


def parse_annotation(text: str) -> ReadAnnotation:
    """Return what ``text`` says.

    Raises:
        ParseError: it names no path, no step, or gives no reason; or it holds half a surrogate pair.
    """
    check_unicode(text, "annotation")
    side, step, critique = (form.search(text) for form in (_WRONG_PATH, _STEP, _CRITIQUE))
    starts = [label.start() for label in (side, step) if label is not None]
    reason = "" if critique is None else _reason(text, critique.end(), starts)
    if side is None or step is None or not reason:
        wanted = "'Wrong path: A', 'First wrong step: K' and words after 'Critique:'"
        raise ParseError(f"annotation lacks one of {wanted}: {text[:_MAX_QUOTED_CHARACTERS]!r}", text=text)
    return ReadAnnotation("A" if side[1].upper() == "A" else "B", int(step[1]), reason)


def names_paths(reason: str, *, has_choices: bool = False) -> bool:
    """Return whether ``reason`` speaks of the two paths that its writer saw, of which a reader will see one.

    It does by "path B", "the other attempt" and the like, and by a capital A or B alone that stands for someone who
    solves: before a verb ("B claims", "so A reads"; at the beginning of a sentence also "B is"), before "'s", after a
    word of contrast ("unlike A") or in "step 2 of B". An A that may be the article does not count, nor does a letter
    after any other word, which names a thing: "option B", "vitamin B", "point B", "from A to B". Where the problem has
    choices, a letter alone is one of these.
    """
    return (_NAMED_PATHS if has_choices else _PATHS).search(reason) is not None


def _reason(text: str, start: int, labels: list[int]) -> str:
    """Return what stands from ``start`` to the next label, in one line.

    A label at the beginning of a line ends it, and so do those from which side and step were read, at ``labels``.
    """
    on_next_line = _LABEL_ON_NEXT_LINE.search(text, start)
    ends = [label for label in labels if label >= start]
    ends += [] if on_next_line is None else [on_next_line.start()]
    if not ends:
        return " ".join(text[start:].split())
    # The markup of a label on the same line stands before it.
    return _MARKUP_AT_END.sub("", " " + " ".join(text[start : min(ends)].split())).strip()
