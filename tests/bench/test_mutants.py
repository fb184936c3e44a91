from __future__ import annotations

from pathlib import Path

import pytest

from bench.mutants import Mutant, Workshop, mirrored_tests, mutated, mutations, package_mutants, table, try_all

MODULE = "def is_full(number):\n    return number >= 3\n"
STRONG = "from package.full import is_full\n\n\ndef test_edge():\n    assert is_full(3) is not is_full(2)\n"
WEAK = "from package.full import is_full\n\n\ndef test_one_side():\n    assert is_full(9)\n"


def tree(folder: Path, tests: str) -> Path:
    """A tree of one module and its tests."""
    for name, text in {"package/full.py": MODULE, "tests/package/test_full.py": tests}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("code", "after"),
    [
        ("a < b", ["a <= b"]),
        ("a is None", ["a is not None"]),
        ("a in b", ["a not in b"]),
        ("a + b", ["a - b"]),
        ("a + 'b'", []),
        ("a and b", ["a or b"]),
        ("not a", ["a"]),
        ("min(a, b)", ["max(a, b)"]),
        ("math.floor(a)", ["math.ceil(a)"]),
        ("a == 4", ["a != 4", "5", "3"]),
        ("True", ["False"]),
        ("f(a)", []),
    ],
)
def test_each_kind_of_code_has_its_faults(code: str, after: list[str]) -> None:
    assert [mutation.after for mutation in mutations(f"x = {code}")] == after


def test_returns_and_calls_for_their_effect_are_mutated_too() -> None:
    text = "def f(a):\n    a.clear()\n    return a\n"
    assert [(mutation.line, mutation.after) for mutation in mutations(text)] == [(2, "pass"), (3, "return None")]


def test_annotations_and_type_checking_are_left_alone() -> None:
    assert mutations("if TYPE_CHECKING:\n    a = 1\n\n\ndef f(a: Literal[1]) -> Literal[2]:\n    pass\n") == []


def test_a_mutated_module_holds_one_fault_alone() -> None:
    found = mutations(MODULE)
    versions = [mutated(MODULE, number) for number in range(len(found))]
    assert len(set(versions)) == len(found) == 4
    assert all(mutation.after in version for mutation, version in zip(found, versions, strict=True))


def test_the_file_of_a_module_runs_before_its_folder(tmp_path: Path) -> None:
    root = tree(tmp_path, STRONG)
    assert mirrored_tests(root, "package/full.py") == ("tests/package/test_full.py", "tests/package")
    assert mirrored_tests(root, "critic_engine/package/inner/full.py") == ("tests/package",)


def test_faults_are_killed_by_tests_that_look_at_both_sides_of_an_edge(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", STRONG)
    workshop = Workshop(root, tmp_path / "copy")
    mutants = {mutant.mutation.after: mutant for mutant in package_mutants(root, "package")}
    assert [workshop.try_out(mutants[after]) for after in ("number > 3", "2")] == ["killed", "killed"]
    assert (root / "package/full.py").read_text() == (tmp_path / "copy/package/full.py").read_text() == MODULE


def test_a_fault_that_no_test_looks_at_survives(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", WEAK)
    (mutant,) = (each for each in package_mutants(root, "package") if each.mutation.after == "number > 3")
    assert Workshop(root, tmp_path / "copy").try_out(mutant) == "survived"
    lines = table({mutant: "survived"}, ["package"], {"package": 4})
    assert "| package | 4 | 1 | 0 | 0 | 1 |" in lines
    assert "| package/full.py:2 | `number >= 3` | `number > 3` |" in lines


def test_a_fault_that_runs_on_is_stopped_at_the_time_limit(tmp_path: Path) -> None:
    text = "def down(number):\n    while number > 0:\n        number = number - 1\n    return number\n"
    root = tree(tmp_path / "root", "from package.full import down\n\n\ndef test_end():\n    assert down(3) == 0\n")
    (root / "package/full.py").write_text(text)
    (mutant,) = (each for each in package_mutants(root, "package") if each.mutation.after == "number + 1")
    assert Workshop(root, tmp_path / "copy", limit_s=5.0).try_out(mutant) == "timeout"


def test_no_mutant_is_begun_after_the_time_of_the_run(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", WEAK)
    assert try_all(Workshop(root, tmp_path / "copy"), package_mutants(root, "package"), max_s=0.0) == {}


def test_tests_that_fail_without_a_fault_are_refused(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", "def test_nothing():\n    assert False\n")
    mutant = Mutant("package/full.py", 0, mutations(MODULE)[0])
    with pytest.raises(RuntimeError, match="fails without a fault"):
        Workshop(root, tmp_path / "copy").try_out(mutant)
