"""Which small faults in the code does no test notice?

    python -m bench.mutants --num 30 --seed 0 --report bench/results/mutants.md

Run it from the root of the repository. It copies the tree into a temporary folder, and there puts one fault at a time
into a module of `search/`, `critic_engine/parsing/` or `critic_engine/data/`: another comparison, operator, constant or
return value. Then it runs the tests that mirror the module, its own file first and the rest of its folder after that,
up to the first failure. A fault that fails a test is killed, as is one that runs into the time limit; one that fails
none has survived. The last line of stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import ast
import copy
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from bench.provenance import commit, print_report, write_report

Fate: TypeAlias = Literal["killed", "timeout", "survived"]

PACKAGES = ("search", "critic_engine/parsing", "critic_engine/data")
_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
}
_FUNCTIONS = {"min": "max", "max": "min", "floor": "ceil", "ceil": "floor", "any": "all", "all": "any"}
_NOT_SWAPPED = (ast.JoinedStr, ast.List, ast.Tuple, ast.ListComp, ast.Dict)
"""Operands that ``-`` cannot take, so that every such fault would be noticed at once."""
_MIN_LIMIT_S = 30.0
_LIMIT_FACTOR = 5.0
_PYTEST_KILLED = (1, 2, 3)
"""Exit codes of pytest: a test failed, a module could not be imported, or pytest itself broke."""
_PYTEST_PASSED = (0, 5)
"""Exit codes of pytest: all tests passed, or every test was deselected."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """One fault in a module."""

    line: int
    """Line of the module, counted from 1."""
    before: str
    """The code in its normal form."""
    after: str
    """The code with the fault."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault in one module of the tree."""

    path: str
    """The module, relative to the root of the tree."""
    number: int
    """Index among the mutations of the module."""
    mutation: Mutation

    def __str__(self) -> str:
        """Return the place and the fault."""
        return f"{self.path}:{self.mutation.line}: {self.mutation.before} -> {self.mutation.after}"


def mutations(text: str) -> list[Mutation]:
    """Return every mutation of a module, in a fixed order."""
    return list(_mutate(ast.parse(text)))


def mutated(text: str, number: int) -> str:
    """Return the module with mutation ``number``, an index into ``mutations``; comments are lost."""
    tree = ast.parse(text)
    next(itertools.islice(_mutate(tree), number, None))
    return ast.unparse(tree)


def _mutate(tree: ast.Module) -> Iterator[Mutation]:
    """Yield each mutation while ``tree`` holds it."""
    for parent, field, index in list(_slots(tree)):
        node = getattr(parent, field) if index is None else getattr(parent, field)[index]
        for other in _alternatives(node):
            _put(parent, field, index, other)
            yield Mutation(node.lineno, ast.unparse(node), ast.unparse(other))
        _put(parent, field, index, node)


def _put(parent: ast.AST, field: str, index: int | None, node: ast.AST) -> None:
    if index is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[index] = node


def _slots(parent: ast.AST) -> Iterator[tuple[ast.AST, str, int | None]]:
    """Yield the place of each node below ``parent``, type annotations and conditions on type checking left out."""
    if isinstance(parent, ast.If) and ast.unparse(parent.test) == "TYPE_CHECKING":
        return
    for field, content in ast.iter_fields(parent):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for index, node in enumerate(content) if isinstance(content, list) else ((None, content),):
            if isinstance(node, ast.AST):
                yield parent, field, index
                yield from _slots(node)


def _alternatives(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes with a fault that may stand for ``node``."""
    match node:
        case ast.Compare(ops=[operator]) if type(operator) in _COMPARISONS:
            yield _changed(node, ops=[_COMPARISONS[type(operator)]()])
        case ast.BinOp(op=operator) if type(operator) in _OPERATORS and not _is_joining(node):
            yield _changed(node, op=_OPERATORS[type(operator)]())
        case ast.BoolOp(op=operator):
            yield _changed(node, op=ast.Or() if isinstance(operator, ast.And) else ast.And())
        case ast.UnaryOp(op=ast.Not()):
            yield node.operand
        case ast.Call(func=ast.Name(id=name)) if name in _FUNCTIONS:
            yield _changed(node, func=ast.Name(_FUNCTIONS[name], ast.Load()))
        case ast.Call(func=ast.Attribute(value=module, attr=name)) if name in _FUNCTIONS:
            yield _changed(node, func=ast.Attribute(module, _FUNCTIONS[name], ast.Load()))
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1)
            yield ast.Constant(value - 1)
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield _changed(node, value=ast.Constant(None))
        case ast.Expr(value=ast.Call()):
            yield ast.Pass()


def _is_joining(node: ast.BinOp) -> bool:
    sides = (node.left, node.right)
    return any(isinstance(s, _NOT_SWAPPED) or (isinstance(s, ast.Constant) and isinstance(s.value, str)) for s in sides)


def _changed(node: ast.AST, **fields: Any) -> ast.AST:
    other = copy.copy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return other


def package_mutants(root: Path, package: str) -> list[Mutant]:
    """Return every mutant of the modules below ``package``, a folder of the tree at ``root``."""
    paths = sorted((root / package).rglob("*.py"))
    names = [path.relative_to(root).as_posix() for path in paths if path.name != "__init__.py"]
    return [
        Mutant(name, number, mutation)
        for name in names
        for number, mutation in enumerate(mutations((root / name).read_text(encoding="utf-8")))
    ]


def mirrored_tests(root: Path, path: str) -> tuple[str, ...]:
    """Return the tests of the module ``path``, in the order in which they run: its file, if there is one; its folder.

    The folder is the nearest one that exists in ``tests/`` above the place where the file would stand.
    """
    module = Path(path.removeprefix("critic_engine/"))
    file = Path("tests", module.parent, f"test_{module.name}")
    folder = file.parent
    while not (root / folder).is_dir():
        folder = folder.parent
    return tuple(each.as_posix() for each in (file, folder) if (root / each).exists())


class Workshop:
    """A copy of the tree in which faults are tried."""

    def __init__(self, root: Path, folder: Path, *, limit_s: float | None = None) -> None:
        """Copy the tree at ``root`` into ``folder``, which must not exist.

        Args:
            root: A tree with `tests/`; it is only read.
            folder: Where the copy goes.
            limit_s: Seconds for the tests of one mutant; None is 5 times what they take without a fault, at least 30.
        """
        shutil.copytree(root, folder, ignore=shutil.ignore_patterns(".*", "__pycache__", "runs", "*.egg-info"))
        self._folder = folder
        self._limit_s = limit_s
        self._limits_s: dict[str, float] = {}

    def try_out(self, mutant: Mutant) -> Fate:
        """Run the tests of ``mutant`` and return its fate.

        Raises:
            RuntimeError: its tests fail without the fault, or cannot run.
        """
        tests = mirrored_tests(self._folder, mutant.path)
        limit_s = self._limit_of(tests[-1])
        module = self._folder / mutant.path
        text = module.read_text(encoding="utf-8")
        try:
            self._write(module, mutated(text, mutant.number))
            code = self._pytest(tests, limit_s)
        finally:
            self._write(module, text)
        if code is None:
            return "timeout"
        if code not in (*_PYTEST_KILLED, *_PYTEST_PASSED):
            raise RuntimeError(f"pytest exits with {code} on {', '.join(tests)}; run it there and see why")
        return "killed" if code in _PYTEST_KILLED else "survived"

    def _limit_of(self, tests: str) -> float:
        """Return the time limit of a folder of tests, which run once without a fault."""
        if tests not in self._limits_s:
            start_s = time.monotonic()
            code = self._pytest((tests,), None)
            if code not in _PYTEST_PASSED:
                raise RuntimeError(f"{tests} fails without a fault (pytest exits with {code}); mend it first")
            took_s = time.monotonic() - start_s
            self._limits_s[tests] = self._limit_s or max(_MIN_LIMIT_S, _LIMIT_FACTOR * took_s)
        return self._limits_s[tests]

    def _write(self, module: Path, text: str) -> None:
        """Write a module, and drop its bytecode: two versions of one second and size are alike to Python."""
        module.write_text(text, encoding="utf-8")
        for compiled in module.parent.glob(f"__pycache__/{module.stem}.*.pyc"):
            compiled.unlink()

    def _pytest(self, tests: Sequence[str], limit_s: float | None) -> int | None:
        """Return pytest's exit code; None when it was stopped at the time limit, with all that it had started."""
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(
            command,
            cwd=self._folder,
            env={**os.environ, "PYTHONPATH": str(self._folder)},
            stdin=quiet,
            stdout=quiet,
            stderr=quiet,
            start_new_session=True,
        )
        try:
            return process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def try_all(workshop: Workshop, mutants: Sequence[Mutant], *, max_s: float | None = None) -> dict[Mutant, Fate]:
    """Return the fate of each mutant, with a line of progress on stderr; no mutant is begun after ``max_s`` seconds."""
    fates: dict[Mutant, Fate] = {}
    start_s = time.monotonic()
    for number, mutant in enumerate(mutants, 1):
        if max_s is not None and time.monotonic() - start_s >= max_s:
            print(f"stopped after {max_s} s", file=sys.stderr)
            break
        fates[mutant] = workshop.try_out(mutant)
        print(f"[{number}/{len(mutants)}] {fates[mutant]}: {mutant}", file=sys.stderr, flush=True)
    return fates


def table(fates: Mapping[Mutant, Fate], packages: Sequence[str], num_possible: Mapping[str, int]) -> list[str]:
    """Return Markdown: the counts of each package, then the survivors."""
    lines = ["| package | possible | tried | killed | timeout | survived |", "|---|---|---|---|---|---|"]
    for package in packages:
        counts = Counter(fate for mutant, fate in fates.items() if mutant.path.startswith(f"{package}/"))
        fates_of_it = (counts["killed"], counts["timeout"], counts["survived"])
        cells = (package, num_possible[package], counts.total(), *fates_of_it)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines += ["", "| survivor | code | fault |", "|---|---|---|"]
    for mutant, fate in fates.items():
        if fate == "survived":
            codes = (f"`{code}`".replace("|", "\\|") for code in (mutant.mutation.before, mutant.mutation.after))
            lines.append(f"| {mutant.path}:{mutant.mutation.line} | {' | '.join(codes)} |")
    return lines


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", nargs="+", default=list(PACKAGES), metavar="FOLDER", help="where to put faults")
    parser.add_argument("--num", type=int, default=30, help="mutants drawn in each package; all if there are fewer")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw")
    parser.add_argument(
        "--limit-s", type=float, help="time limit of a mutant; by default 5 times its tests, at least 30"
    )
    parser.add_argument("--max-s", type=float, help="begin no mutant after so many seconds; the rest stay untried")
    parser.add_argument("--report", type=Path, help="write the tables to this Markdown file")
    return parser.parse_args(arguments)


def main() -> None:
    """Try the mutants, and print tables and the JSON line."""
    args = parse_args()
    commit()  # asked first, and remembered: the tree may change while the tests run
    root, rng = Path.cwd(), random.Random(args.seed)
    possible = {package: package_mutants(root, package) for package in args.packages}
    drawn = [mutant for package in possible.values() for mutant in rng.sample(package, min(args.num, len(package)))]
    rng.shuffle(drawn)  # a run that is stopped early has tried all packages
    with tempfile.TemporaryDirectory() as folder:
        fates = try_all(Workshop(root, Path(folder, "tree"), limit_s=args.limit_s), drawn, max_s=args.max_s)
    num_possible = {package: len(mutants) for package, mutants in possible.items()}
    lines = table(fates, args.packages, num_possible)
    print("\n".join(lines))
    if args.report is not None:
        write_report(args.report, "Faults that no test notices", lines)
    results = {
        "possible": num_possible,
        "tried": dict(Counter(fates.values())),
        "survivors": [str(mutant) for mutant, fate in fates.items() if fate == "survived"],
    }
    print_report("mutants", config=vars(args), results=results)


if __name__ == "__main__":
    main()
