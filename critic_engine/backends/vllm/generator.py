"""A generator over vLLM's engine, which is started again when it dies."""

from __future__ import annotations

from typing import Any, TypeAlias

from critic_engine.backends.vllm.engine import VllmEngine, engine_errors, engine_name, pool_of_one
from critic_engine.backends.vllm.prompts import VllmPrompt, VllmPrompts
from critic_engine.backends.vllm.samples import VllmSamples
from critic_engine.concurrency import gather_or_cancel
from critic_engine.config.models import ModelConfig
from critic_engine.errors import GenerationError, ReplicaLostError
from critic_engine.protocols import Generation, GenerationRequest, Sample
from critic_engine.replicas.pooled_model import PooledGenerator
from critic_engine.types import TokenUsage

_MAX_SENDS = 2
_Generated: TypeAlias = tuple[Sample, int]  # And how many of its prompt's tokens were cached.


class VllmReplica(VllmEngine):
    """One engine that answers generation requests. All use is from one event loop."""

    _prompts: VllmPrompts | None = None
    _samples: VllmSamples | None = None

    async def start(self) -> None:
        """Return when the engine is ready.

        Raises:
            ModelLoadError: vLLM cannot load the model or refuses an argument, or the model has no chat template.
        """
        await super().start()
        self._prompts = VllmPrompts(self.llm, model=self.model)
        self._samples = VllmSamples(self._prompts.tokenizer, self.llm.model_config, self._prompts.writer.markers)

    async def call(self, request: GenerationRequest) -> Generation:
        """Return one sample a seed, cut where the model's context ends.

        ``usage`` counts the prompt once, however many samples continue it; its cached tokens are those that the first
        sample found in the prefix cache.

        Raises:
            ReplicaLostError: the engine is dead or stopped.
            ContextOverflowError: the prompt leaves no room for a token in the model's context.
            GenerationError: the request cannot be answered; retryable when memory ran out.
        """
        if not request.seeds:
            return Generation((), TokenUsage())
        num_sends = 0
        while True:
            num_sends += 1
            try:
                return await self._answer(request, num_retries=num_sends - 1)
            except _UnfinishedError:
                # The engine has forgotten an image that vLLM believed it to hold, and is sent it again.
                if num_sends == _MAX_SENDS:
                    raise

    async def stop(self) -> None:
        """End the engine and its processes; it may be dead, stopped or half started."""
        prompts, self._prompts, self._samples = self._prompts, None, None
        if prompts is not None:
            prompts.close()
        await super().stop()

    async def _answer(self, request: GenerationRequest, *, num_retries: int) -> Generation:
        prompts, samples = self._prompts, self._samples
        if prompts is None or samples is None:
            raise ReplicaLostError(f"the engine of {self.model} is not started")
        prompt = await prompts.render(request)
        generated = await gather_or_cancel(self._generate(prompt, request, samples, seed) for seed in request.seeds)
        num_generated = sum(sample.num_tokens for sample, _ in generated)
        usage = TokenUsage(prompt.num_tokens, num_generated, cached_tokens=generated[0][1], num_retries=num_retries)
        return Generation(tuple(sample for sample, _ in generated), usage)

    async def _generate(
        self, prompt: VllmPrompt, request: GenerationRequest, samples: VllmSamples, seed: int
    ) -> _Generated:
        sample = samples.begin(prompt.row(request, seed), has_seed=self.can_seed)
        num_cached: int | None = None
        has_ended = False
        while not has_ended:
            with engine_errors(self.model):
                params = sample.params()
            output: Any = await self.ask(prompt.behind(sample.reader.ids), params)
            num_cached = output.num_cached_tokens or 0 if num_cached is None else num_cached
            (completion,) = output.outputs
            if completion.finish_reason not in ("stop", "length"):
                raise _UnfinishedError(
                    f"vLLM ended a request with {completion.finish_reason}; it may be sent again", is_retryable=True
                )
            has_ended = sample.take(completion)
        return sample.read(), num_cached or 0


class VllmGenerator(PooledGenerator):
    """Answers requests with an engine of this process, which is restarted when it dies.

    A sample depends on its seed, and on its companions only where batched arithmetic rounds otherwise. All use is from
    one event loop.
    """

    def __init__(self, config: ModelConfig, *, section: str, model: str | None = None, name: str | None = None) -> None:
        """Build without starting the engine, with the arguments and errors of ``VllmEngine``.

        ``name`` is the generator's name in reports; ``vllm:`` and the last part of the model's name unless given.
        """
        self.replica = VllmReplica(config, section=section, model=model)
        """The one replica."""
        name = name or engine_name(model or config.model)
        super().__init__(pool_of_one(self.replica, config, name=name))


class _UnfinishedError(GenerationError):
    """The engine ended a request by itself; sent again it may be answered."""
