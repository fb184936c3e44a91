"""Problems that are too large are refused by a stated rule before any model sees them."""

import io
import json
from pathlib import Path

import PIL.Image
import pytest

from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.config.search import RunConfig
from critic_engine.data.problems import read_problems
from critic_engine.engine import Engine
from critic_engine.errors import ProblemError
from critic_engine.run.problem_size import check_size
from critic_engine.types import Image, Problem

LIMITS = RunConfig(max_images=2, max_image_pixels=100, max_characters=20)


def picture(width: int, height: int) -> Image:
    return Image(data=b"never decoded here", media_type="image/png", width=width, height=height)


@pytest.mark.parametrize(
    ("problem", "rule"),
    [
        (Problem("how many ?", images=(picture(1, 1),) * 3), "run.max_images"),
        (Problem("how many ?", images=(picture(10, 11),)), "run.max_image_pixels"),
        (Problem("how many of them ?", choices=("one", "two")), "run.max_characters"),
    ],
)
def test_problem_above_a_limit_is_refused_by_the_name_of_the_rule(problem: Problem, rule: str) -> None:
    with pytest.raises(ProblemError, match=rule):
        check_size(problem, LIMITS)


def test_problem_at_the_limits_is_taken() -> None:
    check_size(Problem("how many are red ?", choices=("1", "2"), images=(picture(10, 10),) * 2), LIMITS)


def test_engine_refuses_one_large_problem_and_answers_the_others(tmp_path: Path) -> None:
    generator = ScriptedGenerator(["red : 1\nanswer : 1"], is_recording=True)
    large = Problem("x" * 1_000_000, name="large")
    with Engine("greedy", overrides=["reasoner.prompts=plain"], reasoner=generator) as engine:
        with pytest.raises(ProblemError, match=r"run\.max_characters"):
            engine.solve(large)
        answers = list(engine.solve_many([large, Problem("how many ?", name="small")], run=tmp_path / "run"))
    assert [(answer.id, answer.status, answer.stop_reason) for answer in answers] == [
        ("large", "failed", "unreadable_row"),
        ("small", "answered", "num_samples"),
    ]
    assert all(len(message.text) < 10_000 for request in generator.requests for message in request.messages)


def test_rows_of_200_images_or_one_of_100_megapixels_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    file = io.BytesIO()
    PIL.Image.new("1", (10_000, 10_000)).save(file, "PNG")
    (tmp_path / "huge.png").write_bytes(file.getvalue())
    rows = [{"question": "q ?", "images": ["absent.png"] * 200}, {"question": "q ?", "images": ["huge.png"]}]
    path = tmp_path / "problems.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    many, huge = read_problems(path)
    assert "200 images, more than 16" in getattr(many, "reason", "")
    assert "10000 x 10000 pixels, more than 50,000,000" in getattr(huge, "reason", "")
