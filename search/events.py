"""The events of a search: trials asked, told and abandoned, and its stop; in order, they are the whole search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeAlias

from search.budget import StopReason
from search.tree import Proposal, S


@dataclass(frozen=True, slots=True)
class Asked:
    """A trial was asked."""

    trial_id: int
    """The ticket's number."""
    node_id: int
    """The node to continue."""
    num_proposals: int
    """Proposals wanted."""
    arm: int = 0
    """Index of the proposer, from 0."""
    is_judged: bool = True
    """Whether all proposals are to be evaluated, and not only finished ones."""


@dataclass(frozen=True, slots=True)
class Told(Generic[S]):
    """A trial was told."""

    trial_id: int
    """The ticket's number."""
    proposals: tuple[Proposal[S], ...]
    """The proposals as they were told, merged ones included."""
    cost: int = 0
    """Cost of the trial, in the caller's unit."""
    judging_cost: int = 0
    """The part of it that evaluating took."""


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A trial was abandoned."""

    trial_id: int
    """The ticket's number."""
    cost: int = 0
    """Cost of the failed work, in the caller's unit."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The caller ended the search."""

    reason: StopReason
    """The caller's reason."""


Event: TypeAlias = Asked | Told[S] | Abandoned | Stopped
