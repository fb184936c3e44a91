"""A scorer over a Hugging Face model for sequence classification; concurrent requests share batches."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from critic_engine.backends.huggingface.batch_worker import BatchWorker
from critic_engine.backends.huggingface.checkpoint import CheckpointOptions, open_model, opening
from critic_engine.backends.huggingface.control_tokens import control_tokens, encoding_errors, refuse_control_tokens
from critic_engine.backends.huggingface.row_feed import RowFeed
from critic_engine.errors import ContextOverflowError, GenerationError, ModelLoadError
from critic_engine.protocols import Score
from critic_engine.types import Message

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class BatchScorer:
    """A loaded classification model, which scores batches of conversations. Use it from one thread only."""

    model: Any
    """A ``transformers`` model with one logit a text, in evaluation mode, on its device."""
    tokenizer: Any
    pad_token_id: int | None
    """The token the model takes for padding; None when its configuration names none."""
    max_context_tokens: int
    """The smaller of the limits of the configuration and the tokenizer, in tokens."""

    @functools.cached_property
    def _control_tokens(self) -> tuple[str, ...]:
        return control_tokens(self.tokenizer)

    def encode(self, messages: Sequence[Message]) -> list[list[int]]:
        """Return the token ids of a conversation, as the one row that it takes.

        Raises:
            ContextOverflowError: it is longer than the model's context.
            GenerationError: its text holds a control token, or the chat cannot be rendered.
        """
        refuse_control_tokens(self._control_tokens, [message.text for message in messages])
        with encoding_errors():
            token_ids = self._encode(messages)
        limit = self.max_context_tokens
        if len(token_ids) > limit:
            raise ContextOverflowError(
                f"the conversation has {len(token_ids)} tokens, and the reward model's context {limit}; shorten it",
                num_prompt_tokens=len(token_ids),
                max_context_tokens=limit,
            )
        return [token_ids]

    def next_batch(self, waiting: Sequence[list[int]], max_batch_size: int) -> list[list[int]]:
        """Return the conversation that has waited longest and those nearest to it in length, shortest first."""
        by_distance = sorted(waiting, key=lambda row: abs(len(row) - len(waiting[0])))
        return sorted(by_distance[:max_batch_size], key=len)

    def run(self, feed: RowFeed) -> None:
        """Settle each row with its score; a batch is short, so a feed that is closing does not end it."""
        import torch

        rows = feed.rows
        with torch.inference_mode():
            logits = self.model(**self._collate(rows)).logits
        for logit, row in zip(logits[:, 0].tolist(), rows, strict=True):
            feed.settle(row, value_of(logit, len(row)))

    def combine(self, rows: Sequence[list[int]], outcomes: Sequence[Score]) -> Score:
        """Return the one score."""
        return outcomes[0]

    def _encode(self, messages: Sequence[Message]) -> list[int]:
        tokenizer = self.tokenizer
        if tokenizer.chat_template:
            chat = [{"role": message.role, "content": message.text} for message in messages]
            text = tokenizer.apply_chat_template(chat, tokenize=False)
        else:
            text = "\n\n".join(message.text for message in messages)
        # A chat template writes the tokens that begin a text; without one they are the tokenizer's to add.
        token_ids = tokenizer(text, add_special_tokens=not tokenizer.chat_template)["input_ids"]
        return [int(token) for token in token_ids]

    def _collate(self, rows: Sequence[list[int]]) -> dict[str, torch.Tensor]:
        """Return the model's inputs, shape (rows, tokens), padded on the right."""
        import torch

        pad_id = self._padding(rows)
        width = max(len(row) for row in rows)
        inputs = {
            "input_ids": torch.tensor([row + [pad_id] * (width - len(row)) for row in rows]),
            "attention_mask": torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows]),
        }
        return {name: tensor.to(self.model.device) for name, tensor in inputs.items()}

    def _padding(self, rows: Sequence[list[int]]) -> int:
        """Return the token to pad with.

        A model without one reads its logit behind the last token of a text, and refuses batches. It takes them, and
        reads it there still, when it is told to pad with a token that none of the rows holds.
        """
        if self.pad_token_id is not None:
            return self.pad_token_id
        used = {token for row in rows for token in row}
        pad_id = next(token for token in itertools.count() if token not in used)
        self.model.config.get_text_config().pad_token_id = pad_id
        return pad_id


def load_scorer(options: CheckpointOptions) -> BatchScorer:
    """Return the loaded checkpoint; this imports torch and transformers and may take long.

    Raises:
        ModelLoadError: the causes of ``load_checkpoint``, or a model whose number of labels is not one.
    """
    with opening(options) as source:
        from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

        config = AutoConfig.from_pretrained(**source)
        if config.num_labels != 1:
            raise ModelLoadError(
                f"model {options.model} has {config.num_labels} labels and a reward model one; choose another, or set "
                "reward_model.head to verdict_token"
            )
        model = open_model(options, source, auto_class=AutoModelForSequenceClassification, config=config)
        tokenizer = AutoTokenizer.from_pretrained(**source)
    text_config = model.config.get_text_config()
    return BatchScorer(
        model=model,
        tokenizer=tokenizer,
        pad_token_id=text_config.pad_token_id,
        max_context_tokens=min(
            getattr(text_config, "max_position_embeddings", None) or tokenizer.model_max_length,
            tokenizer.model_max_length,
        ),
    )


def value_of(logit: float, num_tokens: int) -> Score:
    """Return the sigmoid of a conversation's logit as its score.

    Raises:
        GenerationError: the logit is not finite.
    """
    if not math.isfinite(logit):
        raise GenerationError(
            "the reward model's logit is not finite; check the model, or set reward_model.dtype to float32"
        )
    # The exponential of a large number overflows.
    value = 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))
    return Score(value, num_tokens)


class HuggingFaceScorer(BatchWorker[tuple[Message, ...], Score]):
    """Scores conversations with one model, in one worker thread: the sigmoid of the model's logit.

    A conversation is written by the tokenizer's chat template; without one, its texts stand with an empty line between
    them. Conversations that wait at the same time share batches. Calls may come from any event loop and any thread.
    """

    async def score(self, messages: tuple[Message, ...]) -> Score:
        """Return the model's value of a conversation's texts.

        Raises:
            ModelLoadError: the model cannot be loaded.
            ContextOverflowError: the conversation is longer than the model's context.
            GenerationError: it cannot be scored; retryable when memory ran out.
        """
        return await self.answer(messages)
