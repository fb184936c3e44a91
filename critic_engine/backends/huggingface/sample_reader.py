"""Following a sample token by token: its thought, its text, and where it ends."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from critic_engine.backends.cutting import cut_at_stop
from critic_engine.backends.huggingface.encoding import Row
from critic_engine.backends.huggingface.thought_markers import ThoughtMarkers
from critic_engine.backends.huggingface.token_text import TokenDecoder
from critic_engine.protocols import Sample, TokenLogprob

Phase: TypeAlias = Literal["begun", "thought", "behind thought", "text", "later thought"]
"""``begun`` until it is clear whether the sample begins with a thought."""

_UNREADABLE = "\N{REPLACEMENT CHARACTER}"
_NUM_SPARE_TOKENS = 4


class SampleRules:
    """The markers of thoughts and the end tokens that all samples of one model go by."""

    def __init__(self, tokenizer: Any, markers: ThoughtMarkers | None, *, end_token_ids: frozenset[int]) -> None:
        """Read samples of the model of ``tokenizer``, which has ``markers`` and ends its turn with the given tokens."""
        self.decoder = TokenDecoder(tokenizer, markers.tokens if markers else ())
        """Turns tokens into text."""
        self.markers = markers
        """The markers of thoughts; None for a model that knows none."""
        inner = {_single_id(tokenizer, markers.inner_end)} - {None} if markers and markers.inner_end else set()
        self.inner_end_ids = frozenset(token for token in inner if token is not None)
        """Tokens that end a turn, except inside a thought."""
        self.end_token_ids = end_token_ids | self.inner_end_ids
        """Tokens that end a turn."""
        self.opening_id = _single_id(tokenizer, markers.opening) if markers else None
        """The token that is the opening marker; None if it is written with several."""
        self.closing_id = _single_id(tokenizer, markers.closing) if markers else None
        """The token that is the closing marker; None if it is written with several."""
        self._may_complete = functools.cache(self._could_complete)

    def may_complete(self, token: int, strings: tuple[str, ...]) -> bool:
        """Return whether ``token`` could be the last of one of ``strings``, judged by its text alone."""
        return self._may_complete(token, strings)

    def _could_complete(self, token: int, strings: tuple[str, ...]) -> bool:
        text = self.decoder.token_text(token)
        return any(_could_end(string, text) for string in strings)


class SampleReader:
    """Follows one sample. Stop strings act in its text only, and its text and its thought have limits of their own.

    White space directly behind a thought counts as part of it. A thought that begins behind the first word stays in the
    text, but no stop string acts in it.
    """

    def __init__(self, row: Row, rules: SampleRules) -> None:
        """Follow the sample of ``row``."""
        start = row.prompt.start
        self._row = row
        self._rules = rules
        self._markers = start.markers
        self.ids: list[int] = []
        """The tokens so far."""
        self.phase: Phase = "thought" if start.is_open else "begun" if _may_begin(start.markers) else "text"
        """What the next token belongs to."""
        self.has_ended = False
        self._num_leading = 0
        self._num_in_thoughts = 0
        self._segment = 0
        self._phase_start = 0

    @property
    def num_thought_left(self) -> int:
        """The tokens that the thought may still take; at least 1."""
        return max(1, min(self._row.max_thought_tokens - self._num_in_thoughts, self.num_left))

    @property
    def num_text_left(self) -> int:
        """The tokens that the text may still take; at least 1."""
        num_text = len(self.ids) - self._num_in_thoughts
        return max(1, min(self._row.sampling.max_tokens - num_text, self.num_left))

    @property
    def num_left(self) -> int:
        """The tokens that the context still holds."""
        return self._row.room - len(self.ids)

    @property
    def looks_for_opening(self) -> bool:
        """Whether a thought may begin."""
        return self.phase in ("begun", "text") and _may_begin(self._markers)

    @property
    def looks_for_closing(self) -> bool:
        """Whether the closing marker means the end of a thought, be it one whose opening was left out."""
        if self.phase in ("thought", "later thought"):
            return True
        return _may_begin(self._markers) and self._row.prompt.start.is_fresh and not self._num_leading

    def push(self, token: int) -> bool:
        """Take the next token and return whether the sample ends with it."""
        self.ids.append(token)
        is_inside = self.phase in ("thought", "later thought")
        if token in self._rules.end_token_ids and not (is_inside and token in self._rules.inner_end_ids):
            self.has_ended = True
        elif is_inside:
            self._push_thought(token)
        else:
            self._push_text(token)
        self.has_ended = self.has_ended or self.num_left <= 0
        return self.has_ended

    def end(self) -> None:
        """End the sample where it is."""
        self.has_ended = True

    def read(self, token_logprob: Callable[[int], TokenLogprob] | None) -> Sample:
        """Return the sample.

        Args:
            token_logprob: From the place of a token to its log-probability; None without them.
        """
        is_ended = bool(self.ids) and self.ids[-1] in self._rules.end_token_ids
        ids = self.ids[:-1] if is_ended else self.ids
        if self.phase != "thought":
            ids = ids[: self._row.sampling.max_tokens + self._num_in_thoughts]
        whole, num_kept = self._rules.decoder.whole_after(self._row.prompt.context_ids, ids)
        num_thought = len(ids) if self.phase == "thought" else min(self._num_leading, len(ids))
        thought = whole[: len(whole) - len(self._text_behind(whole, ids, num_thought))]
        text, stop = self._cut(whole[len(thought) :], ids, len(thought))
        places = [*range(num_thought, num_kept), *[len(self.ids) - 1] * is_ended]
        return Sample(
            text=text,
            num_tokens=len(self.ids),
            finish_reason="stop" if is_ended or stop is not None else "length",
            stop=stop,
            tokens=None if token_logprob is None else tuple(map(token_logprob, places)),
            thought=thought,
        )

    def _push_thought(self, token: int) -> None:
        self._num_in_thoughts += 1
        if self._closes(token):
            if self.phase == "later thought":
                self.phase, self._segment = "text", len(self.ids)
                self._phase_start = len(self.ids)
            else:
                self._end_leading_thought()
        elif self._num_in_thoughts >= self._row.max_thought_tokens:
            self.has_ended = True

    def _end_leading_thought(self) -> None:
        markers = self._markers
        is_split = markers is not None and bool(self._tail(len(markers.closing)).rpartition(markers.closing)[2].strip())
        self._num_leading = self._segment = self._num_in_thoughts = self._phase_start = len(self.ids)
        self.phase = "text" if is_split else "behind thought"

    def _push_text(self, token: int) -> None:
        if self.phase == "behind thought":
            if not self._rules.decoder.after([], [token]).strip():
                self._num_leading = self._segment = self._num_in_thoughts = len(self.ids)
                self.has_ended = self._num_in_thoughts >= self._row.max_thought_tokens + self._row.sampling.max_tokens
                return
            self.phase = "text"
        is_undecided = False
        if self.phase == "begun":
            is_undecided = self._decide()
        elif self.looks_for_opening and self._opens(token):
            self.phase, self._phase_start = "later thought", len(self.ids)
            self._num_in_thoughts += 1
        if self.phase in ("thought", "later thought"):
            return
        if self.looks_for_closing and self._closes(token):
            self._end_leading_thought()
            return
        num_text = len(self.ids) - self._num_in_thoughts
        self.has_ended = not is_undecided and (num_text >= self._row.sampling.max_tokens or self._stops(token))

    def _decide(self) -> bool:
        """Find out whether the sample begins with a thought; return whether the opening may be half written."""
        markers = self._markers
        begun = self._rules.decoder.after([], self.ids).lstrip()
        if markers is None or not (begun.startswith(markers.opening) or markers.opening.startswith(begun)):
            self.phase = "text"
            return False
        if not begun.startswith(markers.opening):
            # Tokens without text would leave it undecided for ever; an opening has no more tokens than bytes.
            return bool(begun) and len(self.ids) < self._row.sampling.max_tokens + len(markers.opening.encode())
        self.phase, self._num_in_thoughts = "thought", len(self.ids)
        self._phase_start = len(self.ids)
        if markers.closing in begun:
            self._end_leading_thought()
        return False

    def _opens(self, token: int) -> bool:
        return self._markers is not None and self._completes(token, self._markers.opening, self._rules.opening_id)

    def _closes(self, token: int) -> bool:
        return self._markers is not None and self._completes(token, self._markers.closing, self._rules.closing_id)

    def _completes(self, token: int, marker: str, marker_id: int | None) -> bool:
        if marker_id is not None and token == marker_id:
            return True
        if not self._rules.may_complete(token, (marker,)):
            return False
        return marker in self._tail(len(marker.encode()), since=self._phase_start)

    def _stops(self, token: int) -> bool:
        stops = self._row.sampling.stop
        if not stops or not self._rules.may_complete(token, stops):
            return False
        num_tail = max(len(stop.encode()) for stop in stops) + _NUM_SPARE_TOKENS
        text = self._tail(num_tail, since=self._segment)
        return any(stop in text for stop in stops)

    def _tail(self, num_tokens: int, *, since: int = 0) -> str:
        """Return the text of the last tokens behind the place ``since``, as it reads behind those before them."""
        start = max(since, len(self.ids) - num_tokens - _NUM_SPARE_TOKENS)
        context = self.ids[max(since, start - _NUM_SPARE_TOKENS) : start]
        if start == 0:
            context = list(self._row.prompt.context_ids)
        return self._rules.decoder.after(context, self.ids[start:])

    def _text_behind(self, whole: str, ids: list[int], num_thought: int) -> str:
        """Return the text behind the first ``num_thought`` tokens, the last of which may hold words of the text too."""
        if self.phase == "thought":
            return ""
        thought = self._rules.decoder.after(self._row.prompt.context_ids, ids[:num_thought]) if num_thought else ""
        text = whole[len(thought) :]
        if thought and self._markers is not None:
            words = thought.rpartition(self._markers.closing)[2]
            text = words.lstrip() + text if words.strip() else text
        return text

    def _cut(self, text: str, ids: list[int], num_before: int) -> tuple[str, str | None]:
        """Return the text up to its first stop string outside thoughts, and that string."""
        if self._segment <= self._num_leading:
            return cut_at_stop(text, self._row.sampling.stop)
        before = self._rules.decoder.after(self._row.prompt.context_ids, ids[: self._segment])[num_before:]
        rest, stop = cut_at_stop(text[len(before) :], self._row.sampling.stop)
        return before + rest, stop


def _may_begin(markers: ThoughtMarkers | None) -> bool:
    """Return whether a thought may begin in the middle of a turn."""
    return markers is not None and not markers.always_thinks


def _single_id(tokenizer: Any, text: str) -> int | None:
    """Return the token that is all of ``text``; None if there is none."""
    token = tokenizer.convert_tokens_to_ids(text)
    is_it = isinstance(token, int) and tokenizer.convert_ids_to_tokens(token) == text
    return token if is_it and token in tokenizer.added_tokens_decoder else None


def _could_end(string: str, text: str) -> bool:
    """Return whether a token of this text may end ``string``; decoding one token alone may hide a space before it."""
    if not text or _UNREADABLE in text:
        return True
    spaced = f" {text}"
    if string in spaced:
        return True
    return any(form.startswith(string[start:]) for form in (text, spaced) for start in range(1, len(string)))
