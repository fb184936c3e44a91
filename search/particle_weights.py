"""Weights of particles, and which of them go on: log-odds of values, effective sample size, resampling."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Literal, TypeAlias

import numpy

ResamplingRule: TypeAlias = Literal["systematic", "multinomial"]
RESAMPLING_RULES: tuple[ResamplingRule, ...] = ("systematic", "multinomial")
_MARGIN = 1e-7


def log_odds(value: float) -> float:
    """Return ``ln(v / (1 - v))`` of a value in [0, 1], which is kept 1e-7 away from both ends."""
    kept = min(max(value, _MARGIN), 1.0 - _MARGIN)
    return math.log(kept / (1.0 - kept))


def reweighted(weights: Sequence[float], log_factors: Sequence[float | None]) -> list[float]:
    """Return each weight times the exponential of its log factor, normalised to the sum 1.

    A weight with an unknown factor keeps its share of the sum, and the others divide the rest: ``w_i * exp(f_i)``
    in proportion. All are 0 where all ``weights`` are.

    Args:
        weights: Not negative; their sum is free.
        log_factors: One for each; None is unknown.
    """
    total = math.fsum(weights)
    if not total:
        return [0.0] * len(weights)
    logs = {
        index: math.log(weight) + factor
        for index, (weight, factor) in enumerate(zip(weights, log_factors, strict=True))
        if weight > 0.0 and factor is not None
    }
    highest = max(logs.values(), default=0.0)
    products = {index: math.exp(log - highest) for index, log in logs.items()}
    share = math.fsum(weights[index] for index in products) / total
    scale = share / math.fsum(products.values()) if products else 0.0
    return [products[index] * scale if index in products else weight / total for index, weight in enumerate(weights)]


def effective_sample_size(weights: Sequence[float]) -> float:
    """Return ``(sum w) ** 2 / sum w ** 2`` (Kong, Liu and Wong, 1994): N of N equal weights; 0 where all are 0."""
    squares = math.fsum(weight * weight for weight in weights)
    return math.fsum(weights) ** 2 / squares if squares else 0.0


def resample(rule: ResamplingRule, weights: Sequence[float], number: int, rng: numpy.random.Generator) -> list[int]:
    """Return ``number`` indices in ascending order; i is expected ``number * w_i / sum w`` times.

    - ``systematic``: at even distances along the summed weights, from one random start. An index comes as often as
      expected, rounded up or down (Carpenter, Clifford and Fearnhead, 1999).
    - ``multinomial``: each drawn alone (Gordon, Salmond and Smith, 1993).

    Args:
        rule: How the indices are drawn.
        weights: Not negative, one of them positive; their sum is free.
        number: At least 1.
        rng: Gives one number for ``systematic``, and ``number`` of them for ``multinomial``.
    """
    if rule == "systematic":
        start = float(rng.random())
        return indices_at(weights, ((start + step) / number for step in range(number)))
    return indices_at(weights, sorted(rng.random(number).tolist()))


def indices_at(weights: Sequence[float], positions: Iterable[float]) -> list[int]:
    """Return for each position in [0, 1) the first index up to which the share of the weights is larger."""
    sums = list(accumulate(weights))
    last = max(index for index, weight in enumerate(weights) if weight > 0.0)
    return [min(bisect_right(sums, position * sums[-1]), last) for position in positions]
