from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from critic_engine.pocket.problems import make_problems, problem_of, write_problems


def test_the_same_arguments_give_the_same_problems() -> None:
    first, again = (make_problems("test", num=20, seed=7) for _ in range(2))
    assert [problem.row() for problem in first] == [problem.row() for problem in again]
    assert make_problems("test", num=5, seed=7) == first[:5]
    assert make_problems("test", num=20, seed=8) != first


def test_problems_come_from_their_split() -> None:
    for split in ("train", "dev", "test"):
        assert {problem.board.split for problem in make_problems(split, num=20, seed=0)} == {split}


def test_a_row_rebuilds_its_problem() -> None:
    for problem in make_problems("dev", num=30, seed=3):
        row = problem.row()
        rebuilt = problem_of(json.loads(json.dumps(row)))
        assert rebuilt == problem
        assert rebuilt.check(rebuilt.plan).is_right
        assert row["answer"] == rebuilt.check(rebuilt.plan).answer


def test_written_problems_hold_a_png_each(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    write_problems(path, split="test", num=3, seed=7)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["id"] for row in rows] == ["test-7-0000", "test-7-0001", "test-7-0002"]
    head, data = rows[0]["images"][0].split(",")
    assert head == "data:image/png;base64"
    assert np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))).shape == (48, 48, 3)


def test_answers_are_varied() -> None:
    answers = [problem.answer for problem in make_problems("train", num=300, seed=0)]
    assert max(answers.count(answer) for answer in set(answers)) < 90
