"""Interfaces of error injection: injectors, detectors and graders, and their results."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from critic_engine.parsing.injections import Injected, InjectedError, ReadGrade
from critic_engine.roles.ask_until_readable import Reading
from critic_engine.types import Problem, TokenUsage, Trajectory


@dataclass(frozen=True, slots=True)
class Detection:
    """The errors that one detector finds in a solution."""

    words: str
    """The critique, in the form of the prompt family's critics."""
    errors: tuple[InjectedError, ...]
    """Errors found; empty if the detector calls every step right."""
    usage: TokenUsage


class Injector(Protocol):
    """Injects errors into right solutions."""

    async def inject(
        self, problem: Problem, trajectory: Trajectory, *, seed: int, extras: Mapping[str, object]
    ) -> Reading[Injected]:
        """Return ``trajectory`` with one to five injected errors.

        Args:
            problem: The problem.
            trajectory: A right solution of at least one step.
            seed: The same seed makes the same errors, as far as a model allows.
            extras: The further columns of the problem's row.

        Raises:
            ParseError: no error can be injected here, or a model's text cannot be read.
            ProblemError: the row lacks a column that the injector needs.
            GenerationError: the generator failed for good.
        """
        ...


class Detector(Protocol):
    """Finds errors in solutions."""

    @property
    def name(self) -> str:
        """Name for reports."""
        ...

    async def detect(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Detection:
        """Return the errors of ``trajectory``.

        Raises:
            ParseError: a model's text cannot be read.
            GenerationError: the generator failed for good.
        """
        ...


class Grader(Protocol):
    """Grades detected errors against the injected ones."""

    async def grade(
        self,
        problem: Problem,
        trajectory: Trajectory,
        *,
        errors: tuple[InjectedError, ...],
        found: tuple[InjectedError, ...],
        seed: int,
    ) -> Reading[ReadGrade]:
        """Return how many of ``errors`` are among ``found``, and the grade of ``found``.

        Raises:
            ParseError: a model's text cannot be read.
            GenerationError: the generator failed for good.
        """
        ...
