"""Running the command line inside the test's own process."""

import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from critic_engine.cli.main import main


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Stdout as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


Cli = Callable[..., Result]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Cli]:
    """Run commands in an empty folder; what the program sets for its whole process is put back."""
    logger = logging.getLogger("critic_engine")
    handlers, level, environment = list(logger.handlers), logger.level, dict(os.environ)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Result:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Result(code, *capsys.readouterr())

    yield run
    logger.handlers[:] = handlers
    logger.setLevel(level)
    os.environ.clear()
    os.environ.update(environment)


@pytest.fixture
def scripted() -> list[str]:
    """The options of a search that needs no model and finds an answer to anything."""
    return ["--config", "best_of_n", "--set", "reasoner.backend=scripted", "--set", "critic.backend=scripted"]


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    """Three good problems."""
    path = tmp_path / "problems.jsonl"
    rows = [{"id": name, "question": f"how many {name}?", "answer": "0"} for name in ("ants", "bees", "cats")]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
