"""Posteriors of AB-MCTS over the mean value of an arm, for Thompson sampling.

Both priors and their constants are those of AB-MCTS-A (Inoue et al., 2025, arXiv 2503.04412) as in treequest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy

PriorRule: TypeAlias = Literal["gaussian", "beta"]

_MEAN, _KAPPA, _NU, _TAU_SQUARE = 0.0, 1.0, 1.0, 0.1
_ALPHA, _BETA = 0.5, 0.5


@dataclass(slots=True)
class Evidence:
    """Values observed of one arm."""

    count: int = 0
    total: float = 0.0
    """Sum of the values."""
    squares: float = 0.0
    """Sum of their squares."""

    def add(self, value: float) -> None:
        """Observe one more value."""
        self.count += 1
        self.total += value
        self.squares += value * value


def gaussian_posterior(evidence: Evidence) -> tuple[float, float, float]:
    """Return location, scale and degrees of freedom of the Student t that the arm's mean follows.

    A Gaussian with unknown mean and variance under a normal-inverse-chi-squared prior with m = 0, kappa = 1, nu = 1 and
    tau^2 = 0.1 (Murphy, 2023, Probabilistic Machine Learning: Advanced Topics, section 3.4.3.3), the variance
    integrated out: ``m_n + sqrt(tau_n^2 / kappa_n) * t(nu_n)``.
    """
    count = evidence.count
    kappa, nu = _KAPPA + count, _NU + count
    mean = evidence.total / count if count else 0.0
    spread = max(0.0, evidence.squares - mean * evidence.total)
    shift = count * _KAPPA * (mean - _MEAN) ** 2 / kappa
    tau_square = (_NU * _TAU_SQUARE + spread + shift) / nu
    return (_KAPPA * _MEAN + evidence.total) / kappa, math.sqrt(tau_square / kappa), nu


def beta_posterior(evidence: Evidence) -> tuple[float, float]:
    """Return a and b of the Beta distribution, under the prior Beta(1/2, 1/2); a value is a share of one success."""
    return _ALPHA + evidence.total, _BETA + evidence.count - evidence.total


def draw(evidence: Evidence, prior: PriorRule, rng: numpy.random.Generator) -> float:
    """Return one draw from the posterior of an arm's mean."""
    if prior == "beta":
        return float(rng.beta(*beta_posterior(evidence)))
    location, scale, degrees = gaussian_posterior(evidence)
    return float(location + scale * rng.standard_t(degrees))


class ArmTable:
    """The posteriors of a node's children, in order, ready to be drawn from all at once."""

    __slots__ = ("_parameters", "_posterior", "num_arms")

    def __init__(self, prior: PriorRule) -> None:
        """Start without arms."""
        self._posterior = beta_posterior if prior == "beta" else gaussian_posterior
        # One column an arm: its posterior's parameters, and below them 1 if it is open, else 0.
        self._parameters = numpy.empty((3 if prior == "beta" else 4, 4))
        self.num_arms = 0
        """Number of arms."""

    def add(self, evidence: Evidence, *, is_open: bool) -> None:
        """Append an arm."""
        if self.num_arms == self._parameters.shape[1]:
            self._parameters = numpy.concatenate((self._parameters, numpy.empty_like(self._parameters)), axis=1)
        self.num_arms += 1
        self.set(self.num_arms - 1, evidence)
        self.set_open(self.num_arms - 1, is_open)

    def set(self, index: int, evidence: Evidence) -> None:
        """Replace the evidence of one arm."""
        for row, parameter in enumerate(self._posterior(evidence)):
            self._parameters[row, index] = parameter

    def set_open(self, index: int, is_open: bool) -> None:
        """Set whether one arm takes part."""
        self._parameters[-1, index] = is_open

    def best(self, rng: numpy.random.Generator) -> int:
        """Return the index of the highest draw, one for each open arm in order; at least one must be open."""
        indices = numpy.flatnonzero(self._parameters[-1, : self.num_arms])
        parameters = self._parameters[:-1, indices]
        if len(parameters) == 2:
            draws = rng.beta(parameters[0], parameters[1])
        else:
            draws = parameters[0] + parameters[1] * rng.standard_t(parameters[2])
        return int(indices[draws.argmax()])
