"""A scorer over vLLM's engine: reward models with one output, through its pooling."""

from __future__ import annotations

import copy
from typing import Any

from critic_engine.backends.huggingface.classifier import BatchScorer, Classifier, value_of
from critic_engine.backends.huggingface.encoding import encoding_errors
from critic_engine.backends.vllm.arguments import check_engine_args
from critic_engine.backends.vllm.engine import VllmEngine, engine_name, pool_of_one
from critic_engine.config.models import ModelConfig
from critic_engine.errors import ModelLoadError, ReplicaLostError
from critic_engine.protocols import Score
from critic_engine.replicas.pooled_model import PooledScorer
from critic_engine.types import Message


class VllmScorerReplica:
    """One engine that scores conversations. All use is from one event loop."""

    def __init__(self, config: ModelConfig, *, section: str, model: str | None = None) -> None:
        """Build without starting the engine.

        Args:
            config: The model's configuration.
            section: The configuration's section, such as ``reward_model``.
            model: A local folder or a hub id that replaces the configuration's ``model``.

        Raises:
            ConfigError: an engine argument is refused.
            ModelLoadError: vLLM is not installed.
        """
        check_engine_args(config, section)
        self._model = model or config.model
        self._engine = VllmEngine(config, model=self._model, runner="pooling")
        self._encoder: BatchScorer | None = None

    async def start(self) -> None:
        """Return when the engine is ready.

        Raises:
            ModelLoadError: vLLM cannot load the model or refuses an argument, or the model gives more than one number.
        """
        await self._engine.start()
        model_config = self._engine.llm.model_config
        tasks = await self._engine.llm.get_supported_tasks()
        if "classify" not in tasks or model_config.hf_config.num_labels != 1:
            raise ModelLoadError(
                f"model {self._model} is no reward model with one output, as vLLM serves it; choose another, or set "
                "reward_model.head to verdict_token"
            )
        tokenizer = copy.deepcopy(self._engine.llm.get_tokenizer())
        limit = min(model_config.max_model_len, tokenizer.model_max_length)
        self._encoder = BatchScorer(
            Classifier(model=None, tokenizer=tokenizer, pad_token_id=None, max_context_tokens=limit)
        )

    async def call(self, messages: tuple[Message, ...]) -> Score:
        """Return the sigmoid of the model's logit for a conversation, of which it reads the texts.

        Raises:
            ReplicaLostError: the engine is dead or stopped.
            ContextOverflowError: the conversation is longer than the model's context.
            GenerationError: it cannot be scored; retryable when memory ran out.
        """
        from vllm import PoolingParams

        if self._encoder is None:
            raise ReplicaLostError(f"the engine of {self._model} is not started")
        (token_ids,) = self._encoder.encode(messages)
        with encoding_errors():
            (prompt,) = await self._engine.llm.renderer.render_cmpl_async([{"prompt_token_ids": token_ids}])
        output: Any = await self._engine.ask(prompt, PoolingParams(task="classify", use_activation=False))
        return value_of(float(output.outputs.data.reshape(-1)[0]), len(token_ids))

    async def check(self) -> None:
        """Raise ``ReplicaLostError`` when the engine is dead."""
        await self._engine.check()

    async def stop(self) -> None:
        """End the engine and its processes; it may be dead, stopped or half started."""
        self._encoder = None
        await self._engine.stop()


class VllmScorer(PooledScorer):
    """Scores conversations with an engine of this process, which is restarted when it dies.

    All use is from one event loop.
    """

    def __init__(self, config: ModelConfig, *, section: str, model: str | None = None) -> None:
        """Build without starting the engine, with the arguments and errors of ``VllmScorerReplica``."""
        name = engine_name(model or config.model)
        replica = VllmScorerReplica(config, section=section, model=model)
        super().__init__(pool_of_one(replica, config, name=name), name)
