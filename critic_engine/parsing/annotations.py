"""Read an annotator's text: the wrong one of two paths, its first wrong step, and the reason."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from critic_engine.errors import ParseError
from critic_engine.parsing.injections import check_unicode
from critic_engine.parsing.stated_numbers import step_behind
from critic_engine.parsing.statements import AFTER_SENTENCE, AFTER_SENTENCE_OR_QUOTATION, LETTER, MARKUP, OwnWords

Side: TypeAlias = Literal["A", "B"]
_SIGNS = r"(?:[^\w\n]|_)"
_BETWEEN = rf"(?:{MARKUP}|\n)"
_WRONG_PATH = re.compile(
    rf"(?<!{LETTER})wrong path{_BETWEEN}{{0,12}}(?:is\b{_BETWEEN}{{1,4}})?(?P<path>(?:the )?path{_BETWEEN}{{1,8}})?"
    rf"(?P<side>[AB]|both|neither|none|unclear)(?!{LETTER})",
    re.IGNORECASE,
)
_OTHER_SIDE = re.compile(
    rf"{_SIGNS}{{0,6}}(?:(?:or|and|vs)\b|[/|&,]{_SIGNS}{{0,4}}(?:path )?[AB](?!{LETTER})|\?)", re.IGNORECASE
)
# An A before any other word may be the article.
_NOUN = re.compile(
    rf"[ \t]{{1,3}}(?!(?:because|since|as|at|in|it|first wrong step|critique|goes|with|due)\b){LETTER}", re.IGNORECASE
)
_STEP = re.compile(rf"(?<!{LETTER})first wrong step(?!{LETTER})", re.IGNORECASE)
_CRITIQUE = re.compile(r"\bcritique\b[*_ ]{0,4}:[*_]{0,4}", re.IGNORECASE)
_LABEL_ON_NEXT_LINE = re.compile(
    r"\n[\s*_`\"'#\[(>-]{0,12}(?:wrong path|first wrong step|critique)\b[*_ ]{0,4}:", re.IGNORECASE
)
_MARKUP_AT_END = re.compile(r" [*_`\"'#\[(>-]{1,8}\Z")

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
    """An annotator's text as read."""

    wrong_side: Side
    """The wrong path, by the letter shown to the model."""
    first_wrong_step: int
    """Number of the step as shown; it may lie out of range."""
    reason: str
    """One line."""


def parse_annotation(text: str) -> ReadAnnotation:
    """Return the annotation that ``text`` states last in its own words; nothing is read from a thought or a quotation.

    Raises:
        ParseError: it names no path or both, or no step, gives no reason, or holds half a surrogate pair.
    """
    check_unicode(text, "annotation")
    own = OwnWords.of(text, first_label=r"wrong\s{1,4}path")
    sides = own.statements(_WRONG_PATH, before_quoted=AFTER_SENTENCE)
    start = _start_of_last(sides)
    behind_quotes = AFTER_SENTENCE_OR_QUOTATION
    steps = own.statements(
        _STEP, start=start, accepts=lambda match: _step(match) is not None, before_quoted=behind_quotes
    )
    step = _step(steps[-1]) if steps else None
    critiques = own.statements(_CRITIQUE, start=start, before_quoted=behind_quotes)
    # The first behind the step that counts: a later one may repeat it.
    behind = [critique for critique in critiques if steps and critique.start() > steps[-1].start()]
    ends = [each[-1].start() for each in (sides, steps) if each]
    reason = _reason(own.visible, (behind[:1] or critiques[-1:])[0].end(), ends) if critiques else ""
    side = None if not sides else _side(sides[-1])
    if side is None or step is None or not reason:
        wanted = "'Wrong path: A', 'First wrong step: K' and words after 'Critique:'"
        raise ParseError.quoting(f"annotation lacks one of {wanted}", text)
    return ReadAnnotation(side, step, reason)


def names_paths(reason: str, *, has_choices: bool = False) -> bool:
    """Return whether ``reason`` mentions the two paths shown to the annotator; a later reader sees only one.

    It does by "path B", "the other attempt" and the like, and by a single capital A or B that stands for a solver:
    before a verb ("B claims", "so A reads"; at the beginning of a sentence also "B is"), before "'s", after a word of
    contrast ("unlike A") or in "step 2 of B". An A that may be the article does not count, nor does a letter after any
    other word, which names a thing: "option B", "vitamin B", "point B", "from A to B". If the problem has choices, a
    single letter names a choice.
    """
    return (_NAMED_PATHS if has_choices else _PATHS).search(reason) is not None


def _side(match: re.Match[str]) -> Side | None:
    """Return the side that is stated; None for both of them, none, or a word that may be the article."""
    letter, end = match["side"].upper(), match.end()
    if letter not in ("A", "B") or _OTHER_SIDE.match(match.string, end):
        return None
    if letter == "A" and not match["path"] and _NOUN.match(match.string, end):
        return None
    return "A" if letter == "A" else "B"


def _start_of_last(sides: Sequence[re.Match[str]]) -> int:
    """Return where the last annotation begins: where its side is stated first, if another was before, else 0."""
    first = len(sides) - 1
    while first > 0 and _side(sides[first - 1]) == _side(sides[-1]):
        first -= 1
    return sides[first].start() if first > 0 else 0


def _step(label: re.Match[str]) -> int | None:
    return step_behind(label.string, label.end())[0]


def _reason(text: str, start: int, labels: list[int]) -> str:
    """Return the text from ``start`` to the next label, in one line.

    Any label at the beginning of a line ends it, and so do the labels of side and step, which begin at ``labels``.
    """
    on_next_line = _LABEL_ON_NEXT_LINE.search(text, start)
    ends = [label for label in labels if label >= start]
    ends += [] if on_next_line is None else [on_next_line.start()]
    if not ends:
        return " ".join(text[start:].split())
    # The markup of a label on the same line stands before it.
    return _MARKUP_AT_END.sub("", " " + " ".join(text[start : min(ends)].split())).strip()
