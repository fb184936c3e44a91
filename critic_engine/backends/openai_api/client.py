"""Requests to an endpoint through the official client: retries are bounded and counted, failures are values."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeAlias, TypeVar

from critic_engine.backends.openai_api.key import EndpointKey, endpoint_url, read_key
from critic_engine.backends.openai_api.replies import ModelList, read_bill, read_reply
from critic_engine.config.models import EndpointConfig
from critic_engine.errors import GenerationError, ModelLoadError
from critic_engine.types import TokenUsage

_logger = logging.getLogger(__name__)
_T = TypeVar("_T")
Reader: TypeAlias = Callable[[bytes], tuple[_T, TokenUsage]]
"""From the body of an answer to its content and what the endpoint bills for it."""

_MAX_RETRY_AFTER_S = 120.0
"""The client waits as long as ``Retry-After`` asks, up to this many seconds; a longer wait ends the retries."""
_FIRST_WAIT_S, _MAX_WAIT_S = 0.5, 8.0
_RETRY_COUNT_HEADER = "x-stainless-retry-count"


@dataclass(frozen=True, slots=True)
class RetryLimits:
    """Limits of one request to the endpoint."""

    timeout_s: float
    """Seconds that one attempt may take."""
    max_retries: int
    """Attempts after the first one, at most."""

    @property
    def total_s(self) -> float:
        """Seconds that all attempts may take; they end an answer that trickles in, each part within ``timeout_s``."""
        return (self.max_retries + 1) * self.timeout_s + self.max_retries * _MAX_RETRY_AFTER_S


@dataclass(frozen=True, slots=True)
class EndpointAnswer(Generic[_T]):
    """An answer of the endpoint, read and checked."""

    value: _T
    usage: TokenUsage
    """Spent on it and on the attempts before it, as far as the endpoint told."""


@dataclass(frozen=True, slots=True)
class EndpointFailure:
    """The reason that a request got no answer; a value, because a chain of errors would show the endpoint's words."""

    reason: str
    """One line without credentials."""
    status: int | None = None
    """The HTTP status; None when there was no answer at all."""
    code: str = ""
    """The endpoint's own code for the failure."""
    usage: TokenUsage = field(default_factory=TokenUsage)
    """Spent on all attempts, as far as the endpoint told: an answer that cannot be read may still name its tokens."""
    is_unreadable: bool = False
    """Whether an answer came that cannot be read."""

    def __str__(self) -> str:
        """Return the reason with status and retries."""
        status = "no answer" if self.status is None else f"HTTP {self.status}"
        retries = f" after {self.usage.num_retries} retries" if self.usage.num_retries else ""
        return f"{status}{retries}: {self.reason}"


class EndpointClient:
    """A client of one endpoint. Use it from one event loop only.

    The official client retries after 408, 409, 429, 5xx, a lost connection and a timeout; it waits as ``Retry-After``
    says, or twice as long each time. An answer of status 200 that cannot be read is retried here, within the same
    number of retries.
    """

    def __init__(self, model: str, options: EndpointConfig) -> None:
        """Open no connection yet.

        Raises:
            ModelLoadError: the package, the key or the address is missing or unusable.
        """
        try:
            import openai
        except ImportError:
            raise ModelLoadError(
                "backend 'openai_api' needs the package openai; pip install 'critic-engine[openai]'"
            ) from None
        self.url = endpoint_url(options)
        """The endpoint's address; None for OpenAI's own."""
        self.key = read_key(options)
        """The endpoint's key."""
        self._model = model
        self._slots = asyncio.Semaphore(options.max_in_flight)
        self._client = openai.AsyncOpenAI(api_key=self.key.value, base_url=self.url)

    @property
    def place(self) -> str:
        """The model and its address, for messages."""
        return f"{self._model!r} at {self.url or 'OpenAI'}"

    async def ask(
        self,
        body: Mapping[str, object],
        read: Reader[_T],
        *,
        limits: RetryLimits,
        headers: Mapping[str, str] | None = None,
    ) -> EndpointAnswer[_T] | EndpointFailure:
        """Return the answer to a chat completion request, as ``read`` parses it.

        Args:
            body: The request without the model.
            read: Returns the answer and what the endpoint bills for it. Raises ``ValueError`` when the answer is
                malformed, and ``GenerationError`` when it is a refusal.
            limits: Of time and retries.
            headers: Further headers of the request.
        """
        rest = {name: value for name, value in body.items() if name != "messages"}
        async with self._slots:
            spent = TokenUsage()
            while True:
                left = replace(limits, max_retries=limits.max_retries - spent.num_retries)
                outcome = await self._attempt(
                    lambda client: client.chat.completions.with_raw_response.create(
                        model=self._model, messages=body["messages"], extra_body=rest, extra_headers=headers
                    ),
                    read,
                    left,
                )
                outcome = replace(outcome, usage=spent + outcome.usage)
                if isinstance(outcome, EndpointAnswer) or not outcome.is_unreadable:
                    return outcome
                if outcome.usage.num_retries >= limits.max_retries:
                    return outcome
                _logger.warning("%s sent an answer that cannot be read, asking again: %s", self.place, outcome.reason)
                await asyncio.sleep(min(_FIRST_WAIT_S * 2**outcome.usage.num_retries, _MAX_WAIT_S))
                spent = outcome.usage + TokenUsage(num_retries=1)

    async def list_models(self, *, limits: RetryLimits) -> ModelList | EndpointFailure:
        """Return the models that the endpoint lists."""
        async with self._slots:
            outcome = await self._attempt(
                lambda client: client.models.with_raw_response.list(),
                lambda body: (read_reply(body, ModelList), TokenUsage()),
                limits,
            )
        return outcome.value if isinstance(outcome, EndpointAnswer) else outcome

    async def aclose(self) -> None:
        """Close its connections."""
        await self._client.close()

    async def _attempt(
        self, send: Callable[[Any], Any], read: Reader[_T], limits: RetryLimits
    ) -> EndpointAnswer[_T] | EndpointFailure:
        """Return the outcome of one call of the client, its own retries included."""
        client = self._client.with_options(max_retries=limits.max_retries, timeout=limits.timeout_s)
        try:
            async with asyncio.timeout(limits.total_s):
                response = await send(client)
        except TimeoutError:
            # How often it was sent is unknown here.
            return EndpointFailure(f"it took more than {limits.total_s:g} s", usage=_sent(0))
        except Exception as error:
            return _failure(error, self.key)
        body: bytes = response.content
        sent = _sent(response.retries_taken)
        try:
            value, billed = read(body)
            return EndpointAnswer(value, sent + billed)
        except GenerationError as refusal:
            return EndpointFailure(self.key.scrub(str(refusal)), response.status_code, usage=sent + read_bill(body))
        except ValueError as error:
            quote = self.key.scrub(body.decode(errors="replace"))
            reason = f"the answer cannot be read ({self.key.scrub(str(error))}): {quote!r}"
            return EndpointFailure(reason, response.status_code, usage=sent + read_bill(body), is_unreadable=True)


def _sent(num_retries: int) -> TokenUsage:
    return TokenUsage(num_retries=num_retries, num_requests=1 + num_retries)


def _failure(error: Exception, key: EndpointKey) -> EndpointFailure:
    """Return an error of the client as a value, without the key, which the error and its causes may quote."""
    import openai

    if not isinstance(error, openai.APIError):
        return EndpointFailure(key.scrub(f"{type(error).__name__}: {error}"), usage=_sent(0))
    usage = _sent(int(error.request.headers.get(_RETRY_COUNT_HEADER, 0)))
    if not isinstance(error, openai.APIStatusError):
        cause = f" ({type(error.__cause__).__name__}: {error.__cause__})" if error.__cause__ else ""
        return EndpointFailure(key.scrub(f"{error.message}{cause}"), usage=usage)
    message = error.body.get("message") if isinstance(error.body, dict) else error.body
    reason = key.scrub(str(message or error.response.reason_phrase))
    usage += read_bill(error.response.content)
    return EndpointFailure(reason, error.status_code, key.scrub(error.code or ""), usage)


_OVERFLOW_WORDS: Sequence[str] = (
    "context length",
    "context_length",
    "context window",
    "context size",
    "maximum model length",
    "max_model_len",
    "prompt is too long",
)


def is_overflow(failure: EndpointFailure) -> bool:
    """Return whether the endpoint refused the prompt for its length."""
    text = f"{failure.code} {failure.reason}".lower()
    return failure.status in (400, 413, 422) and any(words in text for words in _OVERFLOW_WORDS)


def advised(failure: EndpointFailure, client: EndpointClient) -> str:
    """Return the failure and what may help against it."""
    if failure.status in (401, 403):
        return f"{failure}; set the environment variable {client.key.variable} to a key that may use it"
    if failure.status is None:
        return f"{failure}; check openai_api.base_url, and that the endpoint is up"
    return str(failure)
