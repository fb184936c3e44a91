"""Options that choose a method, its models and their placement."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from critic_engine.cli.command import combined
from critic_engine.cli.placement_options import Placement

if TYPE_CHECKING:
    from critic_engine.config.engine import EngineConfig
    from critic_engine.config.models import ModelConfig

_Command = TypeVar("_Command", bound=Callable[..., Any])
_logger = logging.getLogger(__name__)

file_options = combined(
    click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N rows of the file."),
    click.option(
        "--image-root",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        metavar="DIR",
        help="Folder that image paths are relative to and may not leave; by default the folder of the file.",
    ),
)
"""Adds ``--limit`` and ``--image-root``."""
limit_options = combined(
    click.option(
        "--max-tokens",
        type=click.IntRange(min=1),
        metavar="N",
        help="Stop the run after N generated tokens, counted over all its sessions.",
    ),
    click.option(
        "--max-seconds",
        type=click.FloatRange(min=0, min_open=True),
        metavar="S",
        help="Stop this session after S seconds.",
    ),
)
"""Adds ``--max-tokens`` and ``--max-seconds``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRequest(Placement):
    """The method, its models and their placement, as the command's options name them."""

    config: tuple[str, ...]
    settings: tuple[str, ...] = ()
    reasoner: str | None = None
    critic: str | None = None
    reward_model: str | None = None
    seed: int | None = None

    def load_config(self) -> "EngineConfig":
        """Return the config with all options applied, and warn of models without a use; ``--set`` has the last word."""
        config = self.read_config()
        if self.critic is not None and not config.asks_critic:
            _logger.warning("--critic is not used: this method asks no critic")
        if self.reward_model is not None and not config.needs_reward_model:
            _logger.warning("--reward-model is not used: this method asks no reward model")
        return config

    def read_config(self) -> "EngineConfig":
        """Return the config with all options applied."""
        from critic_engine.config.engine import load_document, parse_config
        from critic_engine.config.every_model import endpoint_places

        seed = [] if self.seed is None else [override("run.seed", self.seed)]
        models = model_overrides(reasoner=self.reasoner, critic=self.critic, reward_model=self.reward_model)
        document = load_document(self.config, [*models, *seed, *self.settings])
        config = parse_config(document, origin=" and ".join(self.config))
        config = self.apply(config, [*models, *self.settings], endpoints=list(endpoint_places(document)))
        check_pair(config, reasoner=self.reasoner, critic=self.critic)
        return config


def limited(config: "EngineConfig", *, max_tokens: int | None, max_seconds: float | None) -> "EngineConfig":
    """Return the config with these limits of the run; None keeps the config's own limit."""
    limits = {"max_tokens": max_tokens, "max_wall_s": max_seconds}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    return config.model_copy(update={"run": config.run.model_copy(update=given)})


model_options = combined(
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="SECTION.FIELD=VALUE",
        help="Change one field of the config; may be repeated.",
    ),
    click.option(
        "--reasoner",
        metavar="MODEL",
        help="A local folder, a hub id, 'pocket' or 'pocket:prose' for a shipped model, or openai:NAME for one behind "
        "an endpoint.",
    ),
    click.option("--critic", metavar="MODEL", help="The critic, named likewise; may be the same model."),
    click.option("--reward-model", metavar="MODEL", help="The reward model of methods such as beam."),
    click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Seed of every random choice."),
)
"""Adds ``--set``, the models and ``--seed``."""


def engine_options(default_config: str) -> Callable[[_Command], _Command]:
    """Return a decorator that adds ``--config``, ``--set``, the models and ``--seed``."""
    return combined(
        click.option(
            "--config",
            default=[default_config],
            show_default=True,
            multiple=True,
            metavar="PATH|PRESET",
            help="The method: a YAML file or a preset. Repeat it to add a hosting preset, such as one_gpu.",
        ),
        model_options,
    )


def override(field: str, value: str | int) -> str:
    """Return ``field=value``, quoted so that YAML reads back exactly ``value``."""
    return f"{field}={json.dumps(value, ensure_ascii=False)}"


def model_overrides(*, reasoner: str | None, critic: str | None, reward_model: str | None = None) -> list[str]:
    """Return the overrides that name the models."""
    named = {"reasoner": reasoner, "critic": critic, "reward_model": reward_model}
    for role, name in named.items():
        if name is not None and not name.strip():
            raise click.UsageError(f"--{role.replace('_', '-')} is empty; name a model, or leave it out.")
    return [override(f"{role}.model", name) for role, name in named.items() if name is not None]


def check_pair(config: "EngineConfig", *, reasoner: str | None, critic: str | None) -> None:
    """Refuse a named model that would be paired with a default pocket model.

    The pocket models know the hundred words of the pocket world, and cannot read the other model's text.
    """
    from critic_engine.config.models import is_shipped_name

    _check_reward_model(config)
    _check_other_reasoners(config, reasoner)
    if (reasoner is None) == (critic is None) or not config.needs_critic:
        return
    named, unnamed = ("critic", "reasoner") if reasoner is None else ("reasoner", "critic")
    other = config.critic if reasoner is not None else config.reasoner
    if not _is_pocket(other) or (reasoner or critic) == "pocket":
        return
    world = "the terse dialect" if is_shipped_name(reasoner or critic or "") else "the pocket world"
    way_out = " or set evaluator.kind=none to search without a critic;" if unnamed == "critic" else ""
    raise click.UsageError(
        f"--{named} would be paired with the pocket {unnamed}, which knows only {world}: name --{unnamed} too,"
        f"{way_out} both may be the same model."
    )


def _check_reward_model(config: "EngineConfig") -> None:
    is_pocket_alone = _is_pocket(config.reward_model) and not _is_pocket(config.reasoner)
    if config.needs_reward_model and is_pocket_alone and config.reasoner.backend != "scripted":
        raise click.UsageError(
            f"the reasoner {config.reasoner.model} would be paired with the pocket reward model, which knows only the "
            "pocket world: name a reward model with --reward-model MODEL."
        )


def _check_other_reasoners(config: "EngineConfig", reasoner: str | None) -> None:
    if config.reasoner.backend == "scripted" or config.reasoner.model == "pocket":
        return
    for other in config.other_reasoners:
        is_unasked = reasoner is not None or "model" not in other.model_fields_set
        if _is_pocket(other) and is_unasked:
            raise click.UsageError(
                f"the reasoner {config.reasoner.model} would be paired with the pocket model in other_reasoners, which "
                "knows only the pocket world: name another model there."
            )


def _is_pocket(model: "ModelConfig") -> bool:
    return model.backend != "scripted" and model.model == "pocket"
