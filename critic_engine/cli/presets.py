"""``critic-engine presets``: the methods and the hosting that ship with the package."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from critic_engine.cli.command import EngineCommand

if TYPE_CHECKING:
    from critic_engine.config.engine import EngineConfig
    from critic_engine.config.search import EvaluatorConfig

_EPILOG = """\b
Examples:
  critic-engine presets
  critic-engine presets --json
  critic-engine config lats
  critic-engine solve problems.jsonl --config lats --run runs/lats
"""


@dataclass(frozen=True, slots=True)
class _Method:
    """A preset of a method."""

    name: str
    about: str
    """One sentence."""
    command: str
    """The command it is for: ``solve``, or ``collect`` if it needs reference answers."""
    strategy: str
    unit: str
    """A step or a solution."""
    evaluator: str
    decision: str
    budget: str
    """The limit of one search."""


@dataclass(frozen=True, slots=True)
class _Hosting:
    """A preset that says where models run."""

    name: str
    about: str
    models: str
    """Each role's model."""


@click.command("presets", cls=EngineCommand, epilog=_EPILOG, short_help="List methods and hosting presets.")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object on stdout.")
def command(is_json: bool) -> None:
    """List the presets that --config takes: methods, and hosting presets to combine with one."""
    from critic_engine.config.engine import load_config
    from critic_engine.config.files import hosting_presets, presets
    from critic_engine.run.report import json_line

    methods = [_method(name, path, load_config(name)) for name, path in presets().items()]
    hosting = [_hosting(name, path, load_config(["guided", name])) for name, path in hosting_presets().items()]
    if is_json:
        listed: dict[str, list[_Method] | list[_Hosting]] = {"methods": methods, "hosting": hosting}
        click.echo(json_line({kind: [dataclasses.asdict(each) for each in rows] for kind, rows in listed.items()}))
        return
    for method in methods:
        click.echo(f"{method.name}: {method.about}")
        parts = (method.strategy, method.unit, f"evaluator {method.evaluator}", f"decision {method.decision}")
        click.echo(f"    {'; '.join((*parts, method.budget))}")
    click.echo("\nHosting, to add to a method, as in --config guided --config one_gpu:\n")
    for preset in hosting:
        click.echo(f"{preset.name}: {preset.about}\n    {preset.models}")


def _method(name: str, path: Path, config: EngineConfig) -> _Method:
    return _Method(
        name=name,
        about=_about(path),
        command="collect" if config.needs_reference else "solve",
        strategy=config.strategy.kind,
        unit=config.expander.kind,
        evaluator=_evaluator(config.evaluator),
        decision=config.decision.rule,
        budget=_budget(config),
    )


def _hosting(name: str, path: Path, config: EngineConfig) -> _Hosting:
    models = {"reasoner": config.reasoner, "critic": config.critic}
    return _Hosting(name, _about(path), "; ".join(f"{role} {model.model}" for role, model in models.items()))


def _about(path: Path) -> str:
    """Return the first sentence of a preset's comment, which begins below the command on its first line."""
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    comment = "\n".join(line.removeprefix("#").strip() for line in lines if line.startswith("#"))
    return " ".join(re.split(r"\.\s|\.$|:\n", comment, maxsplit=1)[0].split())


def _evaluator(evaluator: EvaluatorConfig) -> str:
    match evaluator.kind:
        case "blend":
            return " + ".join(f"{part.weight:g} {_evaluator(part.evaluator)}" for part in evaluator.parts)
        case "rollout":
            return f"rollout ({evaluator.num_rollouts}, {evaluator.against})"
        case kind:
            return kind


def _budget(config: EngineConfig) -> str:
    """Return the limits of one search, or the size of a strategy that ends by itself."""
    limits = {
        name: value for name, value in config.budget.model_dump(exclude_defaults=True).items() if value is not None
    }
    if not limits:
        sizes = ("num_samples", "max_rounds", "width", "num_subtrees", "num_particles")
        limits = {name: value for name in sizes if (value := getattr(config.strategy.options, name, None)) is not None}
    # A limit may be a text, such as "16 solutions".
    written = {name: value if isinstance(value, str) else f"{value:,}" for name, value in limits.items()}
    return ", ".join(f"{name} {value}" for name, value in written.items())
