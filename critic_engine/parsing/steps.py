"""Split the reasoner's text into steps, both while it is written and as a whole."""

import re
import string
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from critic_engine.config.search import ExpanderConfig
from critic_engine.types import Sample, TokenLogprob

MAX_BLANK_STOPS = 3
"""Most stop strings in a row that are skipped before the first word of a step."""
MAX_INNER_STOPS = 16
"""Most full stops inside one sentence that do not end it, such as those of abbreviations."""

_SENTENCE_STOPS = (". ", "! ", "? ", "\n", "。", "！", "？")
_SENTENCE_END = re.compile(r"[.!?](?= )|[\n。！？]")
# A sentence continues after these: initials, abbreviations, and the number of a list item.
_INNER_DOT = re.compile(
    r"(?:(?<![^\W_])(?:[A-Z]|[Ee]\.g|[Ii]\.e|[Cc]f|[Vv]s|viz|ca|[Aa]pprox|resp|et al|"
    r"[Ff]igs?|[Ee]qs?|Sec|Tab|Ch|Vol|pp|Nos?|Drs?|Mrs?|Ms|Prof|St|Mt|Rev|Gen|Gov|Sen|Capt|Lt|Col)"
    r"|(?:\A|\n)[ \t*#>(-]{0,8}(?:[Ss]tep )?[0-9]{1,3})\.\Z"
)
# Longer than any match of the pattern, so that its \A is the beginning of the text.
_NUM_DOT_CHARACTERS = 40

Ending: TypeAlias = Literal["turn", "stop", "cut"]


@dataclass(frozen=True, slots=True)
class StepSplitter:
    """Finds the ends of steps in a text.

    A text is everything that the model wrote. A piece is the part of it that belongs to one step, with its separator;
    the pieces joined are the text. A step is a piece as shown: stripped, without the delimiter. A heading ends a piece
    and is shown at the beginning of the next step.
    """

    options: ExpanderConfig
    """How a text is split; only ``split``, ``delimiter`` and ``step_template`` count."""

    def stop_strings(self, text: str) -> tuple[str, ...]:
        """Return the stop strings of a step written after ``text``."""
        match self.options.split:
            case "tokens":
                return ()
            case "delimiter":
                return (self.options.delimiter,)
            case "sentence":
                return _SENTENCE_STOPS
            case "template":
                num_headings = sum(1 for _ in self._headings(text))
                return (self._heading(num_headings + 2),)

    def kept(self, stop: str) -> str:
        """Return the part of a stop string that the text keeps; the space after a sentence begins the next one."""
        return stop.rstrip(" ") if self.options.split == "sentence" else stop

    def ends_step(self, text: str) -> bool:
        """Return whether ``text``, which ends with the kept part of a stop string, is the end of a step."""
        return self.options.split != "sentence" or not _is_inner(text, len(text))

    def pieces(self, text: str, behind: str = "") -> tuple[str, ...]:
        """Return the pieces of ``text``, which continues ``behind``.

        A text without words has none. With ``tokens``, pieces of a whole text are lines. A stop without words before it
        is skipped: it becomes part of the next piece, or of the last one.
        """
        return tuple(piece for piece, _ in self._cut(behind + text, len(behind)))

    def steps(self, text: str, behind: str = "") -> tuple[str, ...]:
        """Return the steps of ``text``, which continues ``behind``."""
        return tuple(step for _, step in self._cut(behind + text, len(behind)))

    def shown(self, piece: str, behind: str) -> str:
        """Return the step of one piece written after ``behind``; empty if the piece has no words."""
        return piece.strip() if self.options.split == "tokens" else "\n".join(self.steps(piece, behind))

    def _cut(self, text: str, start: int) -> list[tuple[str, str]]:
        """Return each piece from ``start`` on with its step."""
        cut: list[tuple[str, str]] = []
        place, num_heading = start, 0
        for begin, end in self._stops(text, start):
            if text[place:begin].strip():
                step = text[place - num_heading : end if self.options.split == "sentence" else begin]
                cut.append((text[start:end], step.strip()))
                start = end
            place, num_heading = end, end - begin if self.options.split == "template" else 0
        rest = text[start:]
        if text[place:].strip():
            cut.append((rest, text[place - num_heading :].strip()))
        elif cut:
            piece, step = cut[-1]
            cut[-1] = (piece + rest, step)
        return cut

    def _stops(self, text: str, start: int) -> Iterator[tuple[int, int]]:
        """Yield the span of each stop after ``start``, beginning with a heading that ends at ``start``."""
        match self.options.split:
            case "template":
                yield from ((begin, end) for begin, end in self._headings(text) if begin >= start or end == start)
            case "sentence":
                yield from _sentence_ends(text, start)
            case "delimiter":
                yield from _occurrences(self.options.delimiter, text, start)
            case "tokens":
                yield from _occurrences("\n", text, start)

    def _headings(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield the span of each heading except that of step 1; if headings have no numbers, of each heading."""
        number, end = 2, 0
        while (begin := text.find(heading := self._heading(number), end)) >= 0:
            number, end = number + 1, begin + len(heading)
            yield begin, end

    def _heading(self, number: int) -> str:
        return string.Template(self.options.step_template).substitute(number=number)


@dataclass(frozen=True, slots=True)
class StepDraft:
    """The next step as written so far by one seed, in one sample or in several that continue each other."""

    behind: str
    """Text before the step."""
    num_tokens_left: int
    """Tokens left for the step; blank lines before it do not count."""
    num_tokens: int = 0
    """Tokens generated for it, including blank lines before it."""
    text: str = ""
    """Exact text of the step so far."""
    tokens: tuple[TokenLogprob, ...] | None = field(default=(), repr=False)
    """Tokens of the text; None if a sample had none."""
    ending: Ending | None = None
    """``turn`` if the model ended its turn, ``stop`` at the end of a step, ``cut`` elsewhere; None if unfinished."""
    has_words: bool = False
    """Whether it holds more than skipped stops."""
    num_skipped: int = 0
    """Stops in a row that did not end the step."""

    @property
    def prefix(self) -> str:
        """The whole text so far: ``behind`` and the step."""
        return self.behind + self.text

    def after(self, sample: Sample, splitter: StepSplitter) -> "StepDraft":
        """Return the draft continued by ``sample``."""
        kept = "" if sample.stop is None else splitter.kept(sample.stop)
        has_words = self.has_words or bool(sample.text.strip())
        tokens = _tokens_of_text(sample, kept)
        grown = replace(
            self,
            text=self.text + sample.text + kept,
            tokens=None if self.tokens is None or tokens is None else self.tokens + tokens,
            has_words=has_words,
            num_tokens=self.num_tokens + sample.num_tokens,
            num_tokens_left=self.num_tokens_left - (sample.num_tokens if has_words else 0),
            num_skipped=self.num_skipped + 1 if has_words == self.has_words else 1,
        )
        return replace(grown, ending=grown._ending(sample, splitter))

    def _ending(self, sample: Sample, splitter: StepSplitter) -> Ending | None:
        if sample.finish_reason == "stop" and sample.stop is None:
            return "turn"
        if not self.has_words:
            # The same request would write a thought that its length cut again.
            is_lost = bool(sample.thought) and sample.stop is None and not sample.text
            return "cut" if is_lost or self.num_skipped > MAX_BLANK_STOPS else None
        if sample.stop is None:
            return "cut"
        if self.num_skipped > MAX_INNER_STOPS or splitter.ends_step(self.prefix):
            return "stop"
        return None if self.num_tokens_left > 0 else "cut"


def _occurrences(wanted: str, text: str, start: int) -> Iterator[tuple[int, int]]:
    while (begin := text.find(wanted, start)) >= 0:
        start = begin + len(wanted)
        yield begin, start


def _sentence_ends(text: str, start: int) -> Iterator[tuple[int, int]]:
    num_inner = 0
    for match in _SENTENCE_END.finditer(text, start):
        if num_inner < MAX_INNER_STOPS and _is_inner(text, match.end()):
            num_inner += 1
            continue
        num_inner = 0
        yield match.span()


def _is_inner(text: str, end: int) -> bool:
    """Return whether the text up to ``end`` ends in a dot that does not end a sentence."""
    return _INNER_DOT.search(text[max(0, end - _NUM_DOT_CHARACTERS) : end]) is not None


def _tokens_of_text(sample: Sample, kept: str) -> tuple[TokenLogprob, ...] | None:
    """Return the sample's tokens, without a last one that only completed a dropped stop string."""
    tokens = sample.tokens
    if not tokens or sample.stop is None or kept == sample.stop or kept in tokens[-1].text:
        return tokens
    return tokens[:-1]
