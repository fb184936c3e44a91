"""The audit of two graders: which answers it lists, and what each line holds."""

import json
from pathlib import Path

from critic_engine.evaluation.graders.audit import audit, write_audit
from critic_engine.evaluation.graders.named_graders import make_grader
from critic_engine.types import Problem, ProblemRow

ROW = ProblemRow(3, "q3", Problem("How many?"), ("14", "fourteen"))
CHOICES = ProblemRow(4, "q4", Problem("Which?", choices=("cat", "dog")), ("B",))


def test_right_against_wrong_is_listed_and_agreement_is_not() -> None:
    answers = [(ROW, "14.0", "x"), (ROW, "14", "x"), (ROW, "15", "x")]
    cases = list(audit(answers, make_grader("exact")))
    assert [(case.answer, case.kind) for case in cases] == [("14.0", "right_wrong")]
    assert [(name, grade.is_right) for name, grade in cases[0].grades] == [("exact", False), ("relation", True)]


def test_known_against_unsure_is_listed() -> None:
    cases = list(audit([(CHOICES, "dog", "dog")], make_grader("mathverse")))
    assert [case.kind for case in cases] == ["known_unsure"]


def test_the_same_answer_of_another_seed_is_listed_once() -> None:
    answers = [(ROW, "14.0", "x"), (ROW, "14.0", "x"), (ROW, "14.0", "another response")]
    assert len(list(audit(answers, make_grader("exact")))) == 2


def test_another_second_grader_is_compared_with() -> None:
    cases = list(audit([(ROW, "14.0", "")], make_grader("relation"), make_grader("exact")))
    assert [name for name, _ in cases[0].grades] == ["relation", "exact"]


def test_file_has_a_line_a_case_and_the_counts_are_returned(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    answers = [(ROW, "14.0", "line\nbreak \ud800\u202e\x9b\u2028"), (ROW, "about 14", "x")]
    assert write_audit(path, audit(answers, make_grader("exact"))) == {"right_wrong": 1, "known_unsure": 1}
    text = path.read_text(encoding="utf-8")
    assert all(char.isprintable() or char == "\n" for char in text)
    first, _ = map(json.loads, text.splitlines())
    grades = first.pop("grades")
    assert first == {
        "id": "q3",
        "row": 3,
        "kind": "right_wrong",
        "question": "How many?",
        "choices": [],
        "references": ["14", "fourteen"],
        "answer": "14.0",
        "response": "line\nbreak \ud800\u202e\x9b\u2028",
    }
    assert grades[0] == {"grader": "exact", "is_right": False, "reason": "", "read_as": "14.0"}
