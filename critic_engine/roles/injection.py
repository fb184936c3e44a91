"""Injectors, detectors and graders: who puts errors into right solutions, finds them, and grades what was found."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from critic_engine.parsing.injections import MAX_INJECTED, InjectedError, ReadGrade
from critic_engine.types import Problem, TokenUsage, Trajectory


@dataclass(frozen=True, slots=True)
class Injected:
    """A solution with errors in it."""

    steps: tuple[str, ...]
    errors: tuple[InjectedError, ...]
    """One to five; all of them."""
    usage: TokenUsage

    def __post_init__(self) -> None:
        """Refuse too few or too many errors, and one of a step that does not exist."""
        if not 1 <= len(self.errors) <= MAX_INJECTED:
            raise ValueError(f"errors holds {len(self.errors)}; there must be 1 to {MAX_INJECTED}")
        for error in self.errors:
            if error.step is not None and not 1 <= error.step <= len(self.steps):
                raise ValueError(f"errors names step {error.step}; there are {len(self.steps)} steps")


@dataclass(frozen=True, slots=True)
class Detection:
    """What one detector finds wrong with a solution."""

    words: str
    """As a critic of the same prompt family says it."""
    errors: tuple[InjectedError, ...]
    """None of them: it holds every step to be right."""
    usage: TokenUsage


@dataclass(frozen=True, slots=True)
class Grading:
    """What a grader makes of one detection."""

    read: ReadGrade
    usage: TokenUsage


class Injector(Protocol):
    """Puts errors into right solutions."""

    async def inject(
        self, problem: Problem, trajectory: Trajectory, *, seed: int, extras: Mapping[str, object]
    ) -> Injected:
        """Return ``trajectory`` with one to five errors in it.

        Args:
            problem: The problem.
            trajectory: A right solution of at least one step.
            seed: The same seed makes the same errors, as far as a model allows.
            extras: The further columns of the problem's row.

        Raises:
            ParseError: no errors can be put into this trajectory, or a model's text is no such solution.
            ProblemError: the row lacks what the injector needs.
            GenerationError: a model could not be asked.
        """
        ...


class Detector(Protocol):
    """Finds errors in solutions."""

    @property
    def name(self) -> str:
        """What a person calls it."""
        ...

    async def detect(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Detection:
        """Return the errors of ``trajectory``.

        Raises:
            ParseError: what a model wrote cannot be read.
            GenerationError: a model could not be asked.
        """
        ...


class Grader(Protocol):
    """Says how well found errors meet those that are there."""

    async def grade(
        self,
        problem: Problem,
        trajectory: Trajectory,
        *,
        errors: tuple[InjectedError, ...],
        found: tuple[InjectedError, ...],
        seed: int,
    ) -> Grading:
        """Return how many of ``errors`` are among ``found``, and the grade of ``found``.

        Raises:
            ParseError: what a model wrote cannot be read.
            GenerationError: a model could not be asked.
        """
        ...
