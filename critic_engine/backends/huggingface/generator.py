"""A generator over any Hugging Face model with a chat template; concurrent requests share batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from critic_engine.backends.huggingface.batch_worker import BatchWorker
from critic_engine.backends.huggingface.checkpoint import Checkpoint
from critic_engine.backends.huggingface.continuous_decoder import ContinuousDecoder, RunningRow
from critic_engine.backends.huggingface.encoding import PromptEncoder, Row
from critic_engine.backends.huggingface.row_feed import RowFeed
from critic_engine.backends.huggingface.sample_reader import SampleReader, SampleRules
from critic_engine.backends.huggingface.sampling import RowDraws, RowRecord, RowSampler
from critic_engine.backends.huggingface.stop_strings import RowStopper
from critic_engine.errors import GenerationError
from critic_engine.protocols import Generation, GenerationRequest, Sample, TokenLogprob
from critic_engine.types import TokenUsage

if TYPE_CHECKING:
    import torch

_MAX_TOKENS_RATIO = 4
# For the opening of a thought, written beyond the limit of the text.
_NUM_SPARE_TOKENS = 64


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """The sample of a row, and what it cost."""

    sample: Sample
    num_cached: int
    """Tokens of its prompt that were not computed again."""


class BatchGenerator:
    """Generates samples in batches with one checkpoint. Use it from one thread only."""

    def __init__(self, checkpoint: Checkpoint, *, max_batch_size: int = 64, max_prefix_bytes: int = 2**30) -> None:
        """Generate with ``checkpoint``.

        Args:
            checkpoint: The loaded model.
            max_batch_size: Most rows at a time.
            max_prefix_bytes: Of the states kept of prompts and texts, for prompts that begin alike; 0 for none.
        """
        self.model = checkpoint.model
        """The torch module."""
        self._checkpoint = checkpoint
        self._encoder = PromptEncoder(checkpoint)
        self._rules = SampleRules(
            checkpoint.tokenizer, self._encoder.writer.markers, end_token_ids=checkpoint.end_token_ids
        )
        self._decoder = ContinuousDecoder(
            checkpoint.model,
            self._rules,
            self._collate,
            max_batch_size=max_batch_size,
            max_prefix_bytes=max_prefix_bytes,
        )

    def encode(self, request: GenerationRequest) -> list[Row]:
        """Return one row a seed, cut where the model's context ends.

        Raises:
            ContextOverflowError: the prompt leaves no room for a token in the model's context.
            GenerationError: the prompt cannot be encoded.
        """
        prompt = self._encoder.encode(request)
        room = self._encoder.room_behind(prompt)
        return [
            Row(prompt, request.sampling, seed, max_thought_tokens=request.chat.max_thought_tokens, room=room)
            for seed in request.seeds
        ]

    @staticmethod
    def next_batch(waiting: Sequence[Row], max_batch_size: int) -> list[Row]:
        """Return the rows to run next, shortest prompt first; the row that has waited longest is always among them.

        Its companions can share a batch with it (equal tensors), may run about as long (limits of tokens within a
        factor of four, so that two tokens of a verdict do not wait for a whole solution), and are the nearest to it in
        prompt length.

        Args:
            waiting: At least one row, in the order of arrival.
            max_batch_size: The most rows that are returned.
        """
        oldest = waiting[0]
        by_distance = sorted(
            (row for row in waiting if _can_share(oldest, row)),
            key=lambda row: abs(_num_tokens(row) - _num_tokens(oldest)),
        )
        return sorted(by_distance[:max_batch_size], key=_num_tokens)

    def run(self, feed: RowFeed) -> None:
        """Settle each row with its sample; once the feed is closing, the batch fails within one token."""
        import torch

        with torch.inference_mode():
            if not self._decoder.run(feed, self._outcome):
                self._generate(feed)
        if feed.is_closing.is_set():
            raise GenerationError("the generator was closed while it answered", is_retryable=True)

    def _generate(self, feed: RowFeed) -> None:
        """Settle the rows that have no outcome yet, by the model's own ``generate``."""
        rows = list(feed.unsettled)
        draws = [RowDraws(row) for row in rows]
        stopper = RowStopper(rows, self._rules, is_closing=feed.is_closing)
        self.model.generate(
            **self._collate(rows),
            max_new_tokens=max(map(_most_tokens, rows)),
            do_sample=False,
            use_cache=True,
            logits_processor=[RowSampler(draws, self.model.device)],
            stopping_criteria=[stopper],
        )
        if not feed.is_closing.is_set():
            for row, reader, drawn in zip(rows, stopper.readers, draws, strict=True):
                feed.settle(row, self._outcome(RunningRow(row, reader, drawn)))

    def _outcome(self, ended: RunningRow) -> RowOutcome:
        sample = ended.reader.read(self._logprobs(ended.reader, ended.draws.record, ended.row))
        return RowOutcome(sample, ended.num_cached)

    def combine(self, rows: Sequence[Row], outcomes: Sequence[RowOutcome]) -> Generation:
        """Return the generation of a request's samples; the usage counts the prompt once."""
        samples = tuple(outcome.sample for outcome in outcomes)
        usage = TokenUsage(
            len(rows[0].prompt.token_ids),
            sum(sample.num_tokens for sample in samples),
            min(outcome.num_cached for outcome in outcomes),
        )
        return Generation(samples, usage)

    def _collate(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        """Return the model's inputs, shape (rows, tokens), padded on the left."""
        import torch

        width = max(len(row.prompt.token_ids) for row in rows)
        pads = [width - len(row.prompt.token_ids) for row in rows]
        pad_id = self._checkpoint.pad_token_id
        ids = [[pad_id] * pad + row.prompt.token_ids for pad, row in zip(pads, rows, strict=True)]
        inputs = {
            "input_ids": torch.tensor(ids),
            "attention_mask": torch.tensor([[0] * pad + [1] * (width - pad) for pad in pads]),
        }
        for name in rows[0].prompt.token_tensors:
            tensors = [row.prompt.token_tensors[name] for row in rows]
            padded = [torch.nn.functional.pad(t, (pad, 0)) for t, pad in zip(tensors, pads, strict=True)]
            inputs[name] = torch.cat(padded)
        for name in rows[0].prompt.image_tensors:
            inputs[name] = torch.cat([row.prompt.image_tensors[name] for row in rows])
        return {
            name: tensor.to(self.model.device, self.model.dtype if tensor.is_floating_point() else None)
            for name, tensor in inputs.items()
        }

    def _logprobs(
        self, reader: SampleReader, record: RowRecord | None, row: Row
    ) -> Callable[[int], TokenLogprob] | None:
        """Return what gives the log-probability of the token at a place; None if the row asks for none."""
        num_top = row.sampling.num_top_logprobs
        if record is None or num_top is None:
            return None
        token_text = self._rules.decoder.token_text

        def at(place: int) -> TokenLogprob:
            likeliest = map(token_text, record.top_tokens[place][:num_top])
            top = tuple(zip(likeliest, record.top_logprobs[place][:num_top], strict=True))
            return TokenLogprob(token_text(reader.ids[place]), record.logprobs[place], top)

        return at


def _can_share(one: Row, other: Row) -> bool:
    shorter, longer = sorted((one.num_expected, other.num_expected))
    return longer <= _MAX_TOKENS_RATIO * shorter and one.prompt.signature == other.prompt.signature


def _most_tokens(row: Row) -> int:
    """Return a number of tokens that the row's reader does not let pass."""
    if row.prompt.start.markers is None:
        return min(row.room, row.sampling.max_tokens)
    return min(row.room, row.sampling.max_tokens + row.max_thought_tokens + _NUM_SPARE_TOKENS)


def _num_tokens(row: Row) -> int:
    return len(row.prompt.token_ids)


class HuggingFaceGenerator(BatchWorker[GenerationRequest, Generation]):
    """Answers requests with one model, in one worker thread; closing ends its running batch within one token.

    Requests that wait at the same time share batches. A request's samples depend on its own seeds and not on its
    companions (up to the rounding of batched arithmetic). Calls may come from any event loop and any thread.
    """

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
