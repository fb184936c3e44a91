"""The package is pure, and its public names are the ones it says."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import search

FILES = sorted(Path(search.__file__).parent.glob("*.py"))
FORBIDDEN = {"asyncio", "io", "logging", "os", "pathlib", "random", "subprocess", "threading", "time", "datetime"}


def imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names.add(node.module or "")
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_module_imports_numpy_and_what_is_pure_in_the_standard_library(file: Path) -> None:
    allowed = (set(sys.stdlib_module_names) - FORBIDDEN) | {"numpy", "search"}
    assert imported(file) <= allowed


def test_the_public_names_are_those_imported_in_the_package() -> None:
    tree = ast.parse(Path(search.__file__).read_text())
    names = [alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted(set(names) - {"annotations"}) == sorted(search.__all__)
