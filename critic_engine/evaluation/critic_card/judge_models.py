"""The models of a measurement: the critic or reward model, and the reasoner if it is asked for rewrites or rollouts."""

from dataclasses import dataclass
from types import TracebackType
from typing import Self

from critic_engine.actors.model_pools import RayHost
from critic_engine.backends.factory import make_generator, make_scorer
from critic_engine.concurrency import LoopThread
from critic_engine.config.engine import EngineConfig
from critic_engine.models.registry import ModelMakers, Models
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import Evaluator, Generator
from critic_engine.roles.critic import Critic
from critic_engine.roles.factory import make_reward_model
from critic_engine.roles.reasoner import Reasoner


@dataclass(frozen=True, slots=True)
class GivenModels:
    """Generators that a program hands in; their owner closes them."""

    reasoner: Generator | None = None
    """None makes the one that the configuration names."""
    critic: Generator | None = None
    """The same for the critic."""


class JudgeModels:
    """The loaded models and their roles; a context manager that closes them."""

    def __init__(self, config: EngineConfig, given: GivenModels, *, has_reasoner: bool) -> None:
        """Make the models that ``config`` names; the reasoner only if ``has_reasoner``.

        Raises:
            ConfigError: prompts cannot be loaded, or Ray cannot be reached.
            ModelLoadError: a model's folder holds no model.
        """
        self.loop = LoopThread()
        self._ray: RayHost | None = None
        try:
            self._ray = None if config.ray.address is None else RayHost(config)
            self._models = Models(ModelMakers(make_generator, make_scorer) if self._ray is None else self._ray.makers)
            self.greedy: Evaluator | None = None
            """The critic at temperature 0; None if its own temperature is 0, or for a reward model."""
            self.evaluator = self._make_evaluator(config, given.critic)
            """The critic or reward model."""
            self.reasoner = self._make_reasoner(config, given.reasoner) if has_reasoner else None
            """None if it is not asked."""
        except BaseException:
            self._close_ray()
            raise

    def load(self) -> None:
        """Load the models.

        Raises:
            ModelLoadError: one cannot be loaded.
        """
        self.loop.call(self._models.load())

    def __enter__(self) -> Self:
        """Return the models themselves."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the models."""
        try:
            self.loop.call(self._models.aclose())
        finally:
            self._close_ray()

    def _make_evaluator(self, config: EngineConfig, given: Generator | None) -> Evaluator:
        if config.needs_reward_model:
            return make_reward_model(config, self._models)
        generator = self._models.adopt(given) if given else self._models.generator(config.critic, "critic")
        family = PromptFamily.for_model(config.critic)
        critic = Critic(generator, family, config.critic)
        if config.critic.temperature > 0:
            self.greedy = Critic(generator, family, config.critic.model_copy(update={"temperature": 0.0}))
        return critic

    def _make_reasoner(self, config: EngineConfig, given: Generator | None) -> Reasoner:
        generator = self._models.adopt(given) if given else self._models.generator(config.reasoner, "reasoner")
        return Reasoner(generator, PromptFamily.for_model(config.reasoner), config.reasoner)

    def _close_ray(self) -> None:
        try:
            if self._ray is not None:
                self._ray.close()
        finally:
            self.loop.close()
