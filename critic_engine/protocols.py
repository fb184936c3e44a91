"""The seams: what a generator, an expander and an evaluator must do. Everything above them works with any of each."""

from dataclasses import dataclass
from typing import Protocol

from critic_engine.types import (
    Critique,
    Generation,
    GenerationRequest,
    Problem,
    RejectedSibling,
    TokenUsage,
    Trajectory,
)


class Generator(Protocol):
    """The one seam to models."""

    @property
    def name(self) -> str:
        """What a person calls it, such as ``huggingface:pocket-reasoner``."""
        ...

    async def generate(self, request: GenerationRequest) -> Generation:
        """Return one sample a seed. Many calls may be in flight at once.

        Raises:
            GenerationError: the request cannot be answered; the generator stays usable.
        """
        ...

    async def aclose(self) -> None:
        """Release what the generator holds; no call may follow."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the tree an expander works, and what the critic has said around there."""

    trajectory: Trajectory
    """From the root to the node that is expanded; empty at the root."""
    critique: Critique | None = None
    """The critic's word on this trajectory; None when it was not judged."""
    rejected: tuple[RejectedSibling, ...] = ()
    """Children the node already has that the critic holds wrong, most recent last."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One continuation the reasoner offers; not yet a node."""

    steps: tuple[str, ...]
    """The new steps; after a rewrite, the whole of the new trajectory."""
    is_rewrite: bool
    """Whether ``steps`` replace the trajectory of the node it hangs below instead of extending it."""
    is_finished: bool
    answer: str | None
    prior: float | None
    """The reasoner's probability of drawing it, in [0, 1]; None without log-probabilities."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """What one call of an expander brought."""

    candidates: tuple[Candidate, ...]
    usage: TokenUsage
    num_unreadable: int = 0
    """Samples that could not be read as a step or a solution and were left out."""


class Expander(Protocol):
    """Asks a reasoner for continuations."""

    async def expand(self, problem: Problem, place: Place, *, seeds: tuple[int, ...]) -> Expansion:
        """Return at most one candidate a seed; samples that cannot be read are counted, not returned."""
        ...

    async def finish(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Expansion:
        """Return at most one candidate, which holds all that is missing from ``trajectory`` to its end."""
        ...


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluator makes of one trajectory."""

    value: float | None
    """In [0, 1]; None when the evaluator could not tell."""
    critique: Critique | None
    usage: TokenUsage
    num_unreadable: int = 0
    """Model texts that could not be read on the way."""


class Evaluator(Protocol):
    """Says how good a trajectory is."""

    async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
        """Return the value of the trajectory; what could not be read has no value, and is counted."""
        ...
