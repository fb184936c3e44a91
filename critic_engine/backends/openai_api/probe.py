"""Finding out an endpoint's capabilities by a dozen small requests; one that cannot be shown counts as absent."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from critic_engine.backends.openai_api.capabilities import THINKING_VARIABLES, EndpointCapabilities, ThoughtStyle
from critic_engine.backends.openai_api.client import (
    EndpointAnswer,
    EndpointClient,
    EndpointFailure,
    RetryLimits,
    advised,
)
from critic_engine.backends.openai_api.replies import ChatReply, ListedModel, read_reply
from critic_engine.backends.openai_api.request_bodies import (
    CONTINUATION_FLAGS,
    JsonObject,
    chat_message,
    image_url,
)
from critic_engine.backends.openai_api.samples import count_tokens
from critic_engine.config.models import EndpointConfig
from critic_engine.errors import ModelLoadError
from critic_engine.parsing.thoughts import split_thought
from critic_engine.types import Image, Message, TokenUsage

_logger = logging.getLogger(__name__)

_QUESTION = "Count from 1 to 20, one number a line."
_MESSAGE: JsonObject = {"role": "user", "content": _QUESTION}
_BEGINNING = "1\n2\n3"
_NUM_TOKENS = 16
# A question that takes few tokens, so that a model that thinks shows it by the end of its thought.
_EASY_MESSAGE: JsonObject = {"role": "user", "content": "What is 2 + 3? Answer with the number alone."}
_MAX_THOUGHT_TOKENS = 512
_THOUGHT = "<think>\nThe numbers from one to twenty are asked for, each on a line of its own.\n</think>\n\n"
_MAX_TIMEOUT_S = 60.0
# These answers say nothing about the capability that was asked for.
_BUSY = (401, 403, 408, 409, 429, 502, 503, 504)
_IMAGE_PX = 64
_LARGEST_SEED = 2**63 - 1
_TOP_LOGPROBS = (20, 10, 5, 1)
# Hardly any text of a few words has none of the first four, which are what most endpoints accept.
_STOPS = ("e", "1", "o", "\n", "a", "i", "n", "t", "s", "r", "2", "3", " ", ".", ":", ",")
_NUM_STOPS = (16, 4, 1)
_NUM_LISTED = 10
# The first characters of the markers that open a thought.
_OPENINGS = ("<", "[", "◁")


@dataclass(frozen=True, slots=True)
class _FoundContinuation:
    """The treatment of an assistant's message that is not finished."""

    is_there: bool = False
    is_white_space_kept: bool = False
    is_thought_kept: bool = False
    is_text_taken_for_thought: bool = False


@dataclass(frozen=True, slots=True)
class _FoundThinking:
    """The place of a model's thoughts."""

    style: ThoughtStyle = "none"
    is_optional: bool = False
    is_text_taken_for_thought: bool = False


class EndpointProbe:
    """The small requests that show an endpoint's capabilities for one model."""

    def __init__(self, client: EndpointClient, options: EndpointConfig, model: str) -> None:
        """Send nothing yet."""
        self._client = client
        self._model = model
        self._limits = RetryLimits(min(options.timeout_s, _MAX_TIMEOUT_S), options.max_retries)
        self._limit_name = "max_tokens"

    async def run(self) -> EndpointCapabilities:
        """Return the endpoint's capabilities.

        Raises:
            ModelLoadError: it does not answer, has no such model, refuses the key, or reports no usage.
        """
        num_prompt_tokens = await self._first_answer()
        max_context_tokens = await self._max_context_tokens()
        has_images, logprobs, seeded, stops, continuation, thoughts = await asyncio.gather(
            self._has_images(num_prompt_tokens),
            self._logprobs(),
            self._try("seeds", seed=_LARGEST_SEED),
            self._stops(),
            self._continuation(),
            self._thoughts(max_context_tokens),
        )
        has_logprobs, max_top_logprobs = logprobs
        return EndpointCapabilities(
            has_images=has_images,
            has_logprobs=has_logprobs,
            max_top_logprobs=max_top_logprobs,
            has_n=has_logprobs and await self._has_n(),
            has_temperature=await self._try("temperatures", temperature=0.5, top_p=0.9) is not None,
            has_seed=seeded is not None,
            max_stop_strings=stops[0],
            has_stop_reason=stops[1],
            has_continuation=continuation.is_there,
            is_white_space_kept=continuation.is_white_space_kept,
            is_thought_kept=continuation.is_thought_kept,
            thoughts=thoughts.style,
            is_thinking_optional=thoughts.is_optional,
            is_text_taken_for_thought=thoughts.is_text_taken_for_thought or continuation.is_text_taken_for_thought,
            max_context_tokens=max_context_tokens,
            has_max_tokens=self._limit_name == "max_tokens",
        )

    async def _first_answer(self) -> int:
        """Return the number of tokens of the plain prompt, and settle the name of the token limit."""
        outcome = await self._send()
        if isinstance(outcome, EndpointFailure) and outcome.status == 400:
            self._limit_name = "max_completion_tokens"
            second = await self._send()
            outcome = outcome if isinstance(second, EndpointFailure) else second
        if isinstance(outcome, EndpointFailure):
            raise await self._no_model() if outcome.status == 404 else self._unusable(outcome)
        try:
            return outcome.value.reported.prompt_tokens
        except ValueError as error:
            raise ModelLoadError(
                f"{self._client.place} does not say what it spends ({error}), without which no budget of tokens can be "
                "held; use an endpoint that does"
            ) from error

    def _unusable(self, failure: EndpointFailure) -> ModelLoadError:
        return ModelLoadError(f"{self._client.place} cannot be used: {advised(failure, self._client)}")

    async def _no_model(self) -> ModelLoadError:
        listed = await self._listed()
        names = ", ".join(repr(self._client.key.scrub(model.id)[:80]) for model in listed[:_NUM_LISTED])
        advice = f"name one that it has, such as {names}" if names else "check openai_api.base_url and the model"
        return ModelLoadError(f"{self._client.place} was not found (HTTP 404); {advice}")

    async def _listed(self) -> Sequence[ListedModel]:
        listed = await self._client.list_models(limits=self._limits)
        return () if isinstance(listed, EndpointFailure) else listed.data

    async def _max_context_tokens(self) -> int | None:
        return next((model.max_model_len for model in await self._listed() if model.id == self._model), None)

    async def _has_images(self, num_prompt_tokens: int) -> bool:
        image = _test_image()
        message = chat_message(Message("user", _QUESTION, (image,)), {image.digest: image_url(image)})
        reply = await self._try("images", messages=[message])
        return reply is not None and _num_prompt_tokens(reply) > num_prompt_tokens

    async def _logprobs(self) -> tuple[bool, int]:
        """Return whether there are log-probabilities, and the largest number of likeliest tokens with each."""
        for num_top in _TOP_LOGPROBS:
            reply = await self._try(f"{num_top} likeliest tokens", logprobs=True, top_logprobs=num_top)
            if reply is not None:
                tokens = reply.choices[0].tokens
                return bool(tokens), min(num_top, max((len(token.top_logprobs or ()) for token in tokens), default=0))
        reply = await self._try("log-probabilities", logprobs=True)
        return reply is not None and bool(reply.choices[0].tokens), 0

    async def _has_n(self) -> bool:
        """Return whether several samples come back with log-probabilities by which their tokens can be counted."""
        reply = await self._try("several samples", n=2, temperature=1.0, logprobs=True)
        if reply is None or len(reply.choices) != 2 or not all(choice.tokens for choice in reply.choices):
            return False
        try:
            count_tokens(reply.choices, reply.reported.num_generated)
        except ValueError:
            return False
        return True

    async def _stops(self) -> tuple[int, bool]:
        """Return the largest number of stop strings, and whether the endpoint names the one that ended a text."""
        for num_stops in _NUM_STOPS:
            stops = _STOPS[:num_stops]
            reply = await self._try(f"{num_stops} stop strings", stop=list(stops))
            if reply is not None:
                return num_stops, reply.choices[0].stop_reason in stops
        return 0, False

    async def _continuation(self) -> _FoundContinuation:
        """Return what the endpoint does with an assistant's message that is not finished.

        An endpoint that does not know the flags may ignore them; it then begins a new turn behind the message, which
        takes more tokens. A chat template may drop the thought of a message, and the endpoint may refuse it then.
        """
        plain, flagged, spaced, thinking = await asyncio.gather(
            self._try("an assistant's last message", messages=_unfinished(_BEGINNING)),
            self._try("continuation", messages=_unfinished(_BEGINNING), **CONTINUATION_FLAGS),
            self._try("continuation", messages=_unfinished(f"{_BEGINNING}\n\n"), **CONTINUATION_FLAGS),
            self._try("continuing a thought", messages=_unfinished(f"{_THOUGHT}{_BEGINNING}"), **CONTINUATION_FLAGS),
        )
        if plain is None or flagged is None or spaced is None:
            return _FoundContinuation()
        num_tokens = _num_prompt_tokens(flagged)
        if not num_tokens < _num_prompt_tokens(plain):
            return _FoundContinuation()
        return _FoundContinuation(
            is_there=True,
            is_white_space_kept=_num_prompt_tokens(spaced) > num_tokens,
            is_thought_kept=thinking is not None and _num_prompt_tokens(thinking) > num_tokens,
            is_text_taken_for_thought=_is_all_thought(flagged),
        )

    async def _thoughts(self, max_context_tokens: int | None) -> _FoundThinking:
        """Return where the model's thought comes back, and whether it can be turned off."""
        num_tokens = min(_MAX_THOUGHT_TOKENS, (max_context_tokens or 2 * _MAX_THOUGHT_TOKENS) // 2)
        fields = {"messages": [_EASY_MESSAGE], self._limit_name: num_tokens}
        reply = await self._try("thoughts", **fields)
        found = _FoundThinking() if reply is None else _read_thoughts(reply)
        if found.style == "none":
            return found
        off = {"chat_template_kwargs": dict.fromkeys(THINKING_VARIABLES, False)}
        answer = await self._try("turning thoughts off", **fields, **off)
        if answer is None or (without := _read_thoughts(answer)).style != "none":
            return found
        return _FoundThinking(found.style, True, without.is_text_taken_for_thought)

    async def _try(self, what: str, **fields: object) -> ChatReply | None:
        """Return the reply to a small request with ``fields``; None when it is refused.

        Raises:
            ModelLoadError: the endpoint is too busy to say.
        """
        outcome = await self._send(**fields)
        if isinstance(outcome, EndpointAnswer):
            return outcome.value
        if outcome.status in _BUSY:
            raise self._unusable(outcome)
        is_refused = outcome.status is not None and 400 <= outcome.status < 500
        level = logging.DEBUG if is_refused else logging.WARNING
        _logger.log(level, "%s: %s taken as absent: %s", self._client.place, what, outcome)
        return None

    async def _send(self, **fields: object) -> EndpointAnswer[ChatReply] | EndpointFailure:
        body = {"messages": [_MESSAGE], self._limit_name: _NUM_TOKENS, **fields}
        return await self._client.ask(
            body, lambda body: (read_reply(body, ChatReply), TokenUsage()), limits=self._limits
        )


def _unfinished(text: str) -> list[JsonObject]:
    return [_MESSAGE, {"role": "assistant", "content": text}]


def _read_thoughts(reply: ChatReply) -> _FoundThinking:
    """Return what a reply to an easy question shows; a model that ended its turn has not only thought."""
    message, usage = reply.choices[0].message, reply.usage
    if message.thought:
        is_ended = reply.choices[0].finish_reason == "stop"
        return _FoundThinking("none", False, True) if is_ended and _is_all_thought(reply) else _FoundThinking("apart")
    thought, _ = split_thought(message.content or "")
    if thought:
        return _FoundThinking("in_text" if thought.lstrip().startswith(_OPENINGS) else "opened")
    return _FoundThinking("hidden" if usage is not None and usage.reasoning_tokens else "none")


def _is_all_thought(reply: ChatReply) -> bool:
    message = reply.choices[0].message
    return bool(message.thought) and not (message.content or "").strip()


def _num_prompt_tokens(reply: ChatReply) -> int:
    return reply.usage.prompt_tokens if reply.usage else 0


def _test_image() -> Image:
    import PIL.Image

    file = io.BytesIO()
    PIL.Image.new("RGB", (_IMAGE_PX, _IMAGE_PX), "red").save(file, "PNG")
    return Image(file.getvalue(), "image/png", _IMAGE_PX, _IMAGE_PX)
