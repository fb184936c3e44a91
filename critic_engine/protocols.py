"""The seams: what a generator, an expander and an evaluator must do. Everything above them works with any of each."""

from dataclasses import dataclass
from typing import Protocol

from critic_engine.types import (
    Critique,
    Generation,
    GenerationRequest,
    Message,
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

    async def load(self) -> None:
        """Be ready to answer; a second time it does nothing, and without it the first request does it.

        Raises:
            ModelLoadError: the model cannot be loaded, or the endpoint not reached.
        """
        ...

    async def generate(self, request: GenerationRequest) -> Generation:
        """Return one sample a seed. Many calls may be in flight at once.

        Raises:
            GenerationError: the request cannot be answered; the generator stays usable.
            ReplicaLostError: nothing is left that could answer.
        """
        ...

    async def aclose(self) -> None:
        """Release what the generator holds; no call may follow."""
        ...


@dataclass(frozen=True, slots=True)
class ExpansionContext:
    """Where in the tree an expander works, and what the critic has said around there."""

    trajectory: Trajectory
    """From the root to the node that is expanded; empty at the root."""
    critique: Critique | None = None
    """The critic's word on this trajectory; None when it was not judged."""
    rejected: tuple[RejectedSibling, ...] = ()
    """What was tried below the node and that the critic holds wrong, most recent last."""


@dataclass(frozen=True, slots=True)
class Continuation:
    """One continuation the reasoner offers; not yet a node."""

    steps: tuple[str, ...]
    """The new steps; after a rewrite, the whole of the new trajectory. None of them: the reasoner ended its turn."""
    is_rewrite: bool
    """Whether ``steps`` replace the trajectory of the node it hangs below instead of extending it."""
    is_finished: bool
    answer: str | None
    prior: float | None
    """The reasoner's probability of drawing it, in [0, 1]; None without log-probabilities."""
    texts: tuple[str, ...] | None = None
    """Exactly what was written, a text a step; None when each is its step and a line break, which the end may lack."""
    num_tokens: int | None = None
    """Tokens generated for it; None is unknown."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """What one call of an expander brought."""

    continuations: tuple[Continuation, ...]
    usage: TokenUsage
    num_unreadable: int = 0
    """Samples that could not be read as a step or a solution and were left out."""


class Expander(Protocol):
    """Asks a reasoner for continuations."""

    async def expand(self, problem: Problem, context: ExpansionContext, *, seeds: tuple[int, ...]) -> Expansion:
        """Return at most one continuation a seed; samples that cannot be read are counted, not returned."""
        ...

    async def finish(self, problem: Problem, trajectory: Trajectory, *, seeds: tuple[int, ...]) -> Expansion:
        """Return at most one continuation a seed, each all that is missing from ``trajectory`` to its end."""
        ...


@dataclass(frozen=True, slots=True)
class Rollout:
    """One completion of a trajectory that was drawn to judge it."""

    continuation: Continuation
    """All that was missing from the trajectory; a rewrite of the whole where it set out from before its end."""
    value: float | None
    """Of the path it completes, in [0, 1]; None is unknown."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluator makes of one trajectory."""

    value: float | None
    """In [0, 1]; None when the evaluator could not tell."""
    critique: Critique | None
    usage: TokenUsage
    num_unreadable: int = 0
    """Model texts that could not be read on the way."""
    rollouts: tuple[Rollout, ...] = ()
    """The completions that were drawn on the way."""
    errors: tuple[str, ...] = ()
    """What failed on the way and was left out."""


UNKNOWN = Evaluation(value=None, critique=None, usage=TokenUsage())
"""What an evaluator makes of a trajectory that it cannot judge, and spends nothing on."""


class Evaluator(Protocol):
    """Says how good a trajectory is."""

    async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
        """Return the value of the trajectory; what could not be read has no value, and is counted."""
        ...


@dataclass(frozen=True, slots=True)
class Score:
    """What a scorer makes of one conversation."""

    value: float
    """In [0, 1]."""
    num_prompt_tokens: int
    """Tokens read."""
    num_retries: int = 0
    """How often the conversation was sent again because it failed in a way that may pass."""


class Scorer(Protocol):
    """The seam to models that give a value and write nothing."""

    @property
    def name(self) -> str:
        """What a person calls it, such as ``huggingface:Skywork-Reward``."""
        ...

    async def load(self) -> None:
        """Be ready to score, as ``Generator.load`` is ready to answer."""
        ...

    async def score(self, messages: tuple[Message, ...]) -> Score:
        """Return the value of the last message, the assistant's. Many calls may be in flight at once.

        Raises:
            GenerationError: the conversation cannot be scored; the scorer stays usable.
            ReplicaLostError: nothing is left that could score.
        """
        ...

    async def aclose(self) -> None:
        """Release what the scorer holds; no call may follow."""
        ...
