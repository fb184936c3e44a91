"""A generator over any endpoint that speaks OpenAI's chat completions: OpenAI, vLLM's server, and many others."""

from __future__ import annotations

import asyncio

from critic_engine.backends.openai_api.client import EndpointAnswer, EndpointClient, RetryLimits, advised, is_overflow
from critic_engine.backends.openai_api.key import endpoint_url
from critic_engine.backends.openai_api.probe import EndpointProbe
from critic_engine.backends.openai_api.replies import ChatReply, read_reply
from critic_engine.backends.openai_api.request_bodies import (
    Draft,
    EndpointCapabilities,
    JsonObject,
    draft_request,
    image_urls,
)
from critic_engine.backends.openai_api.samples import read_samples
from critic_engine.concurrency import gather_or_cancel
from critic_engine.config.models import EndpointConfig
from critic_engine.errors import ContextOverflowError, GenerationError
from critic_engine.images.byte_cache import ByteCache
from critic_engine.types import Generation, GenerationRequest, Sample, TokenUsage


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
        """Find out the endpoint's capabilities, once, by about fifteen small requests.

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

        ``usage`` is as the endpoint bills it: where each sample takes a request of its own, each counts the prompt.

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
        bodies = draft.bodies(request.seeds, capabilities)
        answers = await gather_or_cancel(self._ask(body, draft, client, capabilities) for body in bodies)
        samples = tuple(sample for answered, _ in answers for sample in answered)
        return Generation(samples, sum((usage for _, usage in answers), TokenUsage()))

    async def aclose(self) -> None:
        """Close the connections. May be called again."""
        self._is_closed = True
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    async def _ask(
        self, body: JsonObject, draft: Draft, client: EndpointClient, capabilities: EndpointCapabilities
    ) -> tuple[tuple[Sample, ...], TokenUsage]:
        """Return the samples that one request to the endpoint brings."""
        num_samples = body.get("n", 1)
        assert isinstance(num_samples, int)

        def read(content: bytes) -> tuple[tuple[Sample, ...], TokenUsage]:
            reply = read_reply(content, ChatReply)
            return read_samples(reply, draft, capabilities, num_samples=num_samples), reply.token_usage

        limits = RetryLimits(self._options.timeout_s, self._options.max_retries)
        outcome = await client.ask(body, read, limits=limits)
        if isinstance(outcome, EndpointAnswer):
            samples, usage = outcome.value
            return samples, usage + TokenUsage(num_retries=outcome.num_retries)
        if is_overflow(outcome):
            raise ContextOverflowError(
                f"the prompt and max_tokens do not fit the context of {client.place}: {outcome}; shorten or lower them",
                max_context_tokens=capabilities.max_context_tokens or 0,
            )
        # Not retryable, for it has been retried already.
        raise GenerationError(f"{client.place} did not answer: {advised(outcome, client)}")

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
