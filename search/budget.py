"""The budget of a search, its usage, and the reasons to stop."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from search.checks import check_at_least


class StopReason(StrEnum):
    """The reason why a strategy asks no more."""

    SIMULATIONS = "simulations"
    """``Budget.max_simulations`` trials were told."""
    COST = "cost"
    """``Budget.max_cost`` is spent."""
    EXHAUSTED = "exhausted"
    """Nothing is left to ask: every path ended, is as deep as allowed, or failed too often."""
    VALUE_THRESHOLD = "value_threshold"
    """A finished path is good enough."""
    NUM_FINISHED = "num_finished"
    """Enough finished paths were found."""
    NUM_SAMPLES = "num_samples"
    """Every sample was told."""
    ROUNDS = "rounds"
    """Every round was told."""
    AGREEMENT = "agreement"
    """Enough finished paths give the same answer."""
    PATIENCE = "patience"
    """The best finished path has not got better for long enough."""
    ONE_SIDED = "one_sided"
    """Every path found so far is right, or every one wrong."""
    SECONDS = "seconds"
    """The caller's time for this search is up."""
    RUN_TOKENS = "run_tokens"
    """The tokens of all the caller's searches together are spent."""
    RUN_SECONDS = "run_seconds"
    """The time of all the caller's searches together is up."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The usage of a search so far."""

    num_simulations: int
    """Number of trials told."""
    cost: int
    """Sum of the costs told and abandoned, in the caller's unit."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The limits of a search; None is no limit."""

    max_simulations: int | None = None
    """Number of trials that may be told."""
    max_cost: int | None = None
    """Cost, in the caller's unit, at which no more is asked; trials pending then may exceed it."""

    def __post_init__(self) -> None:
        """Refuse a budget that allows nothing."""
        if self.max_simulations is not None:
            check_at_least("max_simulations", self.max_simulations, 1)
        if self.max_cost is not None:
            check_at_least("max_cost", self.max_cost, 1)

    def allows(self, num_started: int) -> bool:
        """Return whether one more trial may start when ``num_started`` are told or pending."""
        return self.max_simulations is None or num_started < self.max_simulations

    def stop_reason(self, usage: Usage) -> StopReason | None:
        """Return the limit that ``usage`` has reached, or None."""
        if self.max_simulations is not None and usage.num_simulations >= self.max_simulations:
            return StopReason.SIMULATIONS
        if self.max_cost is not None and usage.cost >= self.max_cost:
            return StopReason.COST
        return None


NO_LIMIT = Budget()
"""Nothing is limited."""
