"""Sampling the next token of every row of a batch by the row's own temperature, limits and seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy

from critic_engine.backends.huggingface.encoding import Row
from critic_engine.types import SamplingOptions

if TYPE_CHECKING:
    import torch

_NUM_UNIFORMS = 64
# Scores divided by a smaller number overflow; SamplingOptions promises that this is greedy.
_MIN_TEMPERATURE = 1e-4


@dataclass
class RowRecord:
    """The log-probabilities of a row, by step."""

    logprobs: list[float] = field(default_factory=list)
    """Log-probability of the sampled token."""
    top_tokens: list[list[int]] = field(default_factory=list)
    """The k likeliest tokens."""
    top_logprobs: list[list[float]] = field(default_factory=list)
    """Their log-probabilities."""


class RowDraws:
    """The random numbers of one row, which depend on its seed alone, and what was recorded of its draws."""

    def __init__(self, row: Row) -> None:
        """Begin before the first draw of ``row``."""
        self.sampling: SamplingOptions = row.sampling
        """How it is sampled."""
        self.record: RowRecord | None = None if row.sampling.num_top_logprobs is None else RowRecord()
        """What was recorded; None if the row asks for no log-probabilities."""
        self._source = numpy.random.default_rng(row.seed)
        self._block: list[float] = []

    def next_uniform(self) -> float:
        """Return the next number in [0, 1)."""
        if not self._block:
            self._block = self._source.random(_NUM_UNIFORMS).tolist()[::-1]
        return self._block.pop()


class RowSampler:
    """Samples one token a row; as a logits processor it leaves greedy decoding no other choice.

    A row's token is found by inverting its cumulative distribution, in vocabulary order, at a uniform number that
    depends on the row's seed and the step alone. A row's tokens therefore do not depend on its companions, except where
    batched arithmetic rounds otherwise just beside a boundary.
    """

    def __init__(self, draws: Sequence[RowDraws], device: torch.device) -> None:
        """Sample for the rows of ``draws``, in order."""
        import torch

        self._torch = torch
        self._precision = torch.float32 if device.type == "mps" else torch.float64
        self._draws = draws
        samplings = [each.sampling for each in draws]
        heats = [sampling.temperature for sampling in samplings]
        heats = [heat if heat >= _MIN_TEMPERATURE else 0.0 for heat in heats]
        self._temperature = self._column(heats, device)
        drawn = [sampling for heat, sampling in zip(heats, samplings, strict=True) if heat > 0]
        self._is_sampled = bool(drawn)
        self._has_nucleus = any(sampling.top_p < 1 for sampling in drawn)
        self._has_limits = any(sampling.top_k or sampling.min_p for sampling in drawn)
        if self._has_nucleus:
            self._top_p = self._column([sampling.top_p for sampling in samplings], device)
        if self._has_limits:
            self._top_k = torch.tensor([sampling.top_k for sampling in samplings], device=device).unsqueeze(1)
            self._min_p = self._column([sampling.min_p for sampling in samplings], device)
        self._num_top = max((sampling.num_top_logprobs or 0 for sampling in samplings), default=0)
        self._has_logprobs = any(each.record is not None for each in draws)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return scores, shape (rows, vocabulary): the highest entry of each row is its token.

        Raises:
            FloatingPointError: the model gave a score that is not a number.
        """
        tokens = self.draw(scores)
        return self._torch.full_like(scores, -self._torch.inf).scatter_(1, tokens, 0.0) if self._is_sampled else scores

    def draw(self, scores: torch.Tensor) -> torch.Tensor:
        """Return each row's next token, shape (rows, 1), from the scores, shape (rows, vocabulary).

        Raises:
            FloatingPointError: the model gave a score that is not a number.
        """
        if bool(scores.isnan().any()):
            raise FloatingPointError("the model's scores are not numbers; try dtype float32 or bfloat16")
        tokens = scores.argmax(dim=-1, keepdim=True)
        if self._is_sampled:
            tokens = self._torch.where(self._temperature > 0, self._sample(scores), tokens)
        if self._has_logprobs:
            self._record(scores, tokens)
        return tokens

    def _sample(self, scores: torch.Tensor) -> torch.Tensor:
        heat = self._temperature.where(self._temperature > 0, 1.0)
        mass = (scores.to(self._precision) / heat).softmax(dim=-1)
        if self._has_limits:
            mass = self._within_limits(mass)
        if self._has_nucleus:
            mass = self._nucleus(mass)
        cumulative = mass.cumsum(dim=-1)
        place = self._uniform() * cumulative[:, -1:]
        return self._torch.searchsorted(cumulative, place, right=True).clamp_(max=scores.shape[-1] - 1)

    def _within_limits(self, mass: torch.Tensor) -> torch.Tensor:
        """Return ``mass`` without the tokens that a row's ``min_p`` and ``top_k`` leave out; each row's sum stays 1.

        Rows without either keep their mass to the last bit.
        """
        sorted_mass, order = mass.sort(dim=-1, descending=True, stable=True)
        ranks = self._torch.arange(mass.shape[-1], device=mass.device)
        is_out = (ranks >= self._top_k) & (self._top_k > 0) | (sorted_mass < self._min_p * sorted_mass[:, :1])
        kept = mass.masked_fill(self._torch.zeros_like(is_out).scatter_(1, order, is_out), 0.0)
        has_limits = (self._top_k > 0) | (self._min_p > 0)
        return self._torch.where(has_limits, kept / kept.sum(dim=-1, keepdim=True), mass)

    def _nucleus(self, mass: torch.Tensor) -> torch.Tensor:
        """Return ``mass`` with every token outside its row's nucleus set to 0; the likeliest token always remains."""
        sorted_mass, order = mass.sort(dim=-1, descending=True)
        before = sorted_mass.cumsum(dim=-1) - sorted_mass
        is_out = (before >= self._top_p) & (self._top_p < 1)
        is_out[:, 0] = False
        return mass.masked_fill(self._torch.zeros_like(is_out).scatter_(1, order, is_out), 0.0)

    def _uniform(self) -> torch.Tensor:
        """Return the next number in [0, 1) of each row, shape (rows, 1)."""
        return self._column([each.next_uniform() for each in self._draws], self._temperature.device)

    def _record(self, scores: torch.Tensor, tokens: torch.Tensor) -> None:
        logprobs = scores.float().log_softmax(dim=-1)
        values, tops = logprobs.topk(min(self._num_top, logprobs.shape[-1]), dim=-1)
        sampled = logprobs.gather(1, tokens)
        for each, (logprob,), top_tokens, top_logprobs in zip(
            self._draws, sampled.tolist(), tops.tolist(), values.tolist(), strict=True
        ):
            if each.record is not None:
                each.record.logprobs.append(logprob)
                each.record.top_tokens.append(top_tokens)
                each.record.top_logprobs.append(top_logprobs)

    def _column(self, numbers: list[float], device: torch.device) -> torch.Tensor:
        return self._torch.tensor(numbers, dtype=self._precision, device=device).unsqueeze(1)
