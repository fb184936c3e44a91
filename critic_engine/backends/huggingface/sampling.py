"""Sampling the next token of every row of a batch by the row's own temperature, limits and seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy

from critic_engine.backends.huggingface.encoding import Row

if TYPE_CHECKING:
    import torch

_NUM_UNIFORMS = 64
# Scores divided by a smaller number overflow; SamplingOptions promises that this is greedy.
_MIN_TEMPERATURE = 1e-4


@dataclass
class RowRecord:
    """What was recorded of a row, by step."""

    logprobs: list[float] = field(default_factory=list)
    """Log-probability of the sampled token."""
    top_tokens: list[list[int]] = field(default_factory=list)
    """The k likeliest tokens."""
    top_logprobs: list[list[float]] = field(default_factory=list)
    """Their log-probabilities."""


class RowSampler:
    """A logits processor that samples one token a row and leaves greedy decoding no other choice.

    A row's token is found by inverting its cumulative distribution, in vocabulary order, at a uniform number that
    depends on the row's seed and the step alone. A row's tokens therefore do not depend on its companions, except where
    batched arithmetic rounds otherwise just beside a boundary.
    """

    def __init__(self, rows: Sequence[Row], device: torch.device) -> None:
        """Prepare the options of ``rows``, which are the rows of the batch in order."""
        import torch

        self._torch = torch
        self._precision = torch.float32 if device.type == "mps" else torch.float64
        heats = [row.sampling.temperature for row in rows]
        heats = [heat if heat >= _MIN_TEMPERATURE else 0.0 for heat in heats]
        self._temperature = self._column(heats, device)
        self._top_p = self._column([row.sampling.top_p for row in rows], device)
        self._top_k = torch.tensor([row.sampling.top_k for row in rows], device=device).unsqueeze(1)
        self._min_p = self._column([row.sampling.min_p for row in rows], device)
        drawn = [row.sampling for heat, row in zip(heats, rows, strict=True) if heat > 0]
        self._is_sampled = bool(drawn)
        self._has_nucleus = any(sampling.top_p < 1 for sampling in drawn)
        self._has_limits = any(sampling.top_k or sampling.min_p for sampling in drawn)
        self._num_top = max((row.sampling.num_top_logprobs or 0 for row in rows), default=0)
        self._has_logprobs = any(row.sampling.num_top_logprobs is not None for row in rows)
        self._num_rows = len(rows)
        self._sources = [numpy.random.default_rng(row.seed) for row in rows]
        self._uniforms = self._temperature[:, :0]
        self._num_steps = 0
        self._places = list(range(len(rows)))
        self._recorded: list[tuple[list[int], torch.Tensor, torch.Tensor, torch.Tensor]] = []

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
        self._num_steps += 1
        return tokens

    def keep(self, places: torch.Tensor) -> None:
        """Go on with the rows at ``places`` alone, which are indices among the rows that there are now."""
        for name in ("_temperature", "_top_p", "_top_k", "_min_p", "_uniforms"):
            setattr(self, name, getattr(self, name)[places])
        kept = places.tolist()
        self._sources = [self._sources[place] for place in kept]
        self._places = [self._places[place] for place in kept]

    def records(self) -> Sequence[RowRecord | None]:
        """Return what was recorded of each row; None for each when no row asked for log-probabilities."""
        if not self._has_logprobs:
            return [None] * self._num_rows
        records = [RowRecord() for _ in range(self._num_rows)]
        for places, *tensors in self._recorded:
            for place, (logprob,), tokens, logprobs in zip(places, *(each.tolist() for each in tensors), strict=True):
                records[place].logprobs.append(logprob)
                records[place].top_tokens.append(tokens)
                records[place].top_logprobs.append(logprobs)
        return records

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
        """Return this step's number in [0, 1) for each row, shape (rows, 1)."""
        column = self._num_steps % _NUM_UNIFORMS
        if column == 0:
            numbers = numpy.stack([source.random(_NUM_UNIFORMS) for source in self._sources])
            self._uniforms = self._torch.from_numpy(numbers).to(self._precision).to(self._temperature.device)
        return self._uniforms[:, column : column + 1]

    def _record(self, scores: torch.Tensor, tokens: torch.Tensor) -> None:
        logprobs = scores.float().log_softmax(dim=-1)
        values, tops = logprobs.topk(min(self._num_top, logprobs.shape[-1]), dim=-1)
        self._recorded.append((self._places, logprobs.gather(1, tokens), tops, values))

    def _column(self, numbers: list[float], device: torch.device) -> torch.Tensor:
        return self._torch.tensor(numbers, dtype=self._precision, device=device).unsqueeze(1)
