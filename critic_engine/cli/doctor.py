"""``critic-engine doctor``: what this machine can run."""

import dataclasses
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass

import click

from critic_engine.cli.command import EngineCommand
from critic_engine.cli.options import model_overrides, placement_options, placement_overrides
from critic_engine.cli.text import one_line
from critic_engine.outputs import json_line

_PACKAGES = ("critic-engine", "torch", "transformers", "pyarrow", "vllm", "ray")
_PROBE_TIMEOUT_S = 120.0
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
  critic-engine doctor --reasoner Qwen/Qwen2.5-VL-7B-Instruct --critic pocket --device cuda
"""


@dataclass(frozen=True, slots=True)
class _Trial:
    """How the models did with one pocket problem."""

    reasoner: str
    critic: str
    load_s: float | None = None
    solve_s: float | None = None
    question: str | None = None
    answer: str | None = None
    reference_answer: str | None = None
    num_tokens: int | None = None
    error: str | None = None

    def __str__(self) -> str:
        """Return one line for a person."""
        if self.load_s is None:
            return f"{self.reasoner} and {self.critic} do not load: {self.error}"
        loaded = f"{self.reasoner} and {self.critic} loaded in {self.load_s:.1f} s"
        if self.solve_s is None:
            return f"{loaded} and do not answer: {self.error}"
        answered = f"answered {self.answer!r}" if self.error is None else f"found no answer ({self.error})"
        return f"{loaded} and {answered} in {self.solve_s:.1f} s; right is {self.reference_answer!r}: {self.question}"


@click.command("doctor", cls=EngineCommand, epilog=_EPILOG, short_help="Say what this machine can run.")
@click.option("--reasoner", default="pocket", metavar="MODEL", help="A model to try; the shipped one by default.")
@click.option("--critic", default="pocket", metavar="MODEL", help="The same for the critic.")
@placement_options
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object on stdout.")
def command(reasoner: str, critic: str, device: str | None, dtype: str | None, is_json: bool) -> int:
    """Say what is installed, what this machine has, and whether the models load and answer one pocket problem."""
    facts = {
        "python": platform.python_version(),
        **{package: _version(package) for package in _PACKAGES},
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": _memory_gib(),
        "devices": _devices(),
    }
    if not is_json:
        for name, value in facts.items():
            shown = ", ".join(value) if isinstance(value, list) else value
            click.echo(f"{name:<14} {'not installed' if shown is None else one_line(str(shown))}")
    overrides = [*model_overrides(reasoner=reasoner, critic=critic), *placement_overrides(device=device, dtype=dtype)]
    trial = _try_models(overrides, _Trial(reasoner, critic))
    if is_json:
        click.echo(json_line({**facts, "models": dataclasses.asdict(trial)}))
    else:
        click.echo(f"{'models':<14} {one_line(str(trial))}")
    return 0 if trial.error is None else 2 if trial.load_s is None else 1


def _try_models(overrides: list[str], trial: _Trial) -> _Trial:
    from critic_engine.data.images import load_image
    from critic_engine.engine import Engine
    from critic_engine.errors import CriticEngineError
    from critic_engine.pocket.problems import make_problems
    from critic_engine.types import Problem

    (pocket,) = make_problems("dev", 1, 0)
    problem = Problem(question=pocket.question, images=(load_image(pocket.png()),), name=pocket.problem_id)
    try:
        start_s = time.perf_counter()
        with Engine("mcts", overrides=overrides) as engine:
            engine.load()
            trial = dataclasses.replace(trial, load_s=round(time.perf_counter() - start_s, 2))
            answer = engine.solve(problem)
    except CriticEngineError as error:
        return dataclasses.replace(trial, error=str(error))
    return dataclasses.replace(
        trial,
        solve_s=round(answer.wall_s, 2),
        question=pocket.question,
        answer=answer.answer,
        reference_answer=pocket.answer,
        num_tokens=answer.num_tokens,
        error=answer.error,
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
    """Return what torch can compute on, or in one entry why it can not."""
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
