"""Scalings that make a value the probability of being right."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from critic_engine.statistics.calibration import checked_values

# Logarithms of 0 are not finite.
_SMALLEST_VALUE = 1e-6


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
    def fit(cls, values: Sequence[float], outcomes: Sequence[bool]) -> Self:
        """Return the scaling of least log-loss to the outcomes, see ``_fitted``.

        Raises:
            ValueError: there is no value, the two are of unequal length, or a value lies outside [0, 1].
        """
        given, is_right = checked_values(values, outcomes)
        log_odds = _logarithm(given) - _logarithm(1 - given)
        slope, intercept = _fitted(np.stack([log_odds, np.ones(len(given))]), is_right)
        return cls(slope, intercept)

    def apply(self, value: float) -> float:
        """Return the scaled value, in [0, 1].

        Raises:
            ValueError: ``value`` lies outside [0, 1].
        """
        given = _one(value)
        return _sigmoid(self.slope * (_logarithm(given) - _logarithm(1 - given)) + self.intercept)


@dataclass(frozen=True, slots=True)
class BetaCalibration:
    """``apply(v) = sigmoid(a * log(v) - b * log(1 - v) + c)``, where ``a`` and ``b`` are not negative.

    Kull, Silva Filho and Flach (2017, Beta calibration, AISTATS). With ``a = b`` it is Platt scaling; otherwise it
    stretches small values more than large ones, or the other way round. It never turns an order around: an inverted
    critic gets one value for all. Values are kept within [1e-6, 1 - 1e-6].
    """

    a: float
    b: float
    c: float

    @classmethod
    def fit(cls, values: Sequence[float], outcomes: Sequence[bool]) -> Self:
        """Return the calibration of least log-loss to the outcomes, see ``_fitted``.

        Raises:
            ValueError: see ``PlattScaling.fit``.
        """
        given, is_right = checked_values(values, outcomes)
        columns = np.stack([_logarithm(given), -_logarithm(1 - given), np.ones(len(given))])
        return cls(*_fitted(columns, is_right, lowest=(0.0, 0.0, None)))

    def apply(self, value: float) -> float:
        """Return the calibrated value, in [0, 1].

        Raises:
            ValueError: ``value`` lies outside [0, 1].
        """
        given = _one(value)
        return _sigmoid(self.a * _logarithm(given) - self.b * _logarithm(1 - given) + self.c)


def _fitted(
    columns: NDArray[np.float64], is_right: NDArray[np.bool_], *, lowest: Sequence[float | None] | None = None
) -> list[float]:
    """Return the weights of the columns, the last of which is the intercept, for which the log-loss is least.

    The targets are Platt's, ``(n_right + 1) / (n_right + 2)`` and ``1 / (n_wrong + 2)``, so that the weights stay
    finite where values part right from wrong without fault. ``lowest`` bounds each weight; None is no bound.
    """
    from scipy.optimize import minimize  # type: ignore[import-untyped]
    from scipy.special import expit  # type: ignore[import-untyped]

    targets = np.where(is_right, (is_right.sum() + 1) / (is_right.sum() + 2), 1 / ((~is_right).sum() + 2))

    def log_loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = weights @ columns
        loss = np.logaddexp(0, scores) - targets * scores
        return float(loss.mean()), columns @ (expit(scores) - targets) / len(targets)

    begin = np.append(np.ones(len(columns) - 1), 0.0)
    if lowest is None:
        found = minimize(log_loss, begin, jac=True, method="BFGS")
    else:
        bounds = [(low, None) for low in lowest]
        found = minimize(log_loss, begin, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-12})
    return [float(weight) for weight in found.x]


def _one(value: float) -> NDArray[np.float64]:
    if not 0 <= value <= 1:
        raise ValueError(f"value is {value}; it must lie in [0, 1]")
    return np.asarray(value, dtype=float)


def _logarithm(values: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.log(np.clip(values, _SMALLEST_VALUE, 1 - _SMALLEST_VALUE))
    return found


def _sigmoid(score: NDArray[np.float64]) -> float:
    from scipy.special import expit

    return float(expit(score))
