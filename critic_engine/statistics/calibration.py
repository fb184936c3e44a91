"""Whether a value is the probability of being right, and the scaling that makes it one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from critic_engine.statistics.intervals import Interval, auroc, share
from critic_engine.statistics.resampling import resampled_counts

# Values of 0 and 1 have no log-odds.
_SMALLEST_VALUE = 1e-6


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


@dataclass(frozen=True, slots=True)
class PlattScaling:
    """A value's log-odds, scaled and shifted: ``apply(v) = sigmoid(slope * log(v / (1 - v)) + intercept)``.

    Platt (1999, Probabilistic outputs for support vector machines). With an intercept of 0 it is temperature scaling,
    the temperature being ``1 / slope`` (Guo et al., 2017, arXiv 1706.04599). A slope below 0 tells that larger values
    mean less often right. Values are kept within [1e-6, 1 - 1e-6], since 0 and 1 have no log-odds.
    """

    slope: float
    intercept: float

    @classmethod
    def fit(cls, values: Sequence[float], outcomes: Sequence[bool], *, has_intercept: bool = True) -> Self:
        """Return the scaling of least log-loss to the outcomes.

        Their targets are Platt's, ``(n_right + 1) / (n_right + 2)`` and ``1 / (n_wrong + 2)``, so that the slope stays
        finite where values part right from wrong without fault.

        Raises:
            ValueError: there is no value, the two are of unequal length, or a value lies outside [0, 1].
        """
        from scipy.optimize import minimize  # type: ignore[import-untyped]

        given, is_right = _checked(values, outcomes)
        targets = np.where(is_right, (is_right.sum() + 1) / (is_right.sum() + 2), 1 / ((~is_right).sum() + 2))
        columns = np.stack([_log_odds(given), np.full(len(given), float(has_intercept))])

        def log_loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            scores = weights @ columns
            loss = np.logaddexp(0, scores) - targets * scores
            return float(loss.mean()), columns @ (_sigmoid(scores) - targets) / len(targets)

        found = minimize(log_loss, np.asarray([1.0, 0.0]), jac=True, method="BFGS")
        return cls(float(found.x[0]), float(found.x[1]))

    def apply(self, value: float) -> float:
        """Return the scaled value, in [0, 1].

        Raises:
            ValueError: ``value`` lies outside [0, 1].
        """
        if not 0 <= value <= 1:
            raise ValueError(f"value is {value}; it must lie in [0, 1]")
        return float(_sigmoid(self.slope * _log_odds(np.asarray(value)) + self.intercept))


def brier_score(values: Sequence[float], outcomes: Sequence[bool]) -> float:
    """Return the mean of ``(value - outcome)**2``, in [0, 1] (Brier, 1950, Monthly Weather Review 78, 1-3).

    Raises:
        ValueError: see ``PlattScaling.fit``.
    """
    given, is_right = _checked(values, outcomes)
    return float(((given - is_right) ** 2).mean())


def calibration_error(values: Sequence[float], outcomes: Sequence[bool], num_bins: int = 10) -> float:
    """Return the expected calibration error over bins of equal mass, in [0, 1].

    The mean over values of ``abs(mean value - share right)`` of their bin (Naeini et al., 2015, AAAI; bins of equal
    mass: Nixon et al., 2019, arXiv 1904.01685). Equal values are never parted, so bins may differ in mass and be fewer.
    It is above 0 by chance, more so the fewer values there are.

    Raises:
        ValueError: ``num_bins`` is below 1, or see ``PlattScaling.fit``.
    """
    given, is_right = _checked(values, outcomes)
    bins = _equal_mass_bins(given, num_bins)
    return float(np.abs(np.bincount(bins, weights=given - is_right)).sum() / len(given))


def reliability_bins(
    values: Sequence[float], outcomes: Sequence[bool], num_bins: int = 10
) -> tuple[ReliabilityBin, ...]:
    """Return the bins of ``calibration_error`` from the smallest values to the largest.

    Raises:
        ValueError: see ``calibration_error``.
    """
    given, is_right = _checked(values, outcomes)
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


def _checked(values: Sequence[float], outcomes: Sequence[bool]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
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


def _log_odds(values: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import logit  # type: ignore[import-untyped]

    found: NDArray[np.float64] = logit(np.clip(values, _SMALLEST_VALUE, 1 - _SMALLEST_VALUE))
    return found


def _sigmoid(scores: NDArray[np.float64] | float) -> NDArray[np.float64]:
    from scipy.special import expit

    found: NDArray[np.float64] = expit(scores)
    return found
