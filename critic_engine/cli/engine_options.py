"""The options that choose a method, its models and where they run."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from critic_engine.cli.placement_options import Placement

if TYPE_CHECKING:
    from critic_engine.config.engine import EngineConfig
    from critic_engine.config.models import ModelConfig

_Command = TypeVar("_Command", bound=Callable[..., Any])
_ENDPOINT = "openai:"

_ENGINE_OPTIONS = (
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
        help="A local folder, a hub id, 'pocket' for the shipped model, or openai:NAME for one behind an endpoint.",
    ),
    click.option("--critic", metavar="MODEL", help="The same for the critic; may be the same model."),
    click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Every random choice derives from it."),
)
_FILE_OPTIONS = (
    click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N rows of the file."),
    click.option(
        "--image-root",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        metavar="DIR",
        help="What image paths in the file are relative to and may not leave; the file's folder.",
    ),
)

_LIMIT_OPTIONS = (
    click.option(
        "--max-tokens",
        type=click.IntRange(min=1),
        metavar="N",
        help="Stop the run at so many generated tokens, those of all its sessions.",
    ),
    click.option(
        "--max-seconds",
        type=click.FloatRange(min=0, min_open=True),
        metavar="S",
        help="Stop this session after so long.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRequest(Placement):
    """The method, its models and where they run, as the options of a command name them."""

    config: tuple[str, ...]
    settings: tuple[str, ...] = ()
    reasoner: str | None = None
    critic: str | None = None
    seed: int | None = None

    def load_config(self) -> "EngineConfig":
        """Return the config that all of it comes to; what ``--set`` says comes last."""
        from critic_engine.config.engine import load_config

        seed = [] if self.seed is None else [override("run.seed", self.seed)]
        models = model_overrides(reasoner=self.reasoner, critic=self.critic)
        config = load_config(self.config, [*models, *seed, *self.settings])
        config = self.apply(config, [*models, *self.settings])
        check_pair(config, reasoner=self.reasoner, critic=self.critic)
        return config


def file_options(command: _Command) -> _Command:
    """Add ``--limit`` and ``--image-root``."""
    return _add(command, _FILE_OPTIONS)


def limit_options(command: _Command) -> _Command:
    """Add ``--max-tokens`` and ``--max-seconds``."""
    return _add(command, _LIMIT_OPTIONS)


def limited(config: "EngineConfig", *, max_tokens: int | None, max_seconds: float | None) -> "EngineConfig":
    """Return the config with these limits of the run; None leaves its own."""
    limits = {"max_tokens": max_tokens, "max_wall_s": max_seconds}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    return config.model_copy(update={"run": config.run.model_copy(update=given)})


def engine_options(default_config: str) -> Callable[[_Command], _Command]:
    """Return what adds ``--config``, ``--set``, the options that name models and ``--seed`` to a command."""
    config = click.option(
        "--config",
        default=[default_config],
        show_default=True,
        multiple=True,
        metavar="PATH|PRESET",
        help="The method: a YAML file or a preset; repeat it for one that says where models run, such as one_gpu.",
    )
    return lambda command: _add(command, (config, *_ENGINE_OPTIONS))


def override(field: str, value: str | int) -> str:
    """Return ``field=value`` such that it is read back as this very value, whatever it looks like."""
    return f"{field}={json.dumps(value, ensure_ascii=False)}"


def model_overrides(*, reasoner: str | None, critic: str | None) -> list[str]:
    """Return the overrides that name the models; ``openai:NAME`` is an endpoint's."""
    overrides = []
    for role, name in (("reasoner", reasoner), ("critic", critic)):
        if name is None:
            continue
        is_endpoint = name.startswith(_ENDPOINT)
        if not name.removeprefix(_ENDPOINT).strip():
            raise click.UsageError(f"--{role} {name!r} names no model; write openai:NAME or the model's name.")
        overrides.append(override(f"{role}.model", name.removeprefix(_ENDPOINT)))
        overrides += [override(f"{role}.backend", "openai_api")] if is_endpoint else []
    return overrides


def check_pair(config: "EngineConfig", *, reasoner: str | None, critic: str | None) -> None:
    """Refuse a critic that is never asked, and a model paired unasked with the pocket model of another role.

    The pocket models know the pocket world's hundred words, and would read nothing that the other model writes.
    """
    if critic is not None and not config.asks_critic:
        raise click.UsageError(
            "--critic is given, and this config asks no critic: name reward_model.model by --set instead, or leave "
            "--critic out."
        )
    _check_reward_model(config)
    _check_other_reasoners(config, reasoner)
    if (reasoner is None) == (critic is None) or not config.needs_critic:
        return
    named, unnamed = ("critic", "reasoner") if reasoner is None else ("reasoner", "critic")
    other = config.critic if reasoner is not None else config.reasoner
    if not _is_pocket(other) or (reasoner or critic) == "pocket":
        return
    way_out = " or set evaluator.kind=none to go without one;" if unnamed == "critic" else ""
    raise click.UsageError(
        f"--{named} goes with the pocket {unnamed} here, which knows the pocket world only: name --{unnamed} too,"
        f"{way_out} both may be the same model."
    )


def _check_reward_model(config: "EngineConfig") -> None:
    is_pocket_alone = _is_pocket(config.reward_model) and not _is_pocket(config.reasoner)
    if config.needs_reward_model and is_pocket_alone and config.reasoner.backend != "scripted":
        raise click.UsageError(
            f"the reasoner {config.reasoner.model} goes with the pocket reward model here, which knows the pocket "
            "world only: name one too by --set reward_model.model=MODEL."
        )


def _check_other_reasoners(config: "EngineConfig", reasoner: str | None) -> None:
    if config.reasoner.backend == "scripted" or config.reasoner.model == "pocket":
        return
    for other in config.other_reasoners:
        is_unasked = reasoner is not None or "model" not in other.model_fields_set
        if _is_pocket(other) and is_unasked:
            raise click.UsageError(
                f"the reasoner {config.reasoner.model} goes with the pocket model in other_reasoners here, which knows "
                "the pocket world only: name another there."
            )


def _is_pocket(model: "ModelConfig") -> bool:
    return model.backend != "scripted" and model.model == "pocket"


def _add(command: _Command, options: Sequence[Callable[[_Command], _Command]]) -> _Command:
    for option in reversed(options):
        command = option(command)
    return command
