"""A scorer over vLLM's engine: reward models with one output, through its pooling."""

from __future__ import annotations

import copy
from typing import Any

from critic_engine.backends.huggingface.control_tokens import encoding_errors
from critic_engine.backends.huggingface.scorer import BatchScorer, value_of
from critic_engine.backends.vllm.engine import VllmEngine, engine_name, pool_of_one
from critic_engine.config.models import ModelConfig
from critic_engine.errors import ModelLoadError, ReplicaLostError
from critic_engine.protocols import Score
from critic_engine.replicas.pooled_model import PooledScorer
from critic_engine.types import Message


class VllmScorerReplica(VllmEngine):
    """One engine that scores conversations. All use is from one event loop."""

    runner = "pooling"
    _encoder: BatchScorer | None = None

    async def start(self) -> None:
        """Return when the engine is ready.

        Raises:
            ModelLoadError: vLLM cannot load the model or refuses an argument, or the model gives more than one number.
        """
        await super().start()
        model_config = self.llm.model_config
        tasks = await self.llm.get_supported_tasks()
        if "classify" not in tasks or model_config.hf_config.num_labels != 1:
            raise ModelLoadError(
                f"model {self.model} is no reward model with one output, as vLLM serves it; choose another, or set "
                "reward_model.head to verdict_token"
            )
        tokenizer = copy.deepcopy(self.llm.get_tokenizer())
        limit = min(model_config.max_model_len, tokenizer.model_max_length)
        self._encoder = BatchScorer(None, tokenizer, pad_token_id=None, max_context_tokens=limit)

    async def call(self, messages: tuple[Message, ...]) -> Score:
        """Return the sigmoid of the model's logit for a conversation, of which it reads the texts.

        Raises:
            ReplicaLostError: the engine is dead or stopped.
            ContextOverflowError: the conversation is longer than the model's context.
            GenerationError: it cannot be scored; retryable when memory ran out.
        """
        from vllm import PoolingParams

        llm = self.llm
        if self._encoder is None:
            raise ReplicaLostError(f"the engine of {self.model} is not started")
        (token_ids,) = self._encoder.encode(messages)
        with encoding_errors():
            (prompt,) = await llm.renderer.render_cmpl_async([{"prompt_token_ids": token_ids}])
        output: Any = await self.ask(prompt, PoolingParams(task="classify", use_activation=False))
        return value_of(float(output.outputs.data.reshape(-1)[0]), len(token_ids))


class VllmScorer(PooledScorer):
    """Scores conversations with an engine of this process, which is restarted when it dies.

    All use is from one event loop.
    """

    def __init__(self, config: ModelConfig, *, section: str, model: str | None = None) -> None:
        """Build without starting the engine, with the arguments and errors of ``VllmEngine``."""
        name = engine_name(model or config.model)
        replica = VllmScorerReplica(config, section=section, model=model)
        super().__init__(pool_of_one(replica, config, name=name))
