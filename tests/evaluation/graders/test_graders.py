"""The graders by name, against their tables of cases in ``cases/``."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from critic_engine.data.schemas.recognition import SCHEMA_NAMES
from critic_engine.errors import ConfigError
from critic_engine.evaluation.graders.math_rule import MathRule
from critic_engine.evaluation.graders.named_graders import GRADER_NAMES, grader_for, make_grader
from critic_engine.evaluation.graders.relation import RelationRule
from critic_engine.evaluation.graders.rule import Rule
from critic_engine.parsing.answers.mathematics import FormulaProver
from critic_engine.types import Problem, ProblemRow

CASES = Path(__file__).with_name("cases")
OUTCOMES = {"right": True, "wrong": False, "unsure": None}


@dataclass(frozen=True)
class Case:
    """One answer to one problem, and the grade that it must have."""

    grader: str
    row: ProblemRow
    answer: str
    response: str
    expected: bool | None
    why: str


def read_case(grader: str, line: str) -> Case:
    raw: dict[str, Any] = json.loads(line)
    problem = Problem(raw.get("question", "Which?"), choices=tuple(raw.get("choices", ())))
    row = ProblemRow(1, "1", problem, tuple(raw["references"]), raw.get("extras", {}))
    answer = raw["answer"]
    return Case(grader, row, answer, raw.get("response", answer), OUTCOMES[raw["expected"]], raw["why"])


def all_cases() -> list[Case]:
    return [
        read_case(path.stem, line)
        for path in sorted(CASES.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: f"{case.grader}: {case.why[:60]}")
def test_answer_has_the_grade_of_its_case(case: Case) -> None:
    grade = make_grader(case.grader).grade(case.row, case.answer, case.response)
    assert grade.is_right is case.expected, (case.why, grade)
    assert (grade.reason == "") is (grade.is_right is not None), grade
    assert "\n" not in grade.reason


@pytest.mark.parametrize("name", GRADER_NAMES)
def test_every_grader_has_fifteen_cases_and_each_outcome(name: str) -> None:
    found = [case for case in all_cases() if case.grader == name]
    assert len(found) >= 15
    assert {True, False} <= {case.expected for case in found}
    assert make_grader(name).name == name


@pytest.mark.parametrize("name", GRADER_NAMES)
def test_row_without_references_is_unsure(name: str) -> None:
    row = ProblemRow(1, "1", Problem("Which?", choices=("yes", "no")))
    grade = make_grader(name).grade(row, "A", "The answer is A.")
    assert grade.is_right is None
    assert "no reference answer" in grade.reason


def test_unknown_grader_is_refused_with_the_known_and_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no grader 'relatoin'; those here are relation, .*relation\?"):
        make_grader("relatoin")


def test_schema_without_a_rule_of_its_own_is_graded_by_the_relation() -> None:
    assert grader_for(None) == "relation"
    assert grader_for("plain") == "relation"


def test_schema_of_a_benchmark_is_graded_by_its_rule() -> None:
    assert [grader_for(name) for name in ("mathvista", "math", "gsm8k")] == ["mathvista", "math", "gsm8k"]
    assert [grader_for(name) for name in ("ai2d", "vlmevalkit")] == ["choice", "relation"]
    assert {grader_for(name) for name in SCHEMA_NAMES} <= set(GRADER_NAMES)


@pytest.mark.parametrize("rule", [RelationRule, MathRule])
def test_comparison_that_takes_too_long_is_unsure_and_marked(rule: Callable[[FormulaProver], Rule]) -> None:
    prover = FormulaProver(limit_s=0.001)
    try:
        row = ProblemRow(1, "1", Problem("How much?"), ("9^{9^{9^{9}}} + x",))
        grade = rule(prover)(row, "x + 7 y", "")
        assert (grade.is_right, grade.is_timeout) == (None, True)
        assert "too long" in grade.reason
    finally:
        prover.close()


HOSTILE = [
    "1" * 100_000,
    "(A)" * 33_000,
    "is 1\n" * 20_000,
    'The answer is "' * 6_000,
    "\\boxed{" * 14_000,
    "1," * 50_000,
    "\x00\ud800\u202e" * 100,
]


@pytest.mark.parametrize("name", GRADER_NAMES)
@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:8]))
def test_hostile_text_is_graded_without_an_error(name: str, text: str) -> None:
    rows = (
        ProblemRow(1, "1", Problem("Which?", choices=("cat", "dog")), ("B",)),
        ProblemRow(1, "1", Problem("How many?"), ("14",), {"answer_type": "integer", "precision": float("nan")}),
        ProblemRow(1, "1", Problem("How many?"), ("14",), {"answer_type": ["x"], "precision": "1e400"}),
    )
    for row in rows:
        for answer, response in ((text, text), (text, ""), ("14", text)):
            grade = make_grader(name).grade(row, answer, response)
            assert len(grade.reason) < 300
            assert len(grade.read_as or "") < 400
            assert "\n" not in grade.reason
