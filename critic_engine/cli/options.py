"""The options that choose a method, its models and where they run."""

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from critic_engine.config import EngineConfig

_Command = TypeVar("_Command", bound=Callable[..., Any])

_ENGINE_OPTIONS = (
    click.option(
        "--config",
        default="mcts",
        show_default=True,
        metavar="PATH|PRESET",
        help="The method: a YAML file or a preset.",
    ),
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


def engine_options(command: _Command) -> _Command:
    """Add ``--config``, ``--set``, ``--reasoner``, ``--critic`` and ``--seed``."""
    return _add(command, _ENGINE_OPTIONS)


def placement_options(command: _Command) -> _Command:
    """Add ``--device`` and ``--dtype``."""
    return _add(command, _PLACEMENT_OPTIONS)


def override(field: str, value: str | int) -> str:
    """Return ``field=value`` such that it is read back as this very value, whatever it looks like."""
    return f"{field}={json.dumps(value, ensure_ascii=False)}"


def placement_overrides(*, device: str | None, dtype: str | None) -> list[str]:
    """Return the overrides that put both models there."""
    given = {"device": device, "dtype": dtype}
    return [
        override(f"{role}.{field}", value)
        for field, value in given.items()
        if value is not None
        for role in ("reasoner", "critic")
    ]


def model_overrides(*, reasoner: str | None, critic: str | None) -> list[str]:
    """Return the overrides that name the models."""
    given = {"reasoner.model": reasoner, "critic.model": critic}
    return [override(field, value) for field, value in given.items() if value is not None]


def check_pair(config: "EngineConfig", *, reasoner: str | None, critic: str | None) -> None:
    """Refuse a model named for one role that would be paired unasked with the pocket model of the other.

    The pocket models know the pocket world's hundred words, and would read nothing that the other model writes.
    """
    if (reasoner is None) == (critic is None) or config.evaluator.kind == "none":
        return
    named, unnamed = ("critic", "reasoner") if reasoner is None else ("reasoner", "critic")
    other = config.critic if reasoner is not None else config.reasoner
    if other.backend == "scripted" or other.model != "pocket" or (reasoner or critic) == "pocket":
        return
    way_out = " or set evaluator.kind=none to go without one;" if unnamed == "critic" else ""
    raise click.UsageError(
        f"--{named} goes with the pocket {unnamed} here, which knows the pocket world only: name --{unnamed} too,"
        f"{way_out} both may be the same model."
    )


def _add(command: _Command, options: Sequence[Callable[[_Command], _Command]]) -> _Command:
    for option in reversed(options):
        command = option(command)
    return command
