"""Generators that a program hands in: the prompts they get, and the models that they may be paired with."""

from critic_engine.config.engine import EngineConfig
from critic_engine.config.models import ModelConfig, is_shipped_name
from critic_engine.config.search import CriticConfig, ReasonerConfig
from critic_engine.errors import ConfigError

_WORLD = "which knows only the boards and words of the pocket world"


def with_given(config: EngineConfig, *, has_reasoner: bool, has_critic: bool) -> EngineConfig:
    """Return the configuration of an engine that is handed the generators of these roles.

    With ``prompts: auto``, a generator that is handed in gets the plain prompts where the shipped model would get its
    own. A program that hands in a generator of the shipped models sets ``prompts: pocket``.

    Raises:
        ConfigError: a shipped model would be asked by prompts of other models, or be paired with one unasked.
    """
    update: dict[str, ReasonerConfig | CriticConfig] = {}
    if has_reasoner and is_shipped(config.reasoner) and config.reasoner.prompts == "auto":
        update["reasoner"] = config.reasoner.model_copy(update={"prompts": "plain"})
    if has_critic and is_shipped(config.critic) and config.critic.prompts == "auto":
        update["critic"] = config.critic.model_copy(update={"prompts": "plain"})
    config = config.model_copy(update=update)
    if config.needs_critic:
        _check_pair(config, has_reasoner=has_reasoner, has_critic=has_critic)
    if not has_reasoner:
        _check_prompts(config.reasoner, "reasoner")
    if config.needs_critic and not has_critic:
        _check_prompts(config.critic, "critic")
    if _is_foreign(config.reasoner, is_given=has_reasoner):
        _check_others(config, has_reasoner=has_reasoner)
    return config


def is_shipped(model: ModelConfig) -> bool:
    """Return whether it is a shipped model itself, and no script in its place."""
    return is_shipped_name(model.model) and model.backend != "scripted"


def _is_default(model: ModelConfig, *, is_other_given: bool) -> bool:
    """Return whether it is the shipped model and nobody asked for it beside the other role's model."""
    return is_shipped(model) and (is_other_given or "model" not in model.model_fields_set)


def _is_foreign(model: ModelConfig, *, is_given: bool) -> bool:
    """Return whether the terse models cannot read its text; a shipped one stays as it is whatever its prompts are."""
    return not model.is_pocket and (is_given or model.backend == "scripted" or model.model != "pocket")


def _check_pair(config: EngineConfig, *, has_reasoner: bool, has_critic: bool) -> None:
    is_pocket_critic = not has_critic and _is_default(config.critic, is_other_given=has_reasoner)
    if is_pocket_critic and _is_foreign(config.reasoner, is_given=has_reasoner):
        raise ConfigError(
            f"the reasoner would be paired with the pocket critic, {_WORLD}; give a critic too, by critic=… (the same "
            "generator may serve both roles) or critic.model, or set evaluator.kind to 'none'",
            field="critic.model",
        )
    is_pocket_reasoner = not has_reasoner and _is_default(config.reasoner, is_other_given=has_critic)
    if is_pocket_reasoner and _is_foreign(config.critic, is_given=has_critic):
        raise ConfigError(
            f"the critic would be paired with the pocket reasoner, {_WORLD}; give a reasoner too, by reasoner=… (the "
            "same generator may serve both roles) or reasoner.model",
            field="reasoner.model",
        )


def _check_prompts(model: ModelConfig, role: str) -> None:
    if is_shipped(model) and model.prompts in ("plain", "headed", "reasoned"):
        raise ConfigError(
            f"{role}.prompts is {model.prompts!r}, and the pocket {role} knows its own prompts only; hand in the "
            f"generator by {role}=… if a program made this configuration, name {role}.model, or leave the prompts out",
            field=f"{role}.prompts",
        )


def _check_others(config: EngineConfig, *, has_reasoner: bool) -> None:
    if config.needs_reward_model and _is_default(config.reward_model, is_other_given=has_reasoner):
        raise ConfigError(
            f"the reasoner would be paired with the pocket reward model, {_WORLD}; name one by reward_model.model",
            field="reward_model.model",
        )
    for number, other in enumerate(config.other_reasoners):
        if _is_default(other, is_other_given=has_reasoner):
            raise ConfigError(
                f"the reasoner would be paired with the pocket reasoner, {_WORLD}; name another model in "
                f"other_reasoners.{number}.model",
                field=f"other_reasoners.{number}.model",
            )
