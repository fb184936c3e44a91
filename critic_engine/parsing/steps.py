"""Split the reasoner's text into steps, both while it is written and as a whole."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from critic_engine.config.search import ExpanderConfig
from critic_engine.parsing.headings import find_headings, heading_stops
from critic_engine.parsing.thoughts import Thoughts, find_thoughts, is_unfinished, marked_thought
from critic_engine.protocols import Sample, TokenLogprob

MAX_BLANK_STOPS = 3
"""Most stop strings in a row that are skipped before the first word of a step."""
MAX_INNER_STOPS = 16
"""Most full stops inside one sentence that do not end it, such as those of abbreviations."""

_SENTENCE_STOPS = (". ", "! ", "? ", "\n", "。", "！", "？")
_SENTENCE_END = re.compile(r"[.!?](?= )|[\n。！？]")
# A sentence continues after these: initials and abbreviations, and the number of a list item.
_ABBREVIATION = re.compile(
    r"(?<![^\W_])(?:[A-Z]|[Ee]\.g|[Ii]\.e|[Cc]f|[Vv]s|viz|ca|[Aa]pprox|resp|et al|"
    r"[Ff]igs?|[Ee]qs?|Sec|Tab|Ch|Vol|pp|Nos?|Drs?|Mrs?|Ms|Prof|St|Mt|Rev|Gen|Gov|Sen|Capt|Lt|Col)\.\Z"
)
_LIST_NUMBER = re.compile(r"(?:\A|\n)[ \t*#>(-]{0,8}(?:[Ss]tep )?[0-9]{1,3}\.\Z")
# Longer than any match of the pattern, so that its \A is the beginning of the text.
_NUM_ABBREVIATION_CHARACTERS, _NUM_NUMBER_CHARACTERS = 10, 40

Ending: TypeAlias = Literal["turn", "stop", "cut"]


@dataclass(frozen=True, slots=True)
class StepSplitter:
    """Finds the ends of steps in a text.

    A text is everything that the model wrote, its thoughts included. A piece is the part of it that belongs to one
    step, with its separator; the pieces joined are the text. A step is a piece as shown: stripped, without the
    delimiter and without thoughts. A heading ends a piece and is shown at the beginning of the next step. No step ends
    inside a thought, which belongs to the piece of the words behind it on the way, or to the last one.
    """

    options: ExpanderConfig
    """How a text is split; only ``split``, ``delimiter`` and ``step_template`` count."""

    def stop_strings(self, text: str) -> tuple[str, ...]:
        """Return the stop strings of a step written after ``text``; inside a thought, the marker that closes it."""
        thoughts = find_thoughts(text)
        if thoughts.closing is not None:
            return (thoughts.closing,)
        match self.options.split:
            case "tokens":
                return ()
            case "delimiter":
                return (self.options.delimiter,)
            case "sentence":
                return _SENTENCE_STOPS
            case "template":
                return heading_stops(thoughts.masked(), self.options.step_template)

    def kept(self, stop: str) -> str:
        """Return the part of a stop string that the text keeps; the space after a sentence begins the next one."""
        return stop.rstrip(" ") if self.options.split == "sentence" else stop

    def ends_step(self, text: str) -> bool:
        """Return whether ``text``, which ends with the kept part of a stop string, is the end of a step."""
        if self.options.split == "template":
            headings = find_headings(text, self.options.step_template)
            return any(end == len(text) for _, end in headings)
        return self.options.split != "sentence" or not _is_inner(text, len(text))

    def first_heading(self, text: str, start: int) -> tuple[int, int] | None:
        """Return the span of the first heading that ends a step begun at ``start``; None if none does."""
        if self.options.split != "template":
            return None
        thoughts = find_thoughts(text)
        for begin, end in self._stops(thoughts.masked(), start):
            if thoughts.visible(start, begin).strip():
                return begin, end
            start = end
        return None

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
        if self.options.split == "tokens":
            return find_thoughts(behind + piece).visible(len(behind)).strip()
        return "\n".join(self.steps(piece, behind))

    def _cut(self, text: str, start: int) -> list[tuple[str, str]]:
        """Return each piece from ``start`` on with its step."""
        thoughts = find_thoughts(text)
        cut: list[tuple[str, str]] = []
        place, num_heading = start, 0
        for begin, end in self._stops(thoughts.masked(), start):
            if thoughts.visible(place, begin).strip():
                step = thoughts.visible(place - num_heading, end if self.options.split == "sentence" else begin)
                cut.append((text[start:end], step.strip()))
                start = end
            place, num_heading = end, end - begin if self.options.split == "template" else 0
        rest = text[start:]
        if thoughts.visible(place).strip():
            cut.append((rest, thoughts.visible(place - num_heading).strip()))
        elif cut:
            piece, step = cut[-1]
            cut[-1] = (piece + rest, step)
        return cut

    def _stops(self, text: str, start: int) -> Iterator[tuple[int, int]]:
        """Yield the span of each stop after ``start``, beginning with a heading that ends at ``start``."""
        match self.options.split:
            case "template":
                headings = find_headings(text, self.options.step_template)
                yield from ((begin, end) for begin, end in headings if begin >= start or end == start)
            case "sentence":
                yield from _sentence_ends(text, start)
            case "delimiter":
                yield from _occurrences(self.options.delimiter, text, start)
            case "tokens":
                yield from _occurrences("\n", text, start)


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
    has_unfinished_thought: bool = False
    """Whether a token limit ended it inside a thought."""

    @property
    def prefix(self) -> str:
        """The whole text so far: ``behind`` and the step."""
        return self.behind + self.text

    def after(self, sample: Sample, splitter: StepSplitter) -> "StepDraft":
        """Return the draft continued by ``sample``; what stands behind a further heading in it is left out."""
        thought = marked_thought(sample.thought, self.prefix)
        begun = self.prefix + thought
        heading = splitter.first_heading(begun + sample.text, len(self.behind))
        if heading is not None:
            sample = _cut_at(sample, *(max(0, place - len(begun)) for place in heading))
        kept = "" if sample.stop is None else splitter.kept(sample.stop)
        grown = replace(self, text=self.text + thought + sample.text + kept)
        has_words = self.has_words or bool(grown._thoughts.visible(len(begun), len(begun + sample.text)).strip())
        tokens = _tokens_of_text(sample, kept)
        grown = replace(
            grown,
            tokens=None if self.tokens is None or tokens is None else self.tokens + tokens,
            has_words=has_words,
            has_unfinished_thought=sample.finish_reason == "length"
            and (is_unfinished(sample) or grown._thoughts.closing is not None),
            num_tokens=self.num_tokens + sample.num_tokens,
            num_tokens_left=self.num_tokens_left - (_num_text_tokens(sample) if has_words else 0),
            num_skipped=self.num_skipped + 1 if has_words == self.has_words else 1,
        )
        has_thought_on = self._thoughts.closing is not None
        return replace(grown, ending=grown._ending(sample, splitter, has_thought_on=has_thought_on))

    @property
    def _thoughts(self) -> Thoughts:
        return find_thoughts(self.prefix)

    def _ending(self, sample: Sample, splitter: StepSplitter, *, has_thought_on: bool) -> Ending | None:
        is_thinking = self._thoughts.closing is not None
        if is_unfinished(sample):
            return "cut"
        if sample.finish_reason == "stop" and sample.stop is None:
            return "turn"
        if is_thinking and sample.stop is None:
            return "cut"
        if not self.has_words:
            # The same request would write a thought that its length cut again.
            is_lost = bool(sample.thought) and sample.stop is None and not sample.text
            return "cut" if is_lost or self.num_skipped > MAX_BLANK_STOPS else None
        if sample.stop is None:
            return "cut"
        is_in_thought = is_thinking or has_thought_on
        if self.num_skipped > MAX_INNER_STOPS or (not is_in_thought and splitter.ends_step(self._thoughts.masked())):
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
    before = text[end - 2 : end - 1] if end > 1 else ""
    if text[end - 1 : end] != "." or not before.isalnum():
        return False
    if before.isdigit():
        return _LIST_NUMBER.search(text[max(0, end - _NUM_NUMBER_CHARACTERS) : end]) is not None
    return _ABBREVIATION.search(text[max(0, end - _NUM_ABBREVIATION_CHARACTERS) : end]) is not None


def _tokens_of_text(sample: Sample, kept: str) -> tuple[TokenLogprob, ...] | None:
    """Return the sample's tokens, without a last one that only completed a dropped stop string."""
    tokens = sample.tokens
    if not tokens or sample.stop is None or kept == sample.stop or kept in tokens[-1].text:
        return tokens
    return tokens[:-1]


def _cut_at(sample: Sample, begin: int, end: int) -> Sample:
    """Return the sample as if the part of its text from ``begin`` to ``end`` had been its stop string."""
    tokens: list[TokenLogprob] = []
    place = 0
    for token in sample.tokens or ():
        if place >= end:
            break
        tokens.append(token)
        place += len(token.text)
    kept = None if sample.tokens is None else tuple(tokens)
    return replace(
        sample, text=sample.text[:begin], finish_reason="stop", stop=sample.text[begin:end] or None, tokens=kept
    )


def _num_text_tokens(sample: Sample) -> int:
    """Return how many of a sample's tokens are its text's; without log-probabilities, an estimate by its characters."""
    if not sample.thought:
        return sample.num_tokens
    if sample.tokens is not None:
        return len(sample.tokens)
    return math.ceil(sample.num_tokens * len(sample.text) / len(sample.thought + sample.text))
