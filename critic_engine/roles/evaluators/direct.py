"""Evaluators that need no model of their own."""

from dataclasses import dataclass

from critic_engine.protocols import UNKNOWN, Evaluation
from critic_engine.roles.checker import Checker
from critic_engine.types import Problem, TokenUsage, Trajectory


@dataclass(frozen=True, slots=True)
class CheckerEvaluator:
    """Values a finished path 1 or 0 by its answer, and leaves all others unknown."""

    checker: Checker

    async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
        """Return 1 if the answer is right and 0 if it is wrong; unknown if it is unfinished or cannot be checked."""
        if trajectory.is_finished:
            await self.checker.settle(problem, [trajectory.answer])
        is_right = self.checker.is_right(problem, trajectory.answer) if trajectory.is_finished else None
        return UNKNOWN if is_right is None else Evaluation(float(is_right), None, TokenUsage())


class NoEvaluator:
    """Leaves every value unknown, at no cost."""

    async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
        """Return an unknown value."""
        return UNKNOWN
