"""Drawing a batch of rows with a model: padding, generating, reading the samples back, and halving what fails."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from critic_engine.backends.huggingface.batch_splitting import run_halving
from critic_engine.backends.huggingface.batching import Row
from critic_engine.backends.huggingface.checkpoint import Checkpoint
from critic_engine.backends.huggingface.sampling import RowSampler
from critic_engine.backends.huggingface.stop_strings import RowStopper, cut_at_stop, decode_after
from critic_engine.errors import GenerationError
from critic_engine.types import Sample, TokenLogprob

if TYPE_CHECKING:
    import torch

_NUM_SMALL_PARAMETERS = 30_000_000


class BatchDrawer:
    """Draws batches with one checkpoint. Use it from one thread only."""

    def __init__(self, checkpoint: Checkpoint, *, is_closing: threading.Event) -> None:
        """Draw with ``checkpoint`` until ``is_closing`` is set, which ends a batch within one token."""
        self._checkpoint = checkpoint
        self._is_closing = is_closing
        self._token_texts: dict[int, str] = {}

    def draw(self, rows: Sequence[Row]) -> list[Sample | GenerationError]:
        """Return a sample or an error for each row; a batch that fails is halved, so that only its bad rows fail."""
        return run_halving(rows, self._draw, is_closing=self._is_closing)

    def _draw(self, rows: Sequence[Row]) -> list[Sample]:
        import torch

        model = self._checkpoint.model
        sampler = RowSampler(rows, model.device)
        stopper = RowStopper(
            rows,
            self._checkpoint.tokenizer,
            end_token_ids=self._checkpoint.end_token_ids,
            is_closing=self._is_closing,
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
        if self._is_closing.is_set():
            raise GenerationError("the generator was closed while it answered", is_retryable=True)
        return self._read_samples(rows, output, sampler, stopper)

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
        model = self._checkpoint.model
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
            is_ended = ids[-1] in self._checkpoint.end_token_ids
            text = decode_after(self._checkpoint.tokenizer, row.prompt.context_ids, ids[:-1] if is_ended else ids)
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
                logprob=logprobs.drawn[index][step],
                top=tuple((self._token_text(other), logprob) for other, logprob in logprobs.top(index, step, num_top)),
            )
            for step, token in enumerate(ids)
        )

    def _token_text(self, token: int) -> str:
        text = self._token_texts.get(token)
        if text is None:
            text = self._token_texts[token] = str(self._checkpoint.tokenizer.decode([token]))
        return text


@contextlib.contextmanager
def arithmetic_threads(model: Any) -> Iterator[None]:
    """Draw a small model on the CPU with one arithmetic thread in the calling thread; change nothing for others.

    Its matrices are too small to share out: threads wait for each other longer than they compute, and where other
    work takes a core they wait a hundred times longer.
    """
    import torch

    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    if model.device.type != "cpu" or num_parameters > _NUM_SMALL_PARAMETERS:
        yield
        return
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)


class _RowLogprobs:
    """The sampler's records on the host, row by row."""

    def __init__(self, sampler: RowSampler) -> None:
        import torch

        self.drawn: list[list[float]] = torch.cat(sampler.logprobs, dim=1).tolist() if sampler.logprobs else []
        self._logprobs: list[list[list[float]]] = []
        self._tokens: list[list[list[int]]] = []
        if sampler.logprobs:
            self._logprobs = torch.stack(sampler.top_logprobs, dim=1).tolist()
            self._tokens = torch.stack(sampler.top_tokens, dim=1).tolist()

    def top(self, index: int, step: int, num_top: int) -> list[tuple[int, float]]:
        return list(zip(self._tokens[index][step][:num_top], self._logprobs[index][step][:num_top], strict=True))
