"""Shares, means and differences with 95 % confidence intervals, and AUROC."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_Z_95 = 1.959963984540054
_MAX_COUNTS = 100_000


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95 % confidence interval."""

    estimate: float
    low: float
    high: float


def share(num_right: int, num_all: int) -> Interval:
    """Return the share ``num_right / num_all`` with Wilson's score interval (Wilson, 1927, JASA 22).

    Raises:
        ValueError: ``num_all`` is not positive, or ``num_right`` lies outside [0, ``num_all``].
    """
    if num_all < 1 or not 0 <= num_right <= num_all:
        raise ValueError(f"num_right is {num_right} of {num_all}; it must lie in [0, num_all] with num_all at least 1")
    p, z2 = num_right / num_all, _Z_95**2
    centre = (p + z2 / (2 * num_all)) / (1 + z2 / num_all)
    half = _Z_95 * math.sqrt(p * (1 - p) / num_all + z2 / (4 * num_all**2)) / (1 + z2 / num_all)
    return Interval(p, max(0.0, centre - half), min(1.0, centre + half))


def difference(ours: tuple[int, int], theirs: tuple[int, int]) -> Interval:
    """Return ``ours - theirs``, two independent shares given as (right, all), with Newcombe's hybrid score interval.

    Newcombe (1998, Statistics in Medicine 17, 873-890), method 10.

    Raises:
        ValueError: see ``share``.
    """
    one, other = share(*ours), share(*theirs)
    estimate = one.estimate - other.estimate
    below = math.hypot(one.estimate - one.low, other.high - other.estimate)
    above = math.hypot(one.high - one.estimate, other.estimate - other.low)
    return Interval(estimate, max(-1.0, estimate - below), min(1.0, estimate + above))


def clustered_mean(groups: Sequence[Sequence[float]], *, seed: int, num_resamples: int = 2_000) -> Interval:
    """Return the mean of all values, with its percentile bootstrap interval over whole groups.

    The mean is NaN without values, and the interval is NaN with fewer than two groups. Values of one group depend on
    each other, so groups are resampled whole (Efron and Tibshirani, 1993, 13).
    """
    sums = np.asarray([math.fsum(group) for group in groups if len(group)])
    sizes = np.asarray([len(group) for group in groups if len(group)], dtype=float)
    if not len(sums):
        return Interval(math.nan, math.nan, math.nan)
    if len(sums) == 1:
        return Interval(float(sums[0] / sizes[0]), math.nan, math.nan)
    rng = np.random.default_rng(seed)
    means: list[float] = []
    while len(means) < num_resamples:
        # A few resamples at a time: all of them would take 8 bytes for each group in each.
        size = min(max(1, _MAX_COUNTS // len(sums)), num_resamples - len(means))
        counts = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=size)
        means += (counts @ sums / (counts @ sizes)).tolist()
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(sums.sum() / sizes.sum()), float(low), float(high))


def paired_difference(
    ours: Sequence[bool], theirs: Sequence[bool], *, seed: int, num_resamples: int = 10_000
) -> Interval:
    """Return the mean of ``ours - theirs`` over the same problems, with its percentile bootstrap interval.

    Problems are resampled in pairs, so that problems that are hard for both do not widen it (Efron and Tibshirani,
    1993, 13).

    Raises:
        ValueError: the two are empty or of unequal length.
    """
    if not ours or len(ours) != len(theirs):
        raise ValueError(f"ours and theirs hold {len(ours)} and {len(theirs)} outcomes; they must be as many, and some")
    differences = np.asarray(ours, dtype=float) - np.asarray(theirs, dtype=float)
    # A problem's difference is -1, 0 or 1, so a resample is a multinomial draw over how often each occurs.
    values, counts = np.unique(differences, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(len(differences), counts / len(differences), size=num_resamples)
    low, high = np.quantile(draws @ values / len(differences), [0.025, 0.975])
    return Interval(float(differences.mean()), float(low), float(high))


def auroc(values: Sequence[float], outcomes: Sequence[bool]) -> float:
    """Return the probability that a right outcome has a higher value than a wrong one; ties count half.

    The Mann-Whitney form of the area under the ROC curve (Hanley and McNeil, 1982). NaN if all outcomes are equal.

    Raises:
        ValueError: the two are of unequal length.
    """
    if len(values) != len(outcomes):
        raise ValueError(f"values and outcomes hold {len(values)} and {len(outcomes)} entries; they must be as many")
    right = np.sort([value for value, outcome in zip(values, outcomes, strict=True) if outcome])
    wrong = np.sort([value for value, outcome in zip(values, outcomes, strict=True) if not outcome])
    if not len(right) or not len(wrong):
        return math.nan
    below = np.searchsorted(wrong, right, side="left").sum()
    not_above = np.searchsorted(wrong, right, side="right").sum()
    return float((below + not_above) / 2 / (len(right) * len(wrong)))
