"""Generating a batch of samples: encoding requests, padding rows, running the model and reading its samples."""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from critic_engine.backends.cutting import cut_at_stop
from critic_engine.backends.huggingface.batch_splitting import run_splitting_on_failure
from critic_engine.backends.huggingface.batching import Row, next_batch
from critic_engine.backends.huggingface.checkpoint import Checkpoint
from critic_engine.backends.huggingface.encoding import PromptEncoder
from critic_engine.backends.huggingface.sampling import RowSampler
from critic_engine.backends.huggingface.stop_strings import RowStopper, decode_after
from critic_engine.errors import GenerationError
from critic_engine.types import Generation, GenerationRequest, Sample, TokenLogprob, TokenUsage

if TYPE_CHECKING:
    import torch


class BatchGenerator:
    """Generates samples in batches with one checkpoint. Use it from one thread only."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Generate with ``checkpoint``."""
        self.checkpoint = checkpoint
        self._encoder = PromptEncoder(checkpoint)
        self._token_text = functools.cache(lambda token: str(checkpoint.tokenizer.decode([token])))

    @property
    def module(self) -> Any:
        """The torch module."""
        return self.checkpoint.model

    def encode(self, request: GenerationRequest) -> list[Row]:
        """Return one row a seed, cut where the model's context ends.

        Raises:
            ContextOverflowError: the prompt leaves no room for a token in the model's context.
            GenerationError: the prompt cannot be encoded.
        """
        prompt = self._encoder.encode(request)
        sampling = self._encoder.fit(request.sampling, prompt)
        return [Row(prompt, sampling, seed) for seed in request.seeds]

    def next_batch(self, waiting: Sequence[Row], max_batch_size: int) -> list[Row]:
        """Return the rows to run next, shortest prompt first."""
        return next_batch(waiting, max_batch_size)

    def run(self, rows: Sequence[Row], *, is_closing: threading.Event) -> list[Sample | GenerationError]:
        """Return a sample or an error for each row.

        A batch that fails is split in half again and again, so that only its bad rows fail. Once ``is_closing`` is set,
        every row fails within one token.
        """
        generate = functools.partial(self._generate, is_closing=is_closing)
        return run_splitting_on_failure(rows, generate, is_closing=is_closing)

    def combine(self, rows: Sequence[Row], outcomes: Sequence[Sample]) -> Generation:
        """Return the generation of a request's samples; the usage counts the prompt once."""
        num_generated = sum(sample.num_tokens for sample in outcomes)
        return Generation(tuple(outcomes), TokenUsage(len(rows[0].prompt.token_ids), num_generated))

    def _generate(self, rows: Sequence[Row], *, is_closing: threading.Event) -> list[Sample]:
        import torch

        model = self.checkpoint.model
        sampler = RowSampler(rows, model.device)
        stopper = RowStopper(
            rows, self.checkpoint.tokenizer, end_token_ids=self.checkpoint.end_token_ids, is_closing=is_closing
        )
        with torch.inference_mode():
            output = model.generate(
                **self._collate(rows),
                max_new_tokens=max(row.sampling.max_tokens for row in rows),
                do_sample=False,
                use_cache=True,
                logits_processor=[sampler],
                stopping_criteria=[stopper],
            )
        if is_closing.is_set():
            raise GenerationError("the generator was closed while it answered", is_retryable=True)
        return self._read_samples(rows, output, sampler, stopper)

    def _collate(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        """Return the model's inputs, shape (rows, tokens), padded on the left."""
        import torch

        width = max(len(row.prompt.token_ids) for row in rows)
        pads = [width - len(row.prompt.token_ids) for row in rows]
        pad_id = self.checkpoint.pad_token_id
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
        model = self.checkpoint.model
        return {
            name: tensor.to(model.device, model.dtype if tensor.is_floating_point() else None)
            for name, tensor in inputs.items()
        }

    def _read_samples(
        self, rows: Sequence[Row], output: torch.Tensor, sampler: RowSampler, stopper: RowStopper
    ) -> list[Sample]:
        num_prompt_tokens = max(len(row.prompt.token_ids) for row in rows)
        generated = output[:, num_prompt_tokens:].tolist()
        logprobs = _RowLogprobs(sampler)
        samples = []
        for index, row in enumerate(rows):
            ids = generated[index][: stopper.lengths[index]]
            is_ended = ids[-1] in self.checkpoint.end_token_ids
            text = decode_after(self.checkpoint.tokenizer, row.prompt.context_ids, ids[:-1] if is_ended else ids)
            text, stop = cut_at_stop(text, row.sampling.stop)
            num_top = row.sampling.num_top_logprobs
            samples.append(
                Sample(
                    text=text,
                    num_tokens=len(ids),
                    finish_reason="stop" if is_ended or stop is not None else "length",
                    stop=stop,
                    tokens=None if num_top is None else self._token_logprobs(logprobs, index, ids, num_top),
                )
            )
        return samples

    def _token_logprobs(
        self, logprobs: _RowLogprobs, index: int, ids: list[int], num_top: int
    ) -> tuple[TokenLogprob, ...]:
        return tuple(
            TokenLogprob(
                text=self._token_text(token),
                logprob=logprobs.sampled[index][step],
                top=tuple((self._token_text(other), logprob) for other, logprob in logprobs.top(index, step, num_top)),
            )
            for step, token in enumerate(ids)
        )


class _RowLogprobs:
    """The sampler's records as Python lists, row by row."""

    def __init__(self, sampler: RowSampler) -> None:
        import torch

        self.sampled: list[list[float]] = torch.cat(sampler.logprobs, dim=1).tolist() if sampler.logprobs else []
        self._logprobs: list[list[list[float]]] = []
        self._tokens: list[list[list[int]]] = []
        if sampler.logprobs:
            self._logprobs = torch.stack(sampler.top_logprobs, dim=1).tolist()
            self._tokens = torch.stack(sampler.top_tokens, dim=1).tolist()

    def top(self, index: int, step: int, num_top: int) -> list[tuple[int, float]]:
        return list(zip(self._tokens[index][step][:num_top], self._logprobs[index][step][:num_top], strict=True))
