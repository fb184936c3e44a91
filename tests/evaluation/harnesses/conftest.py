import importlib.metadata
import os
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from critic_engine.data.problems import read_problems
from critic_engine.pocket.problems import write_problems
from critic_engine.types import ProblemRow

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def entry_points(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a folder for PYTHONPATH with the package's entry points, if it is not installed."""
    folder = tmp_path_factory.mktemp("site")
    try:
        importlib.metadata.distribution("critic-engine")
    except importlib.metadata.PackageNotFoundError:
        groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
        info = folder / "critic_engine-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: critic-engine\nVersion: 0.1.0\n")
        sections = [
            "\n".join([f"[{group}]", *(f"{name} = {value}" for name, value in names.items())])
            for group, names in groups.items()
        ]
        (info / "entry_points.txt").write_text("\n".join(sections))
        sys.path.insert(0, str(folder))
    return str(folder)


@pytest.fixture
def environment(entry_points: str) -> Mapping[str, str]:
    """Return the environment of a program that finds the package, offline."""
    path = os.pathsep.join([str(ROOT), entry_points])
    return {**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}


@pytest.fixture(scope="session")
def problems_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of 100 pocket problems, whose boards are files beside it."""
    folder = tmp_path_factory.mktemp("problems")
    write_problems(folder / "problems.jsonl", split="test", num=100, seed=7, images=folder / "boards")
    return folder / "problems.jsonl"


@pytest.fixture(scope="session")
def rows(problems_file: Path) -> Sequence[ProblemRow]:
    """Return the rows of that file."""
    return [row for row in read_problems(problems_file) if isinstance(row, ProblemRow)]
