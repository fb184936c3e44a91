"""The evaluators: who says how good a trajectory is."""

from critic_engine.config import EvaluatorConfig
from critic_engine.critic import Critic
from critic_engine.errors import ConfigError
from critic_engine.protocols import Evaluation, Evaluator
from critic_engine.types import Problem, TokenUsage, Trajectory


class CriticEvaluator:
    """Takes the critic's value and words."""

    def __init__(self, critic: Critic) -> None:
        """Take who judges."""
        self._critic = critic

    async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
        """Return the critic's judgement."""
        return await self._critic.judge(problem, trajectory, seed=seed)


class NoEvaluator:
    """Judges nothing, at no cost."""

    async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
        """Return an unknown value."""
        return Evaluation(value=None, critique=None, usage=TokenUsage())


def make_evaluator(config: EvaluatorConfig, critic: Critic | None) -> Evaluator:
    """Return the evaluator that ``config.kind`` names.

    Raises:
        ConfigError: it is the critic, and there is none.
    """
    if config.kind == "none":
        return NoEvaluator()
    if critic is None:
        raise ConfigError(
            "evaluator.kind is 'critic' and there is no critic; name one or set it to 'none'", field="evaluator.kind"
        )
    return CriticEvaluator(critic)
