"""Bootstrap resamples of whole problems, a few at a time."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_MAX_COUNTS = 100_000


def resampled_counts(
    shares: NDArray[np.float64], num_draws: int, *, seed: int, num_resamples: int, width: int = 1
) -> Iterator[NDArray[np.int64]]:
    """Yield how often each group occurs in each resample: arrays of (some resamples, groups), ``num_resamples`` in all.

    Each resample draws ``num_draws`` groups with replacement, each group with its share (Efron and Tibshirani, 1993,
    13). All of them at once would take 8 bytes for each group in each resample. ``width`` is how many numbers the
    caller itself needs for one.
    """
    rng = np.random.default_rng(seed)
    rest = num_resamples
    while rest:
        size = min(max(1, _MAX_COUNTS // max(width, len(shares))), rest)
        rest -= size
        yield rng.multinomial(num_draws, shares, size=size)
