"""The evaluators that ask one role once, or nobody."""

from critic_engine.protocols import UNKNOWN, Evaluation
from critic_engine.roles.checker import Checker
from critic_engine.roles.critic import Critic
from critic_engine.types import Problem, TokenUsage, Trajectory


class CriticEvaluator:
    """Takes the critic's value and words."""

    def __init__(self, critic: Critic) -> None:
        """Take who judges."""
        self._critic = critic

    async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
        """Return the critic's judgement."""
        return await self._critic.judge(problem, trajectory, seed=seed)


class CheckerEvaluator:
    """Knows of a finished path whether its answer is right, and nothing of any other."""

    def __init__(self, checker: Checker) -> None:
        """Take who holds the reference answers."""
        self._checker = checker

    async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
        """Return 1 or 0, or an unknown value for what is unfinished or cannot be checked."""
        is_right = self._checker.is_right(problem, trajectory.answer) if trajectory.is_finished else None
        return UNKNOWN if is_right is None else Evaluation(float(is_right), None, TokenUsage())


class NoEvaluator:
    """Judges nothing, at no cost."""

    async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
        """Return an unknown value."""
        return UNKNOWN
