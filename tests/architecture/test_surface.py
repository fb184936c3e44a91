"""The held rules on what is public, what is shipped, and how large things grow."""

import ast
import importlib
from pathlib import Path

import pytest

import critic_engine
import search
from critic_engine.config.engine import dump_config, load_config, parse_config
from critic_engine.config.files import hosting_presets, presets

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for folder in ("search", "critic_engine") for path in (ROOT / folder).rglob("*.py"))
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))


def test_every_public_name_of_the_engine_can_be_imported() -> None:
    for name in critic_engine.__all__:
        assert getattr(critic_engine, name).__name__ == name


def test_public_names_are_exactly_those_exported() -> None:
    assert dir(critic_engine) == sorted(critic_engine.__all__) == list(critic_engine.__all__)
    modules = {path.stem for path in (ROOT / "search").glob("*.py")}
    public = {name for name in vars(search) if not name.startswith("_")} - modules
    assert public == set(search.__all__)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_loads_and_its_first_comment_is_its_command(path: Path) -> None:
    config = load_config(path)
    assert parse_config(importlib.import_module("yaml").safe_load(dump_config(config))) == config
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# critic-engine ")
    assert f"--config {path.stem}" in first


def test_presets_are_the_configs_folder() -> None:
    assert sorted([*presets().values(), *hosting_presets().values()]) == CONFIGS
    assert not set(presets()) & set(hosting_presets())


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 350, "one noun has become two: split the module"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = len((ast.get_docstring(node) or "").splitlines())
            length = (node.end_lineno or 0) - node.lineno + 1 - docstring
            assert length <= 60, f"{node.name} at line {node.lineno} has {length} lines; past 40 it is two functions"
