"""The options that choose a method, its models and where they run."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from critic_engine.config import EngineConfig
    from critic_engine.hosting import ModelConfig

_Command = TypeVar("_Command", bound=Callable[..., Any])

_ENGINE_OPTIONS = (
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="SECTION.FIELD=VALUE",
        help="Change one field of the config; may be repeated.",
    ),
    click.option("--reasoner", metavar="MODEL", help="A local folder, a hub id, or 'pocket', the shipped model."),
    click.option("--critic", metavar="MODEL", help="The same for the critic; may be the same model."),
    click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Every random choice derives from it."),
)
_PLACEMENT_OPTIONS = (
    click.option("--device", metavar="NAME", help="Where the models run, such as cpu or cuda:1; the best there is."),
    click.option(
        "--dtype",
        type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
        help="The precision of the models' weights.",
    ),
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


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """The method, its models and where they run, as the options of a command name them."""

    config: str
    settings: tuple[str, ...]
    reasoner: str | None
    critic: str | None
    seed: int | None
    device: str | None
    dtype: str | None

    def load_config(self) -> "EngineConfig":
        """Return the config that all of it comes to; what ``--set`` says comes last."""
        from critic_engine.config import load_config

        seed = [] if self.seed is None else [override("run.seed", self.seed)]
        models = model_overrides(reasoner=self.reasoner, critic=self.critic)
        config = load_config(self.config, [*models, *seed, *self.settings])
        check_pair(config, reasoner=self.reasoner, critic=self.critic)
        return place_models(config, device=self.device, dtype=self.dtype, settings=self.settings)


def file_options(command: _Command) -> _Command:
    """Add ``--limit`` and ``--image-root``."""
    return _add(command, _FILE_OPTIONS)


def engine_options(default_config: str) -> Callable[[_Command], _Command]:
    """Return what adds ``--config``, ``--set``, ``--reasoner``, ``--critic`` and ``--seed`` to a command."""
    config = click.option(
        "--config",
        default=default_config,
        show_default=True,
        metavar="PATH|PRESET",
        help="The method: a YAML file or a preset.",
    )
    return lambda command: _add(command, (config, *_ENGINE_OPTIONS))


def placement_options(command: _Command) -> _Command:
    """Add ``--device`` and ``--dtype``."""
    return _add(command, _PLACEMENT_OPTIONS)


def override(field: str, value: str | int) -> str:
    """Return ``field=value`` such that it is read back as this very value, whatever it looks like."""
    return f"{field}={json.dumps(value, ensure_ascii=False)}"


def place_models(
    config: "EngineConfig", *, device: str | None, dtype: str | None, settings: Iterable[str] = ()
) -> "EngineConfig":
    """Return the config with all models there, except where ``settings``, those of ``--set``, say otherwise."""
    given = {name: value for name, value in (("device", device), ("dtype", dtype)) if value is not None}
    names = {setting.partition("=")[0] for setting in settings}

    def placed(role: str, model: "ModelConfig") -> "ModelConfig":
        own = {
            name for name in given if f"{role}.{name}" in names or (role in names and name in model.model_fields_set)
        }
        return model.model_copy(update={name: value for name, value in given.items() if name not in own})

    return config.model_copy(
        update={
            **{role: placed(role, getattr(config, role)) for role in ("reasoner", "critic", "reward_model")},
            "other_reasoners": tuple(placed("other_reasoners", each) for each in config.other_reasoners),
        }
    )


def model_overrides(*, reasoner: str | None, critic: str | None) -> list[str]:
    """Return the overrides that name the models."""
    given = {"reasoner.model": reasoner, "critic.model": critic}
    return [override(field, value) for field, value in given.items() if value is not None]


def check_pair(config: "EngineConfig", *, reasoner: str | None, critic: str | None) -> None:
    """Refuse a critic that is never asked, and a model paired unasked with the pocket model of another role.

    The pocket models know the pocket world's hundred words, and would read nothing that the other model writes.
    """
    if critic is not None and not config.needs_critic:
        raise click.UsageError(
            "--critic is given, and this config asks no critic: name reward_model.model by --set instead, or leave "
            "--critic out."
        )
    _check_reward_model(config, reasoner)
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


def _check_reward_model(config: "EngineConfig", reasoner: str | None) -> None:
    if config.needs_reward_model and _is_pocket(config.reward_model) and reasoner not in (None, "pocket"):
        raise click.UsageError(
            "--reasoner goes with the pocket reward model here, which knows the pocket world only: "
            "name one too by --set reward_model.model=MODEL."
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
