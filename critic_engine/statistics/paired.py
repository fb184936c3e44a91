"""Two methods on the same problems: exact tests and the interval of their difference."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from critic_engine.statistics.intervals import Interval
from critic_engine.statistics.resampling import resampled_counts

# Halves, thirds, quarters, fifths, sixths and tenths are whole numbers of sixtieths.
_UNITS = 60


@dataclass(frozen=True, slots=True)
class Discordance:
    """How much two methods differ on a problem, whichever of them is right."""

    share: float
    """The share of problems on which their mean outcomes differ, in (0, 1]."""
    size: float
    """The root mean square of the differences that are not zero, in (0, 1]; 1 with one seed."""


def sign_flip_test(ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> float:
    """Return the two-sided p-value of the exact paired permutation test of the two methods' numbers right.

    Both hold a sequence a problem, and in it an outcome in [0, 1] a seed. Under the null hypothesis the two methods'
    outcomes of a problem could be exchanged, so the difference of their sums has either sign evenly (Fisher, 1935, The
    Design of Experiments, 21). The distribution of the total is computed in full, with no draws. With one seed and
    outcomes 0 and 1 it is the exact test of McNemar (1947, Psychometrika 12, 153-157). Differences that are not whole
    are rounded to sixtieths, which keeps the test exact.

    Raises:
        ValueError: see ``clustered_difference``.
    """
    from scipy.stats import binom  # type: ignore[import-untyped]

    _check_tables(ours, theirs)
    differences = np.asarray([math.fsum(one) - math.fsum(other) for one, other in zip(ours, theirs, strict=True)])
    is_whole = bool(np.all(np.abs(differences - np.rint(differences)) < 1e-9))
    units = np.rint(differences * (1 if is_whole else _UNITS)).astype(np.int64)
    masses = np.ones(1)
    for step, count in zip(*np.unique(np.abs(units[units != 0]), return_counts=True), strict=True):
        # The sum of `count` differences of +-step: `step * (2 * won - count)`, with a binomial number won.
        before, masses = masses, np.zeros(len(masses) + 2 * step * count)
        for won, mass in enumerate(binom.pmf(np.arange(count + 1), count, 0.5)):
            masses[2 * step * won : 2 * step * won + len(before)] += mass * before
    totals = np.abs(np.arange(len(masses)) - len(masses) // 2)
    return min(1.0, float(masses[totals >= abs(units.sum())].sum()))


def clustered_difference(
    ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]], *, seed: int, num_resamples: int = 10_000
) -> Interval:
    """Return the mean over problems of ``ours - theirs``, with its percentile bootstrap interval over whole problems.

    Both hold a sequence a problem, and in it an outcome in [0, 1] a seed; a problem's difference is that of its means.
    The resampled problems are these and two more, one won and one lost by the usual size of a difference, as in the
    adjusted interval of Bonett and Price (2012, Journal of Educational and Behavioral Statistics 37, 479-488).
    Without those, two methods that never differed would have an interval of no width.

    Raises:
        ValueError: the two hold no problem, not as many problems, not as many outcomes of a problem, or an outcome
            outside [0, 1].
    """
    differences = mean_differences(ours, theirs)
    size = discordance(differences).size
    smoothed = np.concatenate([differences, [size, -size]])
    # 2/3 - 1/3 is not 1/3 to the last bit.
    values, counts = np.unique(np.round(smoothed, 12), return_counts=True)
    draws = resampled_counts(counts / len(smoothed), len(smoothed), seed=seed, num_resamples=num_resamples)
    means = np.concatenate([draw @ values for draw in draws]) / len(smoothed)
    estimate = float(differences.mean())
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(estimate, max(-1.0, min(float(low), estimate)), min(1.0, max(float(high), estimate)))


def mean_differences(ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Return each problem's mean outcome of ours minus theirs, in [-1, 1].

    Raises:
        ValueError: see ``clustered_difference``.
    """
    _check_tables(ours, theirs)
    sums = ((math.fsum(one) - math.fsum(other)) / len(one) for one, other in zip(ours, theirs, strict=True))
    return np.asarray(list(sums))


def discordance(differences: NDArray[np.float64]) -> Discordance:
    """Return how much two methods differ on a problem, with two more problems on which they do.

    The two are those of ``clustered_difference``; so methods that never differed still have a discordance.
    """
    differing = differences[np.abs(differences) > 1e-12]
    size = float(np.sqrt((differing**2).mean())) if len(differing) else 1.0
    return Discordance((len(differing) + 2) / (len(differences) + 2), size)


def _check_tables(ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> None:
    if not len(ours) or len(ours) != len(theirs):
        raise ValueError(f"ours and theirs hold {len(ours)} and {len(theirs)} problems; they must be as many, and some")
    for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        if not len(one) or len(one) != len(other):
            raise ValueError(f"problem {number} has {len(one)} and {len(other)} outcomes; it needs as many, and some")
        if not all(0 <= outcome <= 1 for outcome in (*one, *other)):
            raise ValueError(f"an outcome of problem {number} lies outside [0, 1]")
