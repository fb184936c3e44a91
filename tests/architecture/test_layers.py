"""The held rules on imports: down the layers only, heavy packages in their own modules and lazily, absolute."""

import ast
import functools
import graphlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# A module's layer is that of its longest prefix here (design: "Where things live").
LAYERS = {
    "search": 0,
    "critic_engine.errors": 1,
    "critic_engine.types": 1,
    "critic_engine.protocols": 1,
    "critic_engine.seeds": 1,
    "critic_engine.concurrency": 1,
    "critic_engine.statistics": 1,
    "critic_engine.config": 2,
    "critic_engine.prompts": 2,
    "critic_engine.parsing": 2,
    "critic_engine.images": 2,
    "critic_engine.models": 3,
    "critic_engine.replicas": 3,
    "critic_engine.episode": 3,
    "critic_engine.backends": 4,
    "critic_engine.roles": 5,
    "critic_engine.run": 6,
    "critic_engine.pocket": 6,
    "critic_engine.data": 7,
    "critic_engine.actors": 7,
    "critic_engine.engine": 9,
    "critic_engine.evaluation": 10,
    "critic_engine.cli": 11,
    "critic_engine.__main__": 12,
    "critic_engine": 12,
}
HEAVY = {
    "torch": ("critic_engine.backends", "critic_engine.pocket"),
    "transformers": ("critic_engine.backends", "critic_engine.pocket"),
    "tokenizers": ("critic_engine.pocket",),
    "safetensors": ("critic_engine.backends", "critic_engine.pocket"),
    "pyarrow": ("critic_engine.data",),
    "vllm": ("critic_engine.backends",),
    "ray": ("critic_engine.actors",),
    "trl": (),
    "openai": ("critic_engine.backends",),
    "math_verify": ("critic_engine.parsing",),
    "sympy": ("critic_engine.parsing",),
    "scipy": ("critic_engine.statistics",),
    "matplotlib": ("critic_engine.evaluation",),
    "inspect_ai": ("critic_engine.evaluation.harnesses",),
    "lm_eval": ("critic_engine.evaluation.harnesses",),
    "lmms_eval": ("critic_engine.evaluation.harnesses",),
}

TRAINING = "critic_engine.pocket.training"  # not in the wheel: see pyproject.toml


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for folder in ("search", "critic_engine") for path in (ROOT / folder).rglob("*.py")}


def layer(name: str) -> int:
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        prefix = ".".join(parts[:length])
        if prefix in LAYERS and (length == len(parts) or prefix != "critic_engine"):
            return LAYERS[prefix]
    raise AssertionError(f"{name} has no layer; give it one in LAYERS and in the design's map")


@functools.cache
def imports(path: Path) -> tuple[tuple[str, ast.stmt, bool], ...]:
    """Return each imported module, its statement, and whether it is imported when the module is."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[tuple[str, ast.stmt, bool]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        id(node)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef) or _is_type_checking(outer)
        for node in ast.walk(outer)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node, id(node) not in inside
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield (full if full in MODULES else base), node, id(node) not in inside


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_module_imports_its_own_layer_or_a_lower_one(name: str) -> None:
    for imported, node, _ in imports(MODULES[name]):
        if imported.split(".")[0] in ("search", "critic_engine"):
            assert layer(imported) <= layer(name), f"{name}:{node.lineno} imports {imported}, which is above it"


def room(name: str) -> str:
    """Return the package or module at the first level of its layer's map, such as ``critic_engine.data``."""
    return ".".join(name.split(".")[:2]) if name.startswith("critic_engine") else "search"


def arrows(level: Callable[[str], str]) -> dict[str, set[str]]:
    """Return what each room imports, lazily or not, other rooms only."""
    graph: dict[str, set[str]] = {level(name): set() for name in MODULES}
    for name, path in MODULES.items():
        for imported, _, _ in imports(path):
            if imported in MODULES and level(imported) != level(name):
                graph[level(name)].add(level(imported))
    return graph


@pytest.mark.parametrize("level", [room, lambda name: ".".join(name.split(".")[:3]), str])
def test_no_rooms_packages_or_modules_import_each_other_in_a_circle(level: Callable[[str], str]) -> None:
    graph = arrows(level)
    graph.pop("critic_engine", None)  # the public names: they import on first use, from everywhere
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_first_level_stays_small_enough_to_know_by_heart() -> None:
    assert len({room(name) for name in MODULES} - {"critic_engine"}) <= 27


@pytest.mark.parametrize("name", sorted(MODULES))
def test_heavy_packages_are_imported_in_their_own_modules_and_lazily(name: str) -> None:
    for imported, node, is_eager in imports(MODULES[name]):
        package = imported.split(".")[0]
        if package in HEAVY:
            assert name.startswith(HEAVY[package]), f"{name}:{node.lineno} may not import {package}"
            assert not is_eager, f"{name}:{node.lineno} imports {package} at import time"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_are_absolute(name: str) -> None:
    for imported, node, _ in imports(MODULES[name]):
        assert not getattr(node, "level", 0), f"{name}:{node.lineno} imports {imported} relatively"


def test_search_imports_the_standard_library_and_numpy_only() -> None:
    allowed = sys.stdlib_module_names | {"numpy", "search"}
    for name, path in MODULES.items():
        if name.split(".")[0] == "search":
            assert {imported.split(".")[0] for imported, _, _ in imports(path)} <= allowed, name


@pytest.mark.parametrize(
    "program",
    [
        "import critic_engine",
        "import critic_engine.engine",
        "from click.testing import CliRunner\n"
        "from critic_engine.cli.main import cli\n"
        "CliRunner().invoke(cli, ['--help'])",
    ],
)
def test_cold_import_pulls_in_no_heavy_package(program: str) -> None:
    check = f"{program}\nimport sys\nprint([name for name in {sorted(HEAVY)!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("name", sorted(name for name in MODULES if not name.startswith(TRAINING)))
def test_no_module_that_is_installed_imports_the_training_code_of_the_pocket_models(name: str) -> None:
    assert not {imported for imported, _, _ in imports(MODULES[name]) if imported.startswith(TRAINING)}
