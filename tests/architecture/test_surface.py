"""The held rules on what is public, what is shipped, and how large things grow."""

import ast
import importlib
from collections import Counter
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


# Base names that stand in several packages on purpose: each is that package's part of one kind, or another subject.
REPEATED_NAMES = {
    "collect": "the section of the configuration, and the command",
    "engine": "the façade, the configuration of the engine, and the engine of vLLM",
    "errors": "the errors of each top-level package",
    "export": "the function that exports, and the command",
    "factory": "makes the objects of its package from the configuration",
    "generator": "the generator of its backend",
    "problems": "problems are read from files, and made in the pocket world",
    "prompts": "prompts in the form vLLM takes, and the wording that the pocket models know",
    "samples": "reads what its backend sampled",
    "sampling": "the distribution that a token is drawn from, and accuracy over the samples drawn of a problem",
    "scorer": "the scorer of its backend",
}


def test_no_base_name_stands_twice_without_a_reason() -> None:
    count = Counter(path.stem for path in SOURCES if not path.stem.startswith("__"))
    assert {name for name, number in count.items() if number > 1} == set(REPEATED_NAMES)


def test_no_class_name_stands_twice() -> None:
    classes = [
        node.name.lstrip("_")
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    assert {name for name, number in Counter(classes).items() if number > 1} == set()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_begin_with_a_noun_or_a_verb(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = (ast.get_docstring(node) or "").partition(" ")[0]
            assert first not in {"What", "Who", "Whom", "Whose"}, getattr(node, "name", path.stem)
