"""Rows as benchmarks publish them, read by their schema and graded by their rule."""

import json
from pathlib import Path
from typing import Any

import pytest

from critic_engine.data.problems import read_problems
from critic_engine.evaluation.graders.named_graders import grader_for, make_grader
from critic_engine.types import ProblemRow

MATHVISTA = {"pid": "1", "question": "How wide?", "image": None, "unit": None, "query": "Hint: …\nQuestion: How wide?"}
ROWS: list[tuple[str, dict[str, Any], str, str, bool | None]] = [
    (
        "mathvista",
        {**MATHVISTA, "choices": None, "answer": "1.2", "question_type": "free_form", "answer_type": "float",
         "precision": 1.0},
        "1.24", "answer: 1.24", True,
    ),
    (
        "mathvista",
        {**MATHVISTA, "choices": ["2", "3"], "answer": "3", "question_type": "multi_choice", "answer_type": "text",
         "precision": None},
        "B", "answer: B", True,
    ),
    (
        "scienceqa",
        {"question": "Which barks?", "choices": ["cat", "dog"], "answer": 1, "hint": "", "lecture": "", "image": None},
        "B", "The answer is B.", True,
    ),
    (
        "m3cot",
        {"id": "x", "question": "Which barks?", "choices": ["cat", "dog"], "context": "", "answer": "B",
         "rationale": "", "image": None},
        "A", "[Answer] (A)", False,
    ),
    (
        "mmmu",
        {"id": "x", "question": "Which barks?", "options": "['cat', 'dog']", "answer": "B", "image_1": None,
         "question_type": "multiple-choice"},
        "B", "answer: B", True,
    ),
    (
        "mmmu",
        {"id": "x", "question": "How many?", "options": "[]", "answer": "['14', 'fourteen']", "image_1": None,
         "question_type": "open"},
        "fourteen", "so it is fourteen", True,
    ),
    ("gsm8k", {"question": "How many?", "answer": "7 + 7 = 14\n#### 1,400"}, "1400", "#### 1,400", True),
    ("gsm8k", {"question": "How many?", "answer": "7 + 7 = 14\n#### 1,400"}, "many", "many", None),
    (
        "mmstar",
        {"index": 1, "question": "Which barks?\nOptions: A: cat, B: dog, C: cow, D: hen", "answer": "B",
         "category": "x", "l2_category": "y"},
        "B", "answer: B", True,
    ),
    ("math", {"problem": "x?", "solution": "…", "answer": "\\frac{1}{2}", "level": 1, "subject": "a"}, "0.5", "", True),
]  # fmt: skip


@pytest.mark.parametrize(("name", "raw", "answer", "response", "expected"), ROWS)
def test_row_of_a_benchmark_is_graded_by_its_rule(
    name: str, raw: dict[str, Any], answer: str, response: str, expected: bool | None, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(raw) + "\n", encoding="utf-8")
    problems = read_problems(path)
    rows = list(problems)
    assert grader_for(problems.schema.name) == name
    assert isinstance(rows[0], ProblemRow), rows[0]
    assert make_grader(name).grade(rows[0], answer, response).is_right is expected
