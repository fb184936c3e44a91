"""A generator over any Hugging Face model with a chat template; concurrent requests share batches."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

from critic_engine.backends.huggingface.batch_generation import BatchGenerator
from critic_engine.backends.huggingface.batch_worker import BatchWorker
from critic_engine.backends.huggingface.checkpoint import (
    Checkpoint,
    CheckpointOptions,
    CheckpointSummary,
    load_checkpoint,
    summarise,
)
from critic_engine.types import Generation, GenerationRequest, TokenUsage


class HuggingFaceGenerator(BatchWorker[GenerationRequest, Generation, BatchGenerator]):
    """Answers requests with one model, in one worker thread; closing ends its running batch within one token.

    Requests that wait at the same time share batches. A request's samples depend on its own seeds and not on its
    companions (up to the rounding of batched arithmetic). Calls may come from any event loop and any thread.
    """

    def __init__(self, open_checkpoint: Callable[[], Checkpoint], *, name: str, max_batch_size: int) -> None:
        """Build without loading: ``open_checkpoint`` is called by ``load`` or by the first request.

        Args:
            open_checkpoint: Returns the model; called once, and again only when it raised.
            name: The generator's name in reports and errors.
            max_batch_size: At most this many samples are generated side by side; at least 1.
        """
        super().__init__(lambda: BatchGenerator(open_checkpoint()), name=name, max_batch_size=max_batch_size)

    @classmethod
    def from_pretrained(
        cls, options: CheckpointOptions, *, name: str | None = None, max_batch_size: int
    ) -> HuggingFaceGenerator:
        """Return a generator over the checkpoint of ``options``, not loaded yet.

        Its name is ``huggingface:`` and the last part of the model's name unless given.
        """
        name = name or f"huggingface:{Path(options.model).name}"
        return cls(functools.partial(load_checkpoint, options), name=name, max_batch_size=max_batch_size)

    def describe(self) -> CheckpointSummary:
        """Return where and how the model is held; loads it if need be.

        Raises:
            ModelLoadError: it cannot be loaded.
        """
        return summarise(self.loaded().checkpoint)

    async def generate(self, request: GenerationRequest) -> Generation:
        """Return one sample a seed, cut where the model's context ends.

        ``usage`` counts the prompt once, however many samples are generated from it.

        Raises:
            ModelLoadError: the model cannot be loaded.
            ContextOverflowError: the prompt leaves no room for a token in the model's context.
            GenerationError: the request cannot be answered; retryable when memory ran out.
        """
        if not request.seeds:
            return Generation((), TokenUsage())
        return await self.answer(request)
