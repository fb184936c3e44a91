"""From an endpoint's reply to samples: cutting texts at further stop strings, and finding the tokens of each text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from critic_engine.backends.cutting import cut_at_stop
from critic_engine.backends.openai_api.replies import ChatReply, Choice, ChosenToken, TopToken
from critic_engine.backends.openai_api.request_bodies import Draft, EndpointCapabilities
from critic_engine.errors import GenerationError
from critic_engine.types import FinishReason, Sample, TokenLogprob

_UNREADABLE = "\N{REPLACEMENT CHARACTER}"
_BLANK = b" "


@dataclass(frozen=True, slots=True)
class _Cut:
    """The part of a reply's text that is the sample."""

    text: str
    stop: str | None
    """The stop string behind it, if one was found here."""
    start: int
    """The place of its first character in the reply."""
    end: int
    """The place behind the stop string, or behind the text when there is none."""


def read_samples(
    reply: ChatReply, draft: Draft, capabilities: EndpointCapabilities, *, num_samples: int
) -> tuple[Sample, ...]:
    """Return the samples of one reply, in order.

    Raises:
        ValueError: the reply contradicts itself or what was asked for; another one may do better.
        GenerationError: a text was ended for a reason that is none of ours, such as a filter.
    """
    if len(reply.choices) != num_samples:
        raise ValueError(f"it has {len(reply.choices)} choices where {num_samples} were asked for")
    choices = sorted(reply.choices, key=lambda choice: choice.index)
    counts = count_tokens(choices, reply.reported.completion_tokens)
    return tuple(
        _read_sample(choice, num_tokens, draft, capabilities)
        for choice, num_tokens in zip(choices, counts, strict=True)
    )


def count_tokens(choices: Sequence[Choice], num_generated: int) -> list[int]:
    """Return the tokens of each choice, ``num_generated`` together.

    An endpoint bills several samples in one sum. Each has the tokens it lists; those billed beyond them, such as the
    ones that ended the texts, are shared out evenly among the choices that ended before their limit.

    Raises:
        ValueError: more tokens are listed than billed.
    """
    counts = [len(choice.tokens) for choice in choices]
    num_unlisted = num_generated - sum(counts)
    if num_unlisted < 0:
        raise ValueError(f"it lists {sum(counts)} tokens and bills {num_generated}")
    ended = [place for place, choice in enumerate(choices) if choice.finish_reason == "stop"] or range(len(choices))
    share, num_left = divmod(num_unlisted, len(ended))
    for rank, place in enumerate(ended):
        counts[place] += share + (rank < num_left)
    return counts


def _read_sample(choice: Choice, num_tokens: int, draft: Draft, capabilities: EndpointCapabilities) -> Sample:
    finish_reason = _finish_reason(choice)
    written = choice.message.content
    if written is None:
        # Of a model that thinks unseen, nothing may be left to see when its limit ended it.
        if finish_reason == "stop":
            raise ValueError("a choice that was not cut has no content")
        written = ""
    cut = _cut(written, finish_reason, draft)
    stop = cut.stop
    if stop is None and finish_reason == "stop":
        stop = _reported_stop(choice, draft, capabilities)
    return Sample(
        text=cut.text,
        num_tokens=num_tokens,
        finish_reason="stop" if cut.stop is not None else finish_reason,
        stop=stop,
        tokens=_logprobs(choice, written, cut, draft),
    )


def _finish_reason(choice: Choice) -> FinishReason:
    match choice.finish_reason:
        case "stop" | "length" as reason:
            return reason
        case reason:
            raise GenerationError(f"the endpoint ended a text with finish_reason {reason!r}; change the prompt")


def _reported_stop(choice: Choice, draft: Draft, capabilities: EndpointCapabilities) -> str | None:
    if capabilities.has_stop_reason:
        return choice.stop_reason if choice.stop_reason in draft.sent_stops else None
    # Should the model have ended its turn after all, it will do so again when it is asked to go on.
    return draft.sent_stops[0] if draft.sent_stops else None


def _cut(written: str, finish_reason: FinishReason, draft: Draft) -> _Cut:
    start = 0
    if draft.shown_prefix:
        start = len_repeated(written, draft.shown_prefix, is_cut=finish_reason == "length")
    elif draft.is_white_space_lost:
        start = len(written) - len(written.lstrip())
    text, stop = cut_at_stop(written[start:], draft.sampling.stop)
    return _Cut(text, stop, start, start + len(text) + len(stop or ""))


def len_repeated(written: str, prefix: str, *, is_cut: bool) -> int:
    """Return the number of characters at the beginning of ``written`` that repeat ``prefix``.

    White space around it does not count, neither does its own last white space, which a model often writes again.
    ``is_cut`` says that the token limit ended the text: it may then have ended in the midst of the repetition.
    """
    lead = len(written) - len(written.lstrip())
    body, known = written[lead:], prefix.strip()
    if is_cut and body and known.startswith(body):
        return len(written)
    is_repeated = bool(known) and body.startswith(known)
    place = lead + len(known) if is_repeated else 0
    if prefix[-1].isspace():
        place = len(written) - len(written[place:].lstrip())
    return place


def _logprobs(choice: Choice, written: str, cut: _Cut, draft: Draft) -> tuple[TokenLogprob, ...] | None:
    """Return the tokens of the sample's text, and the one that ended it.

    Raises:
        ValueError: the tokens do not make up what was written.
    """
    num_top = draft.sampling.num_top_logprobs
    if num_top is None or "logprobs" not in draft.body:
        return None
    ends = token_ends(written, choice.tokens)
    if ends is None:
        if any(_UNREADABLE in token.token for token in choice.tokens):
            return None
        raise ValueError(f"its {len(choice.tokens)} tokens do not make up its text")
    start, end = len(written[: cut.start].encode()), len(written[: cut.end].encode())
    kept = []
    for token, begin, behind in zip(choice.tokens, [0, *ends], ends, strict=False):
        is_before = behind < 0 or (start > 0 and behind <= start)
        is_after = cut.stop is not None and begin >= end
        if not (is_before or is_after):
            kept.append(_token_logprob(token, num_top))
    return tuple(kept)


def token_ends(written: str, tokens: Sequence[ChosenToken]) -> list[int] | None:
    """Return for each token the byte of ``written`` behind it, -1 for tokens before it; None if they do not make it up.

    Tokens that are not in the text, such as special ones and those of a stop string, take no place in it. Tokens that
    precede it, such as those of hidden reasoning, are recognised because the text's own tokens are the last.
    """
    text, pieces = written.encode(), [_piece(token) for token in tokens]
    joined = b"".join(pieces)
    hidden = 0 if joined.startswith(text) else max(0, joined.rfind(text))
    ends, place, passed = [], 0, 0
    for piece in pieces:
        passed += len(piece)
        if hidden and passed <= hidden:
            ends.append(-1)
            continue
        place = _behind(text, place, piece)
        ends.append(place)
    return ends if not text[place:].strip() else None


def _behind(text: bytes, place: int, piece: bytes) -> int:
    """Return the place in ``text`` behind ``piece``, which is at ``place`` or not in it at all."""
    if text.startswith(piece, place):
        return place + len(piece)
    if len(text) - place < len(piece) and piece.startswith(text[place:]):
        return len(text)
    # Tokens of whole words show the blank before them only when they are joined.
    blanks = place
    while text.startswith(_BLANK, blanks):
        blanks += 1
    word = piece.lstrip(_BLANK)
    return blanks + len(word) if word and text.startswith(word, blanks) else place


def _piece(token: TopToken) -> bytes:
    return token.token.encode() if token.bytes is None else bytes(token.bytes)


def _token_logprob(token: ChosenToken, num_top: int) -> TokenLogprob:
    ranked = sorted(token.top_logprobs or (), key=lambda other: -other.logprob)
    return TokenLogprob(token.token, token.logprob, tuple((other.token, other.logprob) for other in ranked[:num_top]))
