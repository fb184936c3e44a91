"""Find what a model states in its own words, ``Label: value``, in a text that may quote others and change its mind.

A critic's text may hold "Verdict: right" in a thought, in the prompt or solution that it quotes, in a draft, and as its
own verdict. Its own statement stands at the beginning of a line, markup and a few words such as "My final" apart.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Literal, TypeAlias

from critic_engine.parsing.thoughts import Span, find_thoughts

LETTER = r"[^\W_\u2e80-\U0003ffff]"
"""A letter or digit of a script that puts spaces between words, which Chinese, Japanese and Korean do not need."""
MARKUP = (
    r"(?:</?[a-z]{1,10}>|\\(?:boxed|fbox|emph|underline|(?:sub){0,2}section|text[a-z]{0,6}|math(?:bf|rm|it|tt|sf))\*?\{|"
    r"[^\w\n]|_)"
)
"""One piece of what may stand around words: a tag, a LaTeX command, or a sign."""

_Rank: TypeAlias = Literal[0, 1, 2]
"""How surely a statement is the writer's own: 0 at the beginning of a line, 1 as a line in quotation marks or a list
item, 2 within a line."""
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}

_FENCE = re.compile(r"^[ \t]{0,8}(?:[-*+][ \t]{1,4})?(`{3,20}|~{3,20})(?!.*`)", re.MULTILINE)
_ENVELOPE = re.compile(
    r"<(?P<tag>blockquote|pre|code|q|quote|solution|step|steps)>|\\begin\{(?P<latex>quote|quotation|verbatim)\}",
    re.IGNORECASE,
)
_STRUCK_OUT = re.compile(r"~~[^~\n]{1,200}~~|<(?:s|del|strike)>[^<\n]{1,200}</(?:s|del|strike)>", re.IGNORECASE)
# In a reply that is one JSON object, the quotation marks around a key and a value in words quote nothing.
_JSON_OBJECT = re.compile(r"\s*(?:```\w{0,10}\s*)?\{.*\}\s*(?:```\s*)?", re.DOTALL)
_JSON_PAIR = re.compile(r"\"[\w ]{1,40}\"\s{0,4}:(?:\s{0,4}\"[\w ]{1,20}\")?")
_CLOSING = {'"': '"', "“": "”", "„": "“”", "«": "»", "‹": "›", "「": "」", "『": "』", "‘": "’", "'": "'", "`": "`"}
_OF_ONE_LINE = "‘'`"
_BOUNDARY = re.compile(r"[\"“”„«»‹›「」『』‘’'`]|\n[ \t\n]*")
_CLOSING_MARKS = '"”’»」』'

_LEAD_WORDS = (
    "so|thus|therefore|hence|finally|conclusion|in conclusion|in summary|overall|my|our|the|this|is|final|judge?ment|"
    "assessment|critique|evaluation|review|reviewer|critic"
)
_LEAD = re.compile(
    rf"[^\S\n]*(?P<quote>(?:[-*+][ \t]{{1,4}})?>)?(?:{MARKUP}|(?:{_LEAD_WORDS})(?!\w)){{0,60}}", re.IGNORECASE
)
_LIST_ITEM = re.compile(r"[^\w\n\[]{0,8}[0-9]{1,3}[.)][^\w\n]{0,8}")
STEP_HEADING = re.compile(
    r"[^\w\n]{0,8}(?:\[(?:step )?[0-9]{1,4}\]|[0-9]{1,4}[.)]|(?:step|schritt|paso|étape|шаг|第|步骤)[ \t]?#?"
    r"[0-9]{1,4}[ \t]?(?:步)?(?:\([^()\n]{0,40}\))?[^\w\n]{0,4}[:.)\]–—→|-])",
    re.IGNORECASE,
)
_INDENTED = re.compile(r"(?: {4}|\t)")
_GOES_ON = re.compile(r"[^\w\n]{0,12}\s{1,8}[a-z]")
# How the line before a statement in quotation marks may end.
AFTER_SENTENCE = re.compile(r"[.!?][\s*_)]*\Z")
AFTER_SENTENCE_OR_QUOTATION = re.compile(r"[.!?\"”’»」』`][\s*_)]*\Z")
_STEP_ALONE = re.compile(r"[^\w\n]{0,8}step[ \t]{0,2}#?[0-9]{1,4}(?:[^\w\n]|_){0,6}", re.IGNORECASE)
# Words before a statement within a line that make it another's, or no statement.
_REPORTED = re.compile(
    r"\b(?:sa(?:y|ys|id|ying)|stat(?:e|es|ed|ing)|writ(?:e|es|ing|ten)|wrote|claim(?:s|ed|ing)?|reads?|ends?|put|puts|"
    r"with|as|like|or|either|whether|if|when|not|no|never|instead of|than|words?|text|line|phrase|step|solution|"
    r"sentence|quotes?|quoted|prints?|output|outputs|contains?|includes?|mentions?|expects?|choose|between|is|are|was|"
    r"reading)(?:[^\w\n]|_){0,6}\Z|:(?:[^\w\n]|_){0,6}\Z",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class OwnWords:
    """A text in which one can search for what its writer states; every index is one of the original text."""

    visible: str
    """The text with spaces for its thoughts."""
    text: str
    """The text with spaces for its thoughts, code blocks and struck-out words; full-width signs are ASCII ones.
    A JSON object has spaces for the quotation marks around its keys and values in words."""
    is_list: bool = False
    """Whether the writer's statements are the items of a numbered list."""

    @classmethod
    def of(cls, text: str, *, first_label: str = "") -> "OwnWords":
        """Return the own words of ``text``; it is a list if it begins with ``1.`` and the pattern ``first_label``."""
        visible = without_thoughts(text)
        own = _blanked(visible, _code_blocks(visible))
        own = _blanked(own, _enveloped(own))
        own = _blanked(own, (match.span() for match in _STRUCK_OUT.finditer(own))).translate(_FULL_WIDTH)
        if _JSON_OBJECT.fullmatch(own):
            own = _JSON_PAIR.sub(lambda pair: pair[0].replace('"', " "), own)
        numbered = rf"\s*(?:[*_]{{0,3}})1[.)]{MARKUP}{{0,8}}{first_label}"
        is_list = bool(first_label) and re.match(numbered, own, re.IGNORECASE) is not None
        return cls(visible, own, is_list)

    def statements(
        self,
        form: re.Pattern[str],
        *,
        start: int = 0,
        accepts: Callable[[re.Match[str]], bool] = lambda match: True,
        before_quoted: re.Pattern[str] | None = None,
    ) -> list[re.Match[str]]:
        """Return the most certain statements from ``start`` on, in order.

        Args:
            form: Pattern of a statement, which begins with its label.
            start: Where to begin; no statement that begins before it is found.
            accepts: Returns whether a match is a statement.
            before_quoted: How the line before a statement in quotation marks must end; None if there must be none.
        """
        ranked = [
            (rank, match)
            for match, rank in self._ranked(form, start, before_quoted)
            if rank is not None and accepts(match)
        ]
        best = min((rank for rank, _ in ranked), default=None)
        return [match for rank, match in ranked if rank == best]

    def is_below_heading(self, index: int) -> bool:
        """Return whether the last line with words before that of ``index`` begins with the heading of a step."""
        line = self._line_before(index)
        return line is not None and STEP_HEADING.match(line) is not None

    def begins_line(self, index: int) -> bool:
        """Return whether nothing but markup and words such as "My final" stand before ``index`` in its line."""
        lead = _LEAD.match(self.text, self.line_start(index))
        return lead is not None and index <= lead.end()

    def line_start(self, index: int) -> int:
        """Return where the line of ``index`` begins."""
        return self._line_starts[bisect_right(self._line_starts, index) - 1]

    @cached_property
    def _quoted(self) -> tuple[Span, ...]:
        """Begin and end of each passage in quotation marks, in order."""
        return tuple(_quotations(self.text))

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer("\n", self.text))]

    def _line_before(self, index: int) -> str | None:
        number = bisect_right(self._line_starts, index) - 2
        while number >= 0:
            line = self.text[self._line_starts[number] : self._line_starts[number + 1]].strip()
            if line:
                return line
            number -= 1
        return None

    def _ranked(
        self, form: re.Pattern[str], start: int, before_quoted: re.Pattern[str] | None
    ) -> Iterator[tuple[re.Match[str], _Rank | None]]:
        line_start, lead = -1, None
        for match in form.finditer(self.text, start):
            if lead is None or self.line_start(match.start()) != line_start:
                line_start = self.line_start(match.start())
                lead = _LEAD.match(self.text, line_start)
            if lead is None or lead["quote"] is not None:
                continue
            begins_line = match.start() <= lead.end()
            if self._is_quoted(match.start()):
                is_line = begins_line and self._is_line_in_quotes(match, line_start, before_quoted)
                yield match, 1 if is_line else None
            else:
                yield match, self._rank(match, line_start, begins_line=begins_line)

    def _rank(self, match: re.Match[str], line_start: int, *, begins_line: bool) -> _Rank | None:
        start, text = match.start(), self.text
        is_closed = text.startswith(tuple(_CLOSING_MARKS), match.end())
        if is_closed and not any(mark in match[0] for mark in _CLOSING_MARKS):
            return None  # The end of a quotation that began on another line.
        if begins_line:
            return None if _INDENTED.match(text, line_start) and self._is_announced(start) else 0
        item = _LIST_ITEM.match(text, line_start)
        if self.is_list and item is not None and start <= item.end():
            return 1
        if (
            text.startswith("|", line_start)
            or STEP_HEADING.match(text, line_start)
            or _STEP_ALONE.fullmatch(text, line_start, start)
            or _REPORTED.search(text[max(line_start, start - 40) : start])
        ):
            return None
        return 2

    def _is_quoted(self, index: int) -> bool:
        number = bisect_right(self._quoted, index, key=itemgetter(0)) - 1
        return number >= 0 and index < self._quoted[number][1]

    def _is_announced(self, index: int) -> bool:
        line = self._line_before(index)
        return line is not None and line.endswith(":")

    def _is_line_in_quotes(self, match: re.Match[str], line_start: int, before_quoted: re.Pattern[str] | None) -> bool:
        """Return whether the quotation is the whole line, and no line around it belongs to the same sentence."""
        begin, end = self._quoted[bisect_right(self._quoted, match.start(), key=itemgetter(0)) - 1]
        line_end = self.text.find("\n", match.end())
        behind = self.text[end : len(self.text) if line_end < 0 else line_end]
        if begin < line_start or re.search(r"\w", behind[:200]) or len(behind) > 200:
            return False
        if _GOES_ON.match(self.text, end):
            return False
        before = self._line_before(match.start())
        return before is None or (before_quoted is not None and before_quoted.search(before[-20:]) is not None)


def without_thoughts(text: str) -> str:
    """Return ``text`` with spaces for its thoughts; line breaks stay, and so does the length."""
    return _blanked(text, find_thoughts(text).spans)


def _blanked(text: str, spans: Iterable[Span]) -> str:
    pieces, position = [], 0
    for begin, end in spans:
        pieces += [text[position:begin], re.sub(r"[^\n]", " ", text[begin:end])]
        position = max(position, end)
    return "".join([*pieces, text[position:]])


def _code_blocks(text: str) -> list[Span]:
    """Return the code blocks; one that is the whole text is none, for then it is the form of the reply."""
    spans: list[Span] = []
    opening: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opening is None:
            opening = fence
        elif fence[1][0] == opening[1][0] and len(fence[1]) >= len(opening[1]):
            spans.append((opening.start(), fence.end()))
            opening = None
    if opening is not None:
        spans.append((opening.start(), len(text)))
    if len(spans) == 1 and not (text[: spans[0][0]] + text[spans[0][1] :]).strip():
        return []
    return spans


def _enveloped(text: str) -> Iterator[Span]:
    """Yield the passages between tags or LaTeX commands for quotations and code."""
    position, unclosed = 0, set[str]()
    while opening := _ENVELOPE.search(text, position):
        position = opening.end()
        name = (opening["tag"] or opening["latex"]).lower()
        closing = rf"</{name}>" if opening["tag"] else rf"\\end\{{{name}\}}"
        end = None if closing in unclosed else re.compile(closing, re.IGNORECASE).search(text, position)
        if end is None:
            unclosed.add(closing)
            continue
        position = end.end()
        yield opening.start(), position


def _quotations(text: str) -> Iterator[Span]:
    """Yield the passages in quotation marks; none goes over a blank line, and some kinds none over a line break."""
    start, opening = 0, ""
    for match in _BOUNDARY.finditer(text):
        mark, place = match[0], match.start()
        if mark[0] == "\n":
            if mark.count("\n") > 1 or opening in _OF_ONE_LINE:
                opening = ""
        elif opening and mark in _CLOSING[opening] and _can_close(text, mark, place):
            yield start, place + 1
            opening = ""
        elif opening and mark in _OF_ONE_LINE and opening not in _OF_ONE_LINE:
            continue  # A quotation within another, or an apostrophe.
        elif mark in _CLOSING and _can_open(text, mark, place):
            start, opening = place, mark


def _can_open(text: str, mark: str, place: int) -> bool:
    if mark not in "\"'`":
        return True
    after = text[place + 1 : place + 2]
    return after != "" and not after.isspace() and not text[max(0, place - 1) : place].isalnum()


def _can_close(text: str, mark: str, place: int) -> bool:
    if mark not in "\"'`’":
        return True
    return not text[place - 1].isspace() and not text[place + 1 : place + 2].isalnum()
