"""Shares, means and differences with 95 % confidence intervals, and AUROC."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from critic_engine.statistics.resampling import resampled_counts

_Z_95 = 1.959963984540054


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
    return _wilson(num_right / num_all, num_all)


def clustered_share(outcomes: Sequence[Sequence[float]]) -> Interval:
    """Return the mean of all outcomes, with Wilson's interval at the effective number of independent outcomes.

    ``outcomes`` holds a sequence a problem, and in it an outcome in [0, 1] a seed. Outcomes of one problem depend on
    each other, so ``M`` outcomes of ``n`` problems tell as much as ``M / deff`` independent ones (Kish, 1965, 8.2;
    Korn and Graubard, 1998, Survey Methodology 24, 193-201, with the t-adjustment, in Wilson's interval as in Dean and
    Pagano, 2015, Journal of Survey Statistics and Methodology 3, 484-503):

        ``deff = sum_i (y_i - p * m_i)**2 / (p * (1 - p) * M)``, ``y_i`` the sum of the ``m_i`` outcomes of problem i,
        ``effective = M / deff * (t(M - 1) / t(n - 1))**2``, ``t(d)`` the 97.5 % quantile with ``d`` degrees of freedom.

    ``effective`` is kept between what identical and what independent outcomes of a problem give: ``n`` and ``M`` when
    all problems have as many seeds. So one seed has exactly Wilson's interval. It is ``n`` when outcomes are all right,
    all wrong, or of one problem, which do not show how they depend.

    Raises:
        ValueError: there is no problem, a problem has no outcome, or an outcome lies outside [0, 1].
    """
    sizes = np.asarray([len(problem) for problem in outcomes], dtype=float)
    if not len(sizes) or not sizes.all():
        raise ValueError(f"{(sizes == 0).sum()} of {len(sizes)} problems have no outcome; each needs one")
    sums = np.asarray([math.fsum(problem) for problem in outcomes])
    if not all(0 <= outcome <= 1 for problem in outcomes for outcome in problem):
        raise ValueError("an outcome lies outside [0, 1]; it must be the share that is right")
    num_all = float(sizes.sum())
    mean = min(1.0, float(sums.sum()) / num_all)
    fewest = num_all**2 / float((sizes**2).sum())
    between = float(((sums - mean * sizes) ** 2).sum())
    within = mean * (1 - mean) * num_all
    if len(sizes) == 1 or within == 0:
        return _wilson(mean, fewest)
    effective = num_all * within / between * _t_ratio(num_all, len(sizes)) ** 2 if between else num_all
    return _wilson(mean, min(max(effective, fewest), num_all))


def _t_ratio(num_outcomes: float, num_problems: int) -> float:
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    return float(stdtrit(num_outcomes - 1, 0.975) / stdtrit(num_problems - 1, 0.975))


def _wilson(p: float, num_all: float) -> Interval:
    z2 = _Z_95**2
    centre = (p + z2 / (2 * num_all)) / (1 + z2 / num_all)
    half = _Z_95 * math.sqrt(p * (1 - p) / num_all + z2 / (4 * num_all**2)) / (1 + z2 / num_all)
    # By rounding alone, the limits at a share of 0 or 1 may miss it.
    return Interval(p, min(p, max(0.0, centre - half)), max(p, min(1.0, centre + half)))


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
    shares = np.full(len(sums), 1 / len(sums))
    draws = resampled_counts(shares, len(sums), seed=seed, num_resamples=num_resamples)
    means = np.concatenate([counts @ sums / (counts @ sizes) for counts in draws])
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(sums.sum() / sizes.sum()), float(low), float(high))


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
