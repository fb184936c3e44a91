"""The interfaces of generators, scorers, expanders and evaluators, and the values they exchange."""

from dataclasses import dataclass, field
from typing import Protocol

from critic_engine.types import (
    ChatOptions,
    Critique,
    FinishReason,
    Message,
    Problem,
    RejectedSibling,
    SamplingOptions,
    TokenUsage,
    Trajectory,
)


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One prompt, and the samples to draw for it."""

    messages: tuple[Message, ...]
    prefix: str = ""
    """Beginning of the assistant's turn, its thought included; samples continue it and do not repeat it."""
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    seeds: tuple[int, ...] = (0,)
    """One sample is drawn for each seed, in this order; each in [0, 2**63)."""
    chat: ChatOptions = field(default_factory=ChatOptions)
    session: str = ""
    """What requests about one problem have in common, such as its ``problem_id``: a pool sends them to the replica that
    holds their prefix and images. It never reaches the model; empty for none."""


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One generated token and its log-probability under the model's own distribution (temperature 1, no top-p)."""

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()
    """The likeliest tokens at this position, likeliest first, as (text, log-probability)."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One text a generator drew."""

    text: str
    """Without the thought, the prefix, the stop string and special tokens."""
    num_tokens: int
    """Tokens generated for it, including its thought and the token that ended it."""
    finish_reason: FinishReason
    """``stop`` if the model or a stop string ended it, ``length`` if ``max_tokens`` did."""
    stop: str | None = None
    """The stop string that ended it; None if the model or ``max_tokens`` did."""
    tokens: tuple[TokenLogprob, ...] | None = None
    """Tokens of the text, in order, including the token that ended it; None without log-probabilities."""
    thought: str = ""
    """Exact text before ``text``, up to the end of the model's thought and its markers. Behind the prefix the model
    wrote ``thought + text``. No answer, step or verdict is read from it."""


@dataclass(frozen=True, slots=True)
class Generation:
    """A generator's answer to one request."""

    samples: tuple[Sample, ...]
    """In the order of the request's seeds."""
    usage: TokenUsage


class Model(Protocol):
    """The interface that all models share."""

    @property
    def name(self) -> str:
        """Name for reports, such as ``huggingface:pocket-reasoner``."""
        ...

    async def load(self) -> None:
        """Load the model. Repeated calls do nothing; without a call, the first request loads it.

        Raises:
            ModelLoadError: the model cannot be loaded, or the endpoint not reached.
        """
        ...

    async def aclose(self) -> None:
        """Release the model; no call may follow."""
        ...


class Generator(Model, Protocol):
    """The interface to models that write text."""

    async def generate(self, request: GenerationRequest) -> Generation:
        """Return one sample for each seed. Many calls may be in flight at once.

        Raises:
            GenerationError: the request cannot be answered; the generator stays usable.
            ReplicaLostError: no replica is left that could answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class ExpansionContext:
    """The part of the tree that an expander sees: a trajectory, its critique and rejected next steps."""

    trajectory: Trajectory
    """Trajectory from the root to the expanded node; empty at the root."""
    critique: Critique | None = None
    """The critic's critique of this trajectory; None if there is none."""
    rejected: tuple[RejectedSibling, ...] = ()
    """Rejected children of the node, most recent last."""
    is_repeated: bool = False
    """Whether the reasoner was asked for the same before; a greedy one samples then, or it would say the same."""


@dataclass(frozen=True, slots=True)
class Continuation:
    """Steps that the reasoner offers to continue a trajectory; not yet a node."""

    steps: tuple[str, ...]
    """New steps; of a rewrite, all steps of the new trajectory. Empty if the reasoner only ended its turn."""
    is_rewrite: bool
    """Whether ``steps`` replace the trajectory instead of extending it."""
    is_finished: bool
    answer: str | None
    prior: float | None
    """The reasoner's probability of drawing it, in [0, 1]; None without log-probabilities."""
    texts: tuple[str, ...] | None = None
    """Exact text of each step; None if each is its step and a line break, which the last may lack."""
    num_tokens: int | None = None
    """Tokens generated for it; None if unknown."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """The continuations from one call of an expander, and their cost."""

    continuations: tuple[Continuation, ...]
    usage: TokenUsage
    num_unreadable: int = 0
    """Samples left out because they could not be read as a step or a solution."""
    num_cut: int = 0
    """Those of them that their length cut, which ``cut_by`` names too."""
    cut_by: tuple[str, ...] = ()
    """For each sample that its length cut before it was whole, left out or not, the option that sets this length."""

    @property
    def cut_reasons(self) -> tuple[str, ...]:
        """One line about each sample in ``cut_by``."""
        return tuple(
            f"a text was cut by its length before it was whole; raise {option}"
            + (", or set thinking to off" if option.endswith("max_thought_tokens") else "")
            for option in self.cut_by
        )


class Expander(Protocol):
    """Draws continuations of a trajectory."""

    async def expand(self, problem: Problem, context: ExpansionContext, *, seeds: tuple[int, ...]) -> Expansion:
        """Return at most one continuation for each seed; unreadable samples are counted, not returned."""
        ...

    async def finish(self, problem: Problem, trajectory: Trajectory, *, seeds: tuple[int, ...]) -> Expansion:
        """Return at most one continuation for each seed, each completing ``trajectory`` to its end."""
        ...


@dataclass(frozen=True, slots=True)
class Rollout:
    """One completion of a trajectory, drawn to evaluate it."""

    continuation: Continuation
    """The rest of the trajectory, or a rewrite of all of it."""
    value: float | None
    """Value of the completed path, in [0, 1]; None if unknown."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The value of one trajectory, with its critique, cost and failures."""

    value: float | None
    """In [0, 1]; None if unknown."""
    critique: Critique | None
    usage: TokenUsage
    num_unreadable: int = 0
    """Model texts that could not be read."""
    rollouts: tuple[Rollout, ...] = ()
    """Completions drawn for the value."""
    errors: tuple[str, ...] = ()
    """Messages of failures whose part was left out of the value."""
    unreadable: tuple[str, ...] = ()
    """Why texts could not be read, one line each with a quotation; for those whose text is known."""


UNKNOWN = Evaluation(value=None, critique=None, usage=TokenUsage())
"""The evaluation of a trajectory that was not judged, at no cost."""


class Evaluator(Protocol):
    """Values trajectories."""

    async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
        """Return the evaluation of the trajectory; an unreadable text leaves the value unknown and is counted."""
        ...


@dataclass(frozen=True, slots=True)
class Score:
    """A scorer's value of one conversation, and its cost."""

    value: float
    """In [0, 1]."""
    num_prompt_tokens: int
    """Tokens of the conversation."""
    num_retries: int = 0
    """How often the request was retried."""

    @property
    def usage(self) -> TokenUsage:
        """The cost of the request."""
        return TokenUsage(self.num_prompt_tokens, num_retries=self.num_retries, num_requests=1 + self.num_retries)


class Scorer(Model, Protocol):
    """The interface to models that give a value and write no text."""

    async def score(self, messages: tuple[Message, ...]) -> Score:
        """Return the value of the last message, the assistant's. Many calls may be in flight at once.

        Raises:
            GenerationError: the conversation cannot be scored; the scorer stays usable.
            ReplicaLostError: no replica is left that could score.
        """
        ...
