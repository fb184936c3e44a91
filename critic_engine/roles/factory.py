"""Build the expanders and the evaluator of a search from the configuration."""

from collections.abc import Sequence
from dataclasses import dataclass

from critic_engine.config.engine import EngineConfig
from critic_engine.errors import ConfigError
from critic_engine.models.registry import Models
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import Evaluator, Expander, Generator
from critic_engine.roles.checker import Checker
from critic_engine.roles.critic import Critic
from critic_engine.roles.evaluators.factory import Roles, make_evaluator
from critic_engine.roles.evaluators.reward_model import ScorerEvaluator, VerdictTokenEvaluator
from critic_engine.roles.expanders import make_expander
from critic_engine.roles.reasoner import Reasoner


@dataclass(frozen=True, slots=True)
class SearchRoles:
    """The roles that a search uses."""

    expanders: Sequence[Expander]
    """One for each arm of the strategy, in order."""
    evaluator: Evaluator


def make_roles(
    config: EngineConfig,
    models: Models,
    *,
    reasoner: Generator | None = None,
    critic: Generator | None = None,
    checker: Checker | None = None,
) -> SearchRoles:
    """Return the roles that ``config`` describes.

    Args:
        config: The configuration.
        models: Loads each model once.
        reasoner: Replaces the reasoner's generator that ``config`` names.
        critic: Replaces the critic's generator that ``config`` names.
        checker: Holds reference answers, for evaluators that need them.

    Raises:
        ConfigError: the evaluator needs a role that is missing, or prompts cannot be loaded.
        ModelLoadError: a model's folder is plainly not a model.
    """
    generators = [models.adopt(reasoner) if reasoner else models.generator(config.reasoner, "reasoner")]
    generators += [models.generator(each, "reasoner") for each in config.other_reasoners]
    expanders = tuple(
        make_expander(config.expander, Reasoner(generator, PromptFamily.for_model(sampling), sampling))
        for generator, sampling in zip(generators, (config.reasoner, *config.other_reasoners), strict=True)
    )
    roles = Roles(
        expander=expanders[0],
        critic=_make_critic(config, models, critic) if config.needs_critic else None,
        reward_model=make_reward_model(config, models) if config.needs_reward_model else None,
        checker=checker,
    )
    return SearchRoles(expanders, make_evaluator(config.evaluator, roles))


def with_critique_tokens(config: EngineConfig) -> EngineConfig:
    """Return the configuration with the token allowance of the critic's prompts in the place of None, if it is used.

    Raises:
        ConfigError: the critic's prompts cannot be loaded.
    """
    if config.critic.max_tokens is not None or not config.asks_critic:
        return config
    max_tokens = PromptFamily.for_model(config.critic).form.critique_tokens
    return config.model_copy(update={"critic": config.critic.model_copy(update={"max_tokens": max_tokens})})


def _make_critic(config: EngineConfig, models: Models, critic: Generator | None) -> Critic:
    generator = models.adopt(critic) if critic else models.generator(config.critic, "critic")
    return Critic(generator, PromptFamily.for_model(config.critic), config.critic)


def make_reward_model(config: EngineConfig, models: Models) -> Evaluator:
    """Return the evaluator that asks the reward model.

    Raises:
        ConfigError: its prompts put the reason before the verdict, and its head reads a verdict that comes first.
        ModelLoadError: the model's folder is plainly not a model.
    """
    family = PromptFamily.for_model(config.reward_model)
    if config.reward_model.head == "verdict_token":
        if family.form.reasons_first:
            raise ConfigError(
                f"reward_model.prompts is {config.reward_model.prompts!r}, whose critic reasons before its verdict, "
                "and reward_model.head 'verdict_token' reads a verdict that comes first; set the prompts to 'plain', "
                "or take the critic as the evaluator",
                field="reward_model.prompts",
            )
        generator = models.generator(config.reward_model, "critic")
        return VerdictTokenEvaluator(generator, family, config.reward_model.chat)
    return ScorerEvaluator(models.scorer(config.reward_model), family, config.reward_model.chat)
