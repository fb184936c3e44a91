"""A scorer over a Hugging Face model for sequence classification; concurrent requests share batches."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

from critic_engine.backends.huggingface.batch_worker import BatchWorker
from critic_engine.backends.huggingface.checkpoint import CheckpointOptions
from critic_engine.backends.huggingface.classifier import BatchScorer, Classifier, load_classifier
from critic_engine.protocols import Score
from critic_engine.types import Message


class HuggingFaceScorer(BatchWorker[tuple[Message, ...], Score, BatchScorer]):
    """Scores conversations with one model, in one worker thread: the sigmoid of the model's logit.

    A conversation is written by the tokenizer's chat template; without one, its texts stand with an empty line between
    them. Conversations that wait at the same time share batches. Calls may come from any event loop and any thread.
    """

    def __init__(self, open_classifier: Callable[[], Classifier], *, name: str, max_batch_size: int) -> None:
        """Build without loading: ``open_classifier`` is called by ``load`` or by the first request.

        Args:
            open_classifier: Returns the model; called once, and again only when it raised.
            name: The scorer's name in reports and errors.
            max_batch_size: At most this many conversations are scored side by side; at least 1.
        """
        super().__init__(lambda: BatchScorer(open_classifier()), name=name, max_batch_size=max_batch_size)

    @classmethod
    def from_pretrained(cls, options: CheckpointOptions, *, max_batch_size: int) -> HuggingFaceScorer:
        """Return a scorer over the checkpoint of ``options``, not loaded yet.

        Its name is ``huggingface:`` and the last part of the model's name.
        """
        name = f"huggingface:{Path(options.model).name}"
        return cls(functools.partial(load_classifier, options), name=name, max_batch_size=max_batch_size)

    async def score(self, messages: tuple[Message, ...]) -> Score:
        """Return the model's value of a conversation's texts.

        Raises:
            ModelLoadError: the model cannot be loaded.
            ContextOverflowError: the conversation is longer than the model's context.
            GenerationError: it cannot be scored; retryable when memory ran out.
        """
        return await self.answer(messages)
