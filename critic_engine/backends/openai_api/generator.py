"""A generator over any endpoint that speaks OpenAI's chat completions: OpenAI, vLLM's server, and many others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from critic_engine.backends.openai_api.capabilities import EndpointCapabilities
from critic_engine.backends.openai_api.client import (
    EndpointAnswer,
    EndpointClient,
    EndpointFailure,
    RetryLimits,
    advised,
    is_overflow,
)
from critic_engine.backends.openai_api.key import endpoint_url
from critic_engine.backends.openai_api.probe import EndpointProbe
from critic_engine.backends.openai_api.replies import ChatReply, read_reply
from critic_engine.backends.openai_api.request_bodies import (
    Draft,
    JsonObject,
    draft_request,
    image_urls,
    optional_fields,
    with_less_thought,
)
from critic_engine.backends.openai_api.samples import read_samples
from critic_engine.concurrency import gather_or_cancel
from critic_engine.config.models import EndpointConfig
from critic_engine.errors import ContextOverflowError, GenerationError
from critic_engine.images.byte_cache import ByteCache
from critic_engine.protocols import Generation, GenerationRequest, Sample
from critic_engine.types import TokenUsage

_REFUSED = 400


class OpenAiGenerator:
    """Answers requests through an endpoint, at most ``max_in_flight`` at a time. Use it from one event loop only.

    This class replaces the capabilities that the endpoint lacks, as ``EndpointCapabilities.rows`` lists. Texts with the
    model's control tokens are not refused, as they are for a local model: only the endpoint knows its tokenizer.
    """

    def __init__(self, model: str, options: EndpointConfig, *, name: str | None = None) -> None:
        """Build without connecting.

        Args:
            model: The endpoint's name of the model.
            options: The endpoint's address and limits.
            name: The generator's name in reports; ``openai_api:`` and the model's name unless given.

        Raises:
            ModelLoadError: the address is none, or holds a password.
        """
        endpoint_url(options)
        self._model = model
        self._options = options
        self.name = name or f"openai_api:{model}"
        """The generator's name in reports."""
        self._client: EndpointClient | None = None
        self._probing: asyncio.Task[EndpointCapabilities] | None = None
        self._urls: ByteCache[str] = ByteCache()
        self._is_closed = False

    async def load(self) -> None:
        """Find out the endpoint's capabilities, once, by about twenty small requests.

        Raises:
            ModelLoadError: it does not answer, has no such model, refuses the key, or reports no usage.
        """
        await self._ready()

    async def describe(self) -> EndpointCapabilities:
        """Return the endpoint's capabilities; finds them out if need be.

        Raises:
            ModelLoadError: as ``load`` does.
        """
        _, capabilities = await self._ready()
        return capabilities

    async def generate(self, request: GenerationRequest) -> Generation:
        """Return one sample a seed.

        ``usage`` is as the endpoint bills it: where each sample takes a request of its own, each counts the prompt, and
        replies that could not be read count too if they say what they cost. So does that of an error, which lacks only
        the requests that were under way when another one failed.

        A thought comes back in ``Sample.thought`` between markers, though a server splits it off. A request whose model
        may think is sent without stop strings, and its text is cut here: at a stop string, and at ``max_tokens`` where
        log-probabilities tell the tokens of the text from those of the thought.

        Raises:
            ModelLoadError: as ``load`` does.
            ContextOverflowError: the endpoint finds the prompt too long.
            GenerationError: the endpoint does not answer, after all retries; refuses; or takes no images. Not
                retryable.
        """
        if not request.seeds:
            return Generation((), TokenUsage())
        client, capabilities = await self._ready()
        if not capabilities.has_images and any(message.images for message in request.messages):
            raise GenerationError(f"{client.place} takes no images; name a model that does")
        draft = draft_request(request, capabilities, await image_urls(request.messages, self._urls))
        draft = draft.of_session(request.session, self._options)
        bodies = draft.bodies(request.seeds, capabilities)
        spent: list[TokenUsage] = []
        asked = (self._ask(body, draft, client, capabilities, on_usage=spent.append) for body in bodies)
        try:
            answers = await gather_or_cancel(asked)
        except GenerationError as error:
            raise error.with_usage(sum(spent, TokenUsage())) from error
        return Generation(tuple(sample for answer in answers for sample in answer), sum(spent, TokenUsage()))

    async def aclose(self) -> None:
        """Close the connections. May be called again."""
        self._is_closed = True
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    async def _ask(
        self,
        body: JsonObject,
        draft: Draft,
        client: EndpointClient,
        capabilities: EndpointCapabilities,
        *,
        on_usage: Callable[[TokenUsage], None],
    ) -> tuple[Sample, ...]:
        """Return the samples that one request to the endpoint brings; a refused one is sent again with less thought."""
        while True:
            outcome = await self._send(body, draft, client, capabilities)
            on_usage(outcome.usage)
            if isinstance(outcome, EndpointAnswer):
                return outcome.value
            less = with_less_thought(draft, body) if is_overflow(outcome) else None
            bare = draft.without_thought if outcome.status == _REFUSED else None
            if less is not None:
                body = less
            elif bare is not None:
                draft, body = bare, {**body, **bare.body}
            else:
                raise self._failure(outcome, body, client, capabilities)

    async def _send(
        self, body: JsonObject, draft: Draft, client: EndpointClient, capabilities: EndpointCapabilities
    ) -> EndpointAnswer[tuple[Sample, ...]] | EndpointFailure:
        num_samples = body.get("n", 1)
        assert isinstance(num_samples, int)

        def read(content: bytes) -> tuple[tuple[Sample, ...], TokenUsage]:
            reply = read_reply(content, ChatReply)
            samples = read_samples(reply, draft, capabilities, num_samples=num_samples)
            return samples, reply.reported.token_usage

        limits = RetryLimits(self._options.timeout_s, self._options.max_retries)
        return await client.ask(body, read, limits=limits, headers=draft.headers)

    def _failure(
        self, failure: EndpointFailure, body: JsonObject, client: EndpointClient, capabilities: EndpointCapabilities
    ) -> GenerationError:
        """Return the error of a request that failed for good; it is not retryable, for it has been retried already."""
        if is_overflow(failure):
            return ContextOverflowError(
                f"the prompt and max_tokens do not fit the context of {client.place}: {failure}; shorten or lower them",
                max_context_tokens=capabilities.max_context_tokens or 0,
            )
        optional = optional_fields(body) if failure.status in (_REFUSED, 422) else []
        advice = f"; it may not take {', '.join(optional)}, which not every endpoint does" if optional else ""
        return GenerationError(f"{client.place} did not answer: {advised(failure, client)}{advice}")

    async def _ready(self) -> tuple[EndpointClient, EndpointCapabilities]:
        """Return the client and the capabilities; concurrent callers wait for one probe."""
        if self._is_closed:
            raise GenerationError(f"{self.name} is closed")
        if self._client is None:
            self._client = EndpointClient(self._model, self._options)
        if self._probing is None or _has_failed(self._probing):
            self._probing = asyncio.create_task(EndpointProbe(self._client, self._options, self._model).run())
        # A caller that is cancelled must not cancel the probe for the others.
        return self._client, await asyncio.shield(self._probing)


def _has_failed(task: asyncio.Task[EndpointCapabilities]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
