"""Whether a value is the probability of being right."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from critic_engine.statistics.intervals import Interval, auroc, share
from critic_engine.statistics.resampling import resampled_counts


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The values of one bin, and how often what they were given to was right."""

    num: int
    low: float
    """The smallest value in the bin."""
    high: float
    """The largest value in the bin."""
    mean_value: float
    share_right: Interval
    """With Wilson's interval, as if all outcomes were independent."""


def calibration_error(values: Sequence[float], outcomes: Sequence[bool], num_bins: int = 10) -> float:
    """Return the expected calibration error over bins of equal mass, in [0, 1].

    The mean over values of ``abs(mean value - share right)`` of their bin (Naeini et al., 2015, AAAI; bins of equal
    mass: Nixon et al., 2019, arXiv 1904.01685). Equal values are never parted, so bins may differ in mass and be fewer.
    It is above 0 by chance, more so the fewer values there are.

    Raises:
        ValueError: ``num_bins`` is below 1, or see ``checked_values``.
    """
    given, is_right = checked_values(values, outcomes)
    bins = _equal_mass_bins(given, num_bins)
    return float(np.abs(np.bincount(bins, weights=given - is_right)).sum() / len(given))


def reliability_bins(
    values: Sequence[float], outcomes: Sequence[bool], num_bins: int = 10
) -> tuple[ReliabilityBin, ...]:
    """Return the bins of ``calibration_error`` from the smallest values to the largest.

    Raises:
        ValueError: see ``calibration_error``.
    """
    given, is_right = checked_values(values, outcomes)
    bins = _equal_mass_bins(given, num_bins)
    found = []
    for number in range(bins.max() + 1):
        members, right = given[bins == number], is_right[bins == number]
        low, high = float(members.min()), float(members.max())
        found.append(
            ReliabilityBin(len(members), low, high, float(members.mean()), share(int(right.sum()), len(members)))
        )
    return tuple(found)


def clustered_calibration_error(
    groups: Sequence[Sequence[tuple[float, bool]]], *, seed: int, num_bins: int = 10, num_resamples: int = 2_000
) -> Interval:
    """Return the expected calibration error, with its bootstrap interval over whole problems.

    ``groups`` holds a sequence a problem, and in it the (value, outcome) pairs. The bins stay those of all values. The
    error of a sample is above the true one by chance, and that of a resample above both. So the upper bound is that of
    the basic bootstrap, which takes the chance error off (Davison and Hinkley, 1997, Bootstrap Methods, 5.2.1), and the
    lower bound is the estimate minus the 95 % quantile of how far the bins' gaps move in resamples,
    ``sum_b abs(gap*_b - gap_b)``: the true error cannot lie further below than the gaps do. Where no problem has a
    gap, which no resample has either, the upper bound is that of Wilson's interval for none of as many problems. The
    interval is NaN with fewer than two problems that have a value.

    Raises:
        ValueError: see ``calibration_error``.
    """
    problems, given, is_right = _flat(groups)
    _check_range(given)
    bins = _equal_mass_bins(given, num_bins)
    gaps = np.zeros((problems.max() + 1, bins.max() + 1))
    np.add.at(gaps, (problems, bins), given - is_right)
    estimate = float(np.abs(gaps.sum(axis=0)).sum() / len(given))
    if len(gaps) < 2:
        return Interval(estimate, math.nan, math.nan)
    if not gaps.any():
        return share(0, len(gaps))
    sizes = np.bincount(problems)
    draws = resampled_counts(
        np.full(len(gaps), 1 / len(gaps)), len(gaps), seed=seed, num_resamples=num_resamples, width=num_bins
    )
    resampled = np.concatenate([counts @ gaps / (counts @ sizes)[:, np.newaxis] for counts in draws])
    moved = np.abs(resampled - gaps.sum(axis=0) / len(given)).sum(axis=1)
    low = estimate - float(np.quantile(moved, 0.95))
    high = 2 * estimate - float(np.quantile(np.abs(resampled).sum(axis=1), 0.025))
    return Interval(estimate, max(0.0, low), min(1.0, max(high, estimate)))


def clustered_auroc(
    groups: Sequence[Sequence[tuple[float, bool]]], *, seed: int, num_resamples: int = 2_000
) -> Interval:
    """Return the AUROC of all values, with its percentile bootstrap interval over whole problems.

    ``groups`` holds a sequence a problem, and in it the (value, outcome) pairs; values may be any numbers, since their
    order alone counts. NaN when all outcomes are equal, and the interval is NaN with fewer than two problems that have
    a value. Resamples with outcomes of one kind only are left out. An AUROC of 0 or 1, which every resample has too,
    gets the bound of Wilson's interval for as many pairs of a right and a wrong outcome as can be made with no problem
    in two of them.

    Raises:
        ValueError: there is no value, or a value is NaN.
    """
    problems, given, is_right = _flat(groups)
    if np.isnan(given).any():
        raise ValueError(f"{np.isnan(given).sum()} of {len(given)} values are NaN; each must be a number")
    estimate = auroc(given.tolist(), is_right.tolist())
    num_problems = int(problems.max()) + 1
    if math.isnan(estimate) or num_problems < 2:
        return Interval(estimate, math.nan, math.nan)
    if estimate in (0, 1):
        num_apart = _num_apart(problems, is_right)
        bound = share(num_apart, num_apart).low
        return Interval(estimate, bound, 1.0) if estimate else Interval(estimate, 0.0, 1 - bound)
    order = np.argsort(given, kind="stable")
    starts = np.unique(given[order], return_index=True)[1]
    draws = resampled_counts(
        np.full(num_problems, 1 / num_problems),
        num_problems,
        seed=seed,
        num_resamples=num_resamples,
        width=len(given),
    )
    found = [_weighted_auroc(counts[:, problems[order]], is_right[order], starts) for counts in draws]
    low, high = np.nanquantile(np.concatenate(found), [0.025, 0.975])
    return Interval(estimate, float(low), float(high))


def _weighted_auroc(
    weights: NDArray[np.int64], is_right: NDArray[np.bool_], starts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return each resample's AUROC: ``weights`` (resamples, values) in ascending order, ``starts`` of equal values."""
    right = np.add.reduceat(weights * is_right, starts, axis=1)
    wrong = np.add.reduceat(weights * ~is_right, starts, axis=1)
    below = wrong.cumsum(axis=1) - wrong / 2
    pairs = (right.sum(axis=1) * wrong.sum(axis=1)).astype(float)
    areas: NDArray[np.float64] = (right * below).sum(axis=1) / np.where(pairs, pairs, math.nan)
    return areas


def _num_apart(problems: NDArray[np.int64], is_right: NDArray[np.bool_]) -> int:
    """Return how many pairs of a right and a wrong outcome there are with each problem in one pair at most."""
    with_right, with_wrong = set(problems[is_right].tolist()), set(problems[~is_right].tolist())
    return max(1, min(len(with_right), len(with_wrong), len(with_right | with_wrong) // 2))


def _flat(
    groups: Sequence[Sequence[tuple[float, bool]]],
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return the problem, value and outcome of each pair; problems without one are left out of the numbering."""
    filled = [group for group in groups if len(group)]
    if not filled:
        raise ValueError("no problem has a value; at least one must")
    values, outcomes = zip(*(pair for group in filled for pair in group), strict=True)
    problems = np.repeat(np.arange(len(filled)), [len(group) for group in filled])
    return problems, np.asarray(values, dtype=float), np.asarray(outcomes, dtype=bool)


def checked_values(values: Sequence[float], outcomes: Sequence[bool]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return values and outcomes as arrays.

    Raises:
        ValueError: there is no value, the two are of unequal length, or a value lies outside [0, 1].
    """
    if not len(values) or len(values) != len(outcomes):
        raise ValueError(f"values and outcomes hold {len(values)} and {len(outcomes)}; they must be as many, and some")
    given = np.asarray(values, dtype=float)
    _check_range(given)
    return given, np.asarray(outcomes, dtype=bool)


def _check_range(values: NDArray[np.float64]) -> None:
    outside = values[~((values >= 0) & (values <= 1))]
    if len(outside):
        raise ValueError(f"a value is {outside[0]}; it must lie in [0, 1]")


def _equal_mass_bins(values: NDArray[np.float64], num_bins: int) -> NDArray[np.int64]:
    """Return the bin of each value, numbered from 0 without gaps."""
    if num_bins < 1:
        raise ValueError(f"num_bins is {num_bins}; it must be at least 1")
    ordered = np.sort(values)
    cuts = ordered[np.arange(1, num_bins) * len(values) // num_bins]
    numbers = np.searchsorted(np.unique(cuts), values, side="right")
    return np.unique(numbers, return_inverse=True)[1].astype(np.int64)
