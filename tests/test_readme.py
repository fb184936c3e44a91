"""Every block of README runs, in order and in one folder, as a reader would run it.

A block below a comment ``<!-- not run: REASON -->`` is left out, for one of the reasons in ``REASONS``. Three things
are not as they are for a reader: ``pip`` installs nothing, but a package of an extra can be imported only once a block
has installed that extra; the endpoint on port 8000 is the tests' own; and models are found on this machine alone.
"""

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

from critic_engine.cli.main import cli
from critic_engine.config.files import hosting_presets, presets
from tests.backends.endpoint_faults import Abilities, FaultyEndpoint

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
REASONS = {"it runs the tests", "needs a GPU and a hub", "needs a cluster", "needs other programs"}
EXTRAS: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "optional-dependencies"
]
_BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]*) -->\n)?```(?P<language>bash|python)\n(?P<text>.*?)^```$", re.M | re.S
)


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    line: int
    reason: str | None
    """Why it is not run; None when it is."""


BLOCKS = [
    Block(found["language"], found["text"], README.count("\n", 0, found.start()) + 1, found["reason"])
    for found in _BLOCK.finditer(README)
]


def test_every_block_has_a_language_that_is_run_or_a_known_reason_not_to() -> None:
    assert README.count("\n```bash\n") + README.count("\n```python\n") == len(BLOCKS)
    assert {block.reason for block in BLOCKS} - {None} <= REASONS
    assert sum(block.reason is None for block in BLOCKS) >= 8


def commands() -> Iterator[tuple[int, list[str]]]:
    """Yield the line of its block and the arguments of each ``critic-engine`` command, of all blocks."""
    for block in BLOCKS:
        if block.language == "bash":
            text = re.sub(r"<<'END'\n.*?^END$", "", block.text, flags=re.M | re.S).replace("\\\n", " ")
            for part in re.split(r"&&|\n", text):
                words = shlex.split(part, comments=True)
                if words and words[0].endswith("critic-engine"):
                    yield block.line, words[1:]


@pytest.mark.parametrize(("line", "arguments"), list(commands()), ids=lambda each: str(each))
def test_every_command_of_readme_has_the_options_it_is_given(
    line: int, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("problems.jsonl").touch()
    command: click.Command = cli
    while isinstance(command, click.Group):
        name, *arguments = arguments
        found = command.get_command(click.Context(command), name)
        assert found is not None, f"line {line}: {name}"
        command = found
    given = command.make_context(command.name, list(arguments)).params.get("config") or ()
    assert {each for each in given if not each.endswith(".yaml")} <= {*presets(), *hosting_presets()}


class Qwen(FaultyEndpoint):
    """Answers every question with 3, and is content with every solution."""

    def __init__(self) -> None:
        super().__init__(Abilities(ignores_unknown=True))
        self.models = ["qwen"]
        self.max_context_tokens = 100_000
        self._one_at_a_time = threading.Lock()

    def complete(self, body: Mapping[str, Any]) -> dict[str, Any]:
        is_critic = "Verdict:" in json.dumps(body["messages"])
        with self._one_at_a_time:
            self.solution = "Verdict: right\nScore: 0.9" if is_critic else "I count 3 of them.\nanswer: 3"
            return super().complete(body)


STUBS = {
    "python": 'exec "$PYTHON" "$@"',
    "python3": 'if [ "$1 $2" = "-m venv" ]; then cp -r "$STUBS" "$3"; else exec "$PYTHON" "$@"; fi',
    "critic-engine": 'exec "$PYTHON" -m critic_engine "$@"',
    "pip": 'exec "$PYTHON" "$STUBS/install.py" "$@"',
    "activate": 'export PATH="$PWD/.venv/bin:$PATH"',
}
INSTALL = """
import pathlib, re, sys
words = sys.argv[1:]
assert words[0] == "install", words
if "--constraint" in words:
    assert pathlib.Path(words[words.index("--constraint") + 1]).is_file()
(extras,) = re.findall(r"\\[(.*)\\]", words[-1]) or [""]
unknown = set(filter(None, extras.split(","))) - set(KNOWN)
assert not unknown, f"no such extra: {unknown}"
with open(INSTALLED, "a") as file:
    file.write(extras.replace(",", "\\n") + "\\n")
"""
# Python imports it as it starts.
HIDE = """
import pathlib, sys
from importlib.machinery import PathFinder

installed = set(pathlib.Path(INSTALLED).read_text().split())
hidden = {package for package, extra in EXTRA_OF.items() if extra not in installed}


class Shown:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return None if name.partition(".")[0] in hidden else PathFinder.find_spec(name, path, target)

    @staticmethod
    def find_distributions(context):
        return iter(()) if context.name in hidden else PathFinder.find_distributions(context)

    invalidate_caches = PathFinder.invalidate_caches


sys.meta_path[sys.meta_path.index(PathFinder)] = Shown
"""


@pytest.fixture
def reader(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a reader's shell; ``tmp_path`` is his folder."""
    if importlib.util.find_spec("openai") is None or importlib.util.find_spec("pyarrow") is None:
        pytest.skip("needs the packages that README installs: openai and pyarrow")
    stubs, folder = tmp_path / "stubs", tmp_path / "reader"
    for path in (stubs / "bin", folder):
        path.mkdir(parents=True)
    for name in ("constraints.txt", "pyproject.toml"):
        (folder / name).symlink_to(ROOT / name)
    for name, script in STUBS.items():
        (stubs / "bin" / name).write_text(f"#!/bin/bash\n{script}\n")
        (stubs / "bin" / name).chmod(0o755)
    (stubs / "installed").touch()
    extra_of = {
        re.split(r"[\[<>=]", package)[0]: extra
        for extra, packages in EXTRAS.items()
        if extra not in ("test", "dev")
        for package in packages
        # A package with an upper bound alone is one that is there anyway.
        if ">=" in package and not package.startswith("critic-engine[")
    }
    values = {"INSTALLED": str(stubs / "installed"), "KNOWN": list(EXTRAS), "EXTRA_OF": extra_of}
    heading = "".join(f"{name} = {value!r}\n" for name, value in values.items())
    (stubs / "install.py").write_text(heading + INSTALL)
    (stubs / "sitecustomize.py").write_text(heading + HIDE)
    (stubs / "first").mkdir()
    (stubs / "first" / "python3").symlink_to(stubs / "bin" / "python3")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "VIRTUAL_ENV"))},
        "PATH": f"{stubs / 'first'}:/usr/bin:/bin",
        "PYTHONPATH": f"{stubs}:{ROOT}",
        "PYTHON": sys.executable,
        "STUBS": str(stubs),
        "HF_HUB_OFFLINE": "1",
    }


@contextmanager
def _server() -> Iterator[str]:
    with Qwen().serving() as server:
        yield server.url


def _script(url: str) -> str:
    """Return the blocks as one shell script, in which what one block sets holds for the next."""
    parts = ["set -eo pipefail"]
    for block in BLOCKS:
        if block.reason is not None:
            continue
        parts.append(f"echo '=== README line {block.line}'")
        text = block.text.replace("http://localhost:8000/v1", url)
        if block.language == "bash":
            parts.append(text)
        else:
            name = f"readme_line_{block.line}.py"
            parts.append(f"cat > {name} <<'END OF BLOCK'\n{text}END OF BLOCK\npython {name}")
    return "\n".join(parts)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_block_runs_in_order(reader: dict[str, str], tmp_path: Path) -> None:
    with _server() as url:
        result = subprocess.run(
            ["bash", "-c", _script(url)],
            cwd=tmp_path / "reader",
            env=reader,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    print(result.stdout)
    assert result.returncode == 0, result.stdout[-4000:]
    assert "Traceback" not in result.stdout
