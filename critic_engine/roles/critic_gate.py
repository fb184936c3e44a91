"""The critic's card put to use: whether it is of these models, and whether the critic may steer."""

import logging
from pathlib import Path

from critic_engine.backends.huggingface.fingerprint import model_fingerprint
from critic_engine.config.critic_card import CardModel, CriticCard, Measured
from critic_engine.config.engine import EngineConfig
from critic_engine.config.gate import gate_reason, gated
from critic_engine.config.models import ModelConfig
from critic_engine.errors import ConfigError
from critic_engine.prompts import PromptFamily
from critic_engine.roles.given_models import is_shipped

_logger = logging.getLogger(__name__)


def with_gate(config: EngineConfig, *, has_reasoner: bool, has_critic: bool) -> EngineConfig:
    """Return the configuration with the AUROC of the critic's card, changed if the critic may not steer.

    What was decided, and why, is logged in one line; so is a critic without a card, unless it is shipped. A
    method that asks no critic ignores the card.

    Args:
        config: The configuration of an engine.
        has_reasoner: Whether a program hands in the reasoner's generator. Nothing says which model that is, so only
            its prompts are compared with the card's.
        has_critic: The same of the critic's.

    Raises:
        ConfigError: the card cannot be read, or is of another critic, reasoner or prompts.
    """
    if config.needs_critic and config.critic.health is not None:
        card = CriticCard.read(config.critic.health)
        _check_model(card.critic, config.critic, "critic", path=config.critic.health, is_given=has_critic)
        _check_model(card.reasoner, config.reasoner, "reasoner", path=config.critic.health, is_given=has_reasoner)
        config = _with_auroc(config, card.answer_auroc, path=config.critic.health)
    reason = gate_reason(config.critic)
    if reason is not None:
        changed = gated(config) if config.needs_critic else config
        _logger.warning("%s: it does not steer; %s", reason, _way(changed))
        return changed
    if config.needs_critic and config.critic.auroc is None and not _is_known(config, has_critic=has_critic):
        _logger.warning(
            "the critic was not measured, so it is unknown whether its values tell right from wrong; measure it with "
            "`critic-engine evaluate-critic` and name its card in critic.health"
        )
    return config


def _is_known(config: EngineConfig, *, has_critic: bool) -> bool:
    """Return whether nobody needs to be told that the critic was not measured: it is the shipped one, or a script."""
    return config.critic.backend == "scripted" or (is_shipped(config.critic) and not has_critic)


def card_model(config: ModelConfig) -> CardModel:
    """Return the model as a card names it.

    Raises:
        ConfigError: its prompts cannot be loaded.
    """
    name = Path(config.model).expanduser().resolve().name if Path(config.model).is_dir() else config.model
    return CardModel(
        name=f"openai:{name}" if config.backend == "openai_api" else name,
        prompts=_last(PromptFamily.for_model(config).name),
        fingerprint=model_fingerprint(config),
    )


def _check_model(carded: CardModel, config: ModelConfig, role: str, *, path: Path, is_given: bool) -> None:
    """Refuse a card of another model: digests decide where both are known, and names where not."""
    ours = card_model(config)
    if _last(carded.prompts) != ours.prompts:
        raise _other(path, role, f"asked with the prompts {carded.prompts!r}", f"with {ours.prompts!r}")
    if is_given:
        return
    has_digests = bool(carded.fingerprint and ours.fingerprint)
    if has_digests and carded.fingerprint != ours.fingerprint:
        digests = f"with weights of the digest {carded.fingerprint[:12]}", f"whose digest is {ours.fingerprint[:12]}"
        raise _other(path, role, f"{carded.name!r} {digests[0]}", f"{ours.name!r}, {digests[1]}")
    if not has_digests and _last(carded.name) != _last(ours.name):
        raise _other(path, role, repr(carded.name), repr(ours.name))


def _other(path: Path, role: str, carded: str, ours: str) -> ConfigError:
    return ConfigError(
        f"critic.health: {path} is the card of another pair: its {role} is {carded}, and this {role} is {ours}; "
        "measure this pair with `critic-engine evaluate-critic`, or leave critic.health out",
        field="critic.health",
    )


def _last(name: str) -> str:
    """Return the last part of a path, which may be written from another folder."""
    return Path(name).name


def _with_auroc(config: EngineConfig, measured: Measured, *, path: Path) -> EngineConfig:
    figures = (measured.estimate, measured.low, measured.high)
    if not all(figure is None or 0 <= figure <= 1 for figure in figures):
        raise ConfigError(f"critic.health: {path}: answer_auroc is {figures}, and each must lie in [0, 1]")
    if config.critic.auroc not in (None, measured):
        raise ConfigError(
            f"critic.auroc is {config.critic.auroc} and the card {path} says {measured}; leave critic.auroc out",
            field="critic.auroc",
        )
    return config.model_copy(update={"critic": config.critic.model_copy(update={"auroc": measured})})


def _way(config: EngineConfig) -> str:
    if config.evaluator.kind == "none":
        return "whole solutions are sampled, and the most common answer is given"
    kinds = ", ".join(evaluator.kind for evaluator in config.evaluators)
    return f"the rest of the evaluator does: {kinds}"
