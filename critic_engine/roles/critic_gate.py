"""The critic's card put to use: whether it is of these models, and whether the critic may steer."""

import logging
from pathlib import Path

from critic_engine.backends.huggingface.fingerprint import card_model
from critic_engine.config.critic_card import CardModel, CriticCard, Measured
from critic_engine.config.engine import EngineConfig
from critic_engine.config.gate import gate_reason, gated
from critic_engine.errors import ConfigError
from critic_engine.protocols import Generator

_logger = logging.getLogger(__name__)


def with_gate(
    config: EngineConfig, *, reasoner: Generator | None = None, critic: Generator | None = None
) -> EngineConfig:
    """Return the configuration with the AUROC in the place of the critic's card, changed if the critic may not steer.

    A warning is logged where the critic may not steer, and where its AUROC has no interval; that it has no card is
    logged as information. A method that asks no critic ignores the card, with a warning if it asks a reward model.

    Args:
        config: The configuration of an engine.
        reasoner: The reasoner's generator if a program hands it in; a card names it by its own name.
        critic: The critic's, likewise.

    Raises:
        ConfigError: the card cannot be read, or is of another critic, reasoner or prompts.
    """
    config = _measured(config, reasoner, critic)
    reason = gate_reason(config.critic)
    if reason is not None:
        changed = gated(config) if config.needs_critic else config
        _logger.warning("%s: the critic does not steer; %s", reason, _way(changed))
        return changed
    if config.needs_critic and config.critic.auroc is not None and config.critic.auroc.low is None:
        _logger.warning(
            "the critic's AUROC has no interval, so it is unknown whether its values tell right from wrong, and it "
            "steers; see in the card's report.md why, or measure it on more problems"
        )
    if config.needs_critic and config.critic.auroc is None:
        _logger.info(
            "the critic has no card, so it is unknown whether its values tell right from wrong; measure it with "
            "`critic-engine evaluate-critic`, and name the card in critic.health"
        )
    return config


def _measured(config: EngineConfig, reasoner: Generator | None, critic: Generator | None) -> EngineConfig:
    """Return the configuration with the AUROC of the critic's card in its place, if it is the card of these models."""
    path = config.critic.health
    if path is None or not config.needs_critic:
        if path is not None and config.needs_reward_model:
            _logger.warning("critic.health is not used: this method asks a reward model, and a card gates the critic")
        return config
    card = CriticCard.read(path)
    if card.kind != "critic":
        raise ConfigError(
            f"critic.health: {path} is the card of a reward model, {card.critic.name!r}; name one of the critic",
            field="critic.health",
        )
    _check_model(card.critic, card_model(config.critic, critic), "critic", path=path)
    _check_model(card.reasoner, card_model(config.reasoner, reasoner), "reasoner", path=path)
    # A run goes on by the figures it began with, wherever the card is by then.
    return _with_critic(_with_auroc(config, card.answer_auroc, path=path), health=None)


def with_card_auroc(config: EngineConfig) -> EngineConfig:
    """Return the configuration with the AUROC of the critic's card beside the absolute path of the card.

    So another card in the same file makes another configuration.

    Raises:
        ConfigError: the card cannot be read.
    """
    path = config.critic.health
    if not config.needs_critic or path is None:
        return config
    config = _with_auroc(config, CriticCard.read(path).answer_auroc, path=path)
    return _with_critic(config, health=path.absolute())


def _check_model(carded: CardModel, ours: CardModel, role: str, *, path: Path) -> None:
    """Refuse a card of another model: digests decide where both are known, and names where not."""
    # The folder of a family's prompts may be written from another place.
    if Path(carded.prompts).name != Path(ours.prompts).name:
        raise _other(path, role, f"asked with the prompts {carded.prompts!r}", f"with {ours.prompts!r}")
    has_digests = bool(carded.fingerprint and ours.fingerprint)
    if has_digests and carded.fingerprint != ours.fingerprint:
        digests = f"with weights of the digest {carded.fingerprint[:12]}", f"whose digest is {ours.fingerprint[:12]}"
        raise _other(path, role, f"{carded.name!r} {digests[0]}", f"{ours.name!r}, {digests[1]}")
    if not has_digests and carded.name != ours.name:
        raise _other(path, role, repr(carded.name), repr(ours.name))


def _other(path: Path, role: str, carded: str, ours: str) -> ConfigError:
    return ConfigError(
        f"critic.health: {path} is the card of another pair: its {role} is {carded}, and this {role} is {ours}; "
        "measure this pair with `critic-engine evaluate-critic`, or leave critic.health out",
        field="critic.health",
    )


def _with_auroc(config: EngineConfig, measured: Measured, *, path: Path) -> EngineConfig:
    if not measured.is_share:
        raise ConfigError(
            f"critic.health: {path}: answer_auroc is {measured.figures}, and each must lie in [0, 1]",
            field="critic.health",
        )
    if config.critic.auroc is not None and config.critic.auroc != measured:
        raise ConfigError(
            f"critic.auroc is {config.critic.auroc.figures} and the card {path} says {measured.figures}; leave "
            "critic.auroc out",
            field="critic.auroc",
        )
    return _with_critic(config, auroc=measured)


def _with_critic(config: EngineConfig, **update: object) -> EngineConfig:
    return config.model_copy(update={"critic": config.critic.model_copy(update=update)})


def _way(config: EngineConfig) -> str:
    if config.evaluator.kind == "none":
        return "whole solutions are sampled, and the most common answer is given"
    kinds = ", ".join(evaluator.kind for evaluator in config.evaluators)
    return f"the rest of the evaluator does: {kinds}"
