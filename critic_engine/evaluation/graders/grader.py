"""The interface of graders and the value that they return."""

from dataclasses import dataclass
from typing import Protocol

from critic_engine.types import ProblemRow


@dataclass(frozen=True, slots=True)
class Grade:
    """The outcome of grading one answer."""

    is_right: bool | None
    """None if it cannot be told: the answer was not found, two readings disagree, or the grader ran out of time."""
    reason: str = ""
    """Why ``is_right`` is None; empty if it is known."""
    read_as: str | None = None
    """The answer as the grader read it, after its own extraction, cut where it is long; None if it found none."""
    is_timeout: bool = False
    """Whether ``is_right`` is None because a comparison of mathematics reached its time limit."""


class AnswerGrader(Protocol):
    """Decides whether the answer to a problem is right."""

    @property
    def name(self) -> str:
        """Name of the rule, such as ``mathvista``."""
        ...

    def grade(self, row: ProblemRow, answer: str, response: str) -> Grade:
        """Return the grade of one answer. It never raises for what a model or a data set holds.

        Mathematics may take seconds, in a process of its own; an event loop calls this in another thread.

        Args:
            row: The problem, with at least one reference answer.
            answer: The answer that the engine read from the response.
            response: The steps of the chosen path, a line each, for rules that do their own extraction.
        """
        ...
