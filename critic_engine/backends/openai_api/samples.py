"""From an endpoint's reply to samples: cutting texts at further stop strings, and finding the tokens of each text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from critic_engine.backends.cutting import cut_at_stop
from critic_engine.backends.openai_api.capabilities import EndpointCapabilities
from critic_engine.backends.openai_api.replies import ChatReply, Choice, ChosenToken, TopToken
from critic_engine.backends.openai_api.request_bodies import Draft
from critic_engine.errors import GenerationError
from critic_engine.parsing.thoughts import marked_thought, split_thought
from critic_engine.protocols import Sample, TokenLogprob
from critic_engine.types import FinishReason

_UNREADABLE = "\N{REPLACEMENT CHARACTER}"
_BLANK = b" "


@dataclass(frozen=True, slots=True)
class _SplitContent:
    """The content of a choice, with its thought told apart."""

    content: str
    """The content as the server sent it, or the text that the server took for a thought."""
    thought: str
    """The thought as it stands in a prefix: as the model wrote it, or between markers where the server took them."""
    start: int
    """The place in the content where the text begins."""
    apart: str = ""
    """The thought as the server sent it beside the content."""


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
    counts = count_tokens(choices, reply.reported.num_generated)
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
    written = _told_apart(choice, finish_reason, draft, capabilities)
    cut = _cut(written, finish_reason, draft)
    stop = cut.stop
    if stop is None and finish_reason == "stop":
        stop = _reported_stop(choice, draft, capabilities)
    sample = Sample(
        text=cut.text,
        num_tokens=num_tokens,
        finish_reason="stop" if cut.stop is not None else finish_reason,
        stop=stop,
        thought=written.thought,
    )
    found = _tokens_of_text(choice, written, cut, draft)
    if found is None:
        return sample
    tokens, ends = found
    num_most = draft.sampling.max_tokens
    if draft.thinks and len(tokens) > num_most:
        # The limit that was sent allows for the thought too, which took less.
        text = written.content.encode()[: ends[num_most - 1]].decode(errors="ignore")[cut.start :]
        sample, tokens = replace(sample, text=text, finish_reason="length", stop=None), tokens[:num_most]
    num_top = draft.sampling.num_top_logprobs or 0
    return replace(sample, tokens=tuple(_token_logprob(token, num_top) for token in tokens))


def _told_apart(
    choice: Choice, finish_reason: FinishReason, draft: Draft, capabilities: EndpointCapabilities
) -> _SplitContent:
    """Return what the choice holds.

    Raises:
        ValueError: it holds nothing, though it was not cut.
        GenerationError: the model refuses to answer.
    """
    content, apart = choice.message.content, choice.message.thought
    if content is None and choice.message.refusal:
        raise GenerationError(f"the model refuses to answer: {choice.message.refusal!r}; change the prompt")
    if content is None and not apart and finish_reason == "stop":
        raise ValueError("a choice that was not cut has no content")
    content = content or ""
    if apart and not content.strip() and not draft.thinks and capabilities.is_text_taken_for_thought:
        content, apart = apart, ""
    # Of a model that thinks unseen, nothing may be left to see when its limit ended it.
    thought, text = split_thought(content, is_open=draft.thinks and capabilities.thoughts == "opened")
    start = len(content) - len(text)
    if not apart:
        return _SplitContent(content, thought, start)
    start += len(text) - len(text.lstrip())
    return _SplitContent(content, marked_thought(apart) + thought.lstrip(), start, apart)


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


def _cut(written: _SplitContent, finish_reason: FinishReason, draft: Draft) -> _Cut:
    start, text = written.start, written.content[written.start :]
    if draft.shown_prefix:
        start += len_repeated(text, draft.shown_prefix, is_cut=finish_reason == "length")
    elif draft.is_white_space_lost:
        start += len(text) - len(text.lstrip())
    text, stop = cut_at_stop(written.content[start:], draft.sampling.stop)
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


def _tokens_of_text(
    choice: Choice, written: _SplitContent, cut: _Cut, draft: Draft
) -> tuple[list[ChosenToken], list[int]] | None:
    """Return the tokens of the sample's text and the one that ended it, and the byte of the content behind each.

    None without log-probabilities, and where it is unsure which tokens are the text's.

    Raises:
        ValueError: the tokens do not make up what was written.
    """
    if draft.sampling.num_top_logprobs is None or "logprobs" not in draft.body:
        return None
    content, has_thought = written.content, bool(written.thought)
    if has_thought and not content[written.start :].strip():
        return None
    ends = token_ends(content, choice.tokens, thought=written.apart)
    if ends is None:
        if has_thought or any(_UNREADABLE in token.token for token in choice.tokens):
            return None
        raise ValueError(f"its {len(choice.tokens)} tokens do not make up its text")
    start, end = len(content[: cut.start].encode()), len(content[: cut.end].encode())
    kept, behinds = [], []
    for token, begin, behind in zip(choice.tokens, [0, *ends], ends, strict=False):
        is_before = behind < 0 or (start > 0 and behind <= start)
        is_after = cut.stop is not None and begin >= end
        if not (is_before or is_after):
            kept.append(token)
            behinds.append(behind)
    return kept, behinds


def token_ends(written: str, tokens: Sequence[ChosenToken], *, thought: str = "") -> list[int] | None:
    """Return for each token the byte of ``written`` behind it, -1 for tokens before it; None if they do not make it up.

    Tokens that are not in the text, such as special ones and those of a stop string, take no place in it. Tokens that
    precede it, such as those of a ``thought`` that the server split off or hides, are recognised because the text's own
    tokens are the last.
    """
    text, pieces = written.encode(), [_piece(token) for token in tokens]
    hidden = _num_hidden(b"".join(pieces), text, thought.strip().encode())
    ends, place, passed = [], 0, 0
    for piece in pieces:
        passed += len(piece)
        if hidden and passed <= hidden:
            ends.append(-1)
            continue
        place = _behind(text, place, piece)
        ends.append(place)
    return ends if not text[place:].strip() else None


def _num_hidden(joined: bytes, text: bytes, thought: bytes) -> int:
    """Return the number of bytes of the joined tokens before those of the text."""
    if thought and thought in joined:
        return max(joined.find(thought) + len(thought), joined.rfind(text))
    return 0 if joined.startswith(text) else max(0, joined.rfind(text))


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
