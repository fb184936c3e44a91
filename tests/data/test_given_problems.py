"""Problems as a program hands them in: texts, mappings and problems, with images of every kind that people have."""

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy
import PIL.Image
import pytest

from critic_engine.config.search import RunConfig
from critic_engine.data.given_problems import given_problem, given_row, given_rows
from critic_engine.errors import ProblemError
from critic_engine.images.loading import load_image
from critic_engine.types import FailedRow, Problem, ProblemRow

LIMITS = RunConfig(max_image_pixels=100, max_images=2)


def png(width: int = 3, height: int = 2) -> bytes:
    file = io.BytesIO()
    PIL.Image.new("RGB", (width, height), "red").save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    path.write_bytes(png())
    return path


def test_text_is_a_question() -> None:
    assert given_problem("how many ?", LIMITS) == Problem("how many ?", name="1")


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path,
        str,
        lambda path: path.read_bytes(),
        lambda path: bytearray(path.read_bytes()),
        lambda path: memoryview(path.read_bytes()),
        lambda path: "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode(),
        lambda path: {"bytes": path.read_bytes(), "path": None},
        lambda path: {"bytes": None, "path": str(path)},
        load_image,
        PIL.Image.open,
        lambda path: PIL.Image.open(path).convert("CMYK"),
        lambda path: PIL.Image.open(path).convert("P"),
        lambda path: numpy.asarray(PIL.Image.open(path)),
        lambda path: numpy.zeros((2, 3), numpy.uint8),
        lambda path: numpy.zeros((2, 3, 4), numpy.uint8),
    ],
)
@pytest.mark.parametrize("column", ["images", "image"])
def test_row_takes_images_of_every_kind(path: Path, make: Any, column: str) -> None:
    cell = make(path) if column == "image" else [make(path)]
    problem = given_problem({"question": "how many ?", column: cell}, LIMITS)
    assert [(image.width, image.height, image.media_type) for image in problem.images] == [(3, 2, "image/png")]


def test_row_keeps_its_id_choices_answer_and_other_columns() -> None:
    given = {"question": "how many ?", "choices": ["1", 2, True], "id": 7, "answer": "2", "hint": "count"}
    row = given_row(given, 3, LIMITS)
    problem = Problem("how many ?", choices=("1", "2", "true"), name="7")
    assert row == ProblemRow(3, "7", problem, ("2",), {"hint": "count"})


@pytest.mark.parametrize(
    ("columns", "choices", "references"),
    [
        ({"choices": '["red", "blue"]', "answer": "B"}, ("red", "blue"), ("B",)),
        ({"A": "red", "B": "blue", "answer": "blue"}, ("red", "blue"), ("blue",)),
        (
            {"choices": numpy.array(["red", "blue"], dtype=object), "answer_index": numpy.int64(1)},
            ("red", "blue"),
            ("B",),
        ),
        ({"choices": {"text": ["red", "blue"], "label": ["1", "2"]}}, ("red", "blue"), ()),
        ({"answer": ["1/2", "0.5"]}, (), ("1/2", "0.5")),
        ({"answer": "It is 7.\n#### 7"}, (), ("7",)),
        ({"answer": numpy.float64(0.5)}, (), ("0.5",)),
        ({"answer": float("nan")}, (), ()),
    ],
)
def test_row_is_read_as_that_of_a_file(columns: Mapping[str, Any], choices: Any, references: Any) -> None:
    row = given_row({"question": "which ?", **columns}, 1, LIMITS)
    assert isinstance(row, ProblemRow)
    assert (row.problem.choices, row.reference_answers, row.extras) == (choices, references, {})


@pytest.mark.parametrize("answer", [0, 2, "1", numpy.int64(1)])
def test_number_that_may_be_a_place_or_a_text_is_no_reference(answer: Any) -> None:
    given = {"question": "which ?", "choices": ["red", "blue"], "answer": answer}
    row = given_row(given, 1, LIMITS)
    assert isinstance(row, FailedRow)
    assert "counted from 0, as answer_index" in row.reason
    assert given_problem(given, LIMITS).choices == ("red", "blue")
    assert isinstance(given_row(given, 1, LIMITS, is_labelled=False), ProblemRow)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("  ", "question is empty"),
        ({"query": "how many ?"}, r"question is missing.*columns are query"),
        ({"question": 3}, "question is of type int"),
        ({"question": "q ?", "images": [3]}, "image is of type int; give a path, a data URL, bytes"),
        ({"question": "q ?", "images": ["absent.png"]}, "absent.png does not exist"),
        ({"question": "q ?", "images": ["https://example.org/a.png"]}, "nothing is fetched"),
        ({"question": "q ?", "images": [b"no picture"]}, "is not an image"),
        ({"question": "q ?", "images": [png(11, 10)]}, r"11 x 10 pixels.*run\.max_image_pixels"),
        ({"question": "q ?", "images": [PIL.Image.new("L", (11, 10))]}, r"run\.max_image_pixels"),
        ({"question": "q ?", "images": [numpy.zeros((11, 10), numpy.uint8)]}, r"run\.max_image_pixels"),
        ({"question": "q ?", "images": [numpy.zeros((2, 3), numpy.float32)]}, "array of float32.*give uint8"),
        ({"question": "q ?", "images": [png()] * 3}, "run.max_images"),
        ({"question": "q ?", "choices": [["A"]]}, "choices holds a list; write a list of texts"),
        ({"question": "q ?", "id": ["A"]}, "id is a list; write text or a whole number"),
        (Problem("q" * 200_000), "run.max_characters"),
    ],
)
def test_what_cannot_be_used_says_what_is_wanted(given: Mapping[str, object], reason: str) -> None:
    with pytest.raises(ProblemError, match=reason) as caught:
        given_problem(given, LIMITS)
    assert "\n" not in str(caught.value)
    row = given_row(given, 2, LIMITS)
    assert isinstance(row, FailedRow)
    assert (row.row, row.fault) == (2, "unreadable")


@pytest.mark.parametrize("given", [3, None, ["how many ?"]])
def test_other_types_are_refused_with_what_is_wanted(given: Any) -> None:
    with pytest.raises(TypeError, match="give a Problem, the text of a question, or a row"):
        given_problem(given, LIMITS)


@pytest.mark.parametrize("given", ["problems.jsonl", Path("problems.jsonl"), Problem("q ?"), {"question": "q ?"}, 3])
def test_one_problem_is_no_list_of_problems(given: Any) -> None:
    with pytest.raises(TypeError, match=r"give a list of problems, or read_problems\(path\)"):
        given_rows(given, LIMITS)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"images": ("a.png",)}, r"images is \('a.png',\); give a list of images, each made by load_image\(…\)"),
        ({"images": "a.png"}, "images is 'a.png'"),
        ({"choices": "ABC"}, "choices is 'ABC'; give a list of texts"),
        ({"choices": (1, 2)}, r"choices is \(1, 2\)"),
    ],
)
def test_problem_says_what_its_fields_must_hold(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(TypeError, match=reason):
        Problem("how many ?", **fields)


def test_lists_become_tuples_and_a_problem_stays_frozen(path: Path) -> None:
    problem = Problem("how many ?", images=[load_image(path)], choices=["1"])  # type: ignore[arg-type]
    assert (type(problem.images), problem.choices) == (tuple, ("1",))
    assert hash(problem)
    with pytest.raises(TypeError, match="reference_answer"):
        Problem("how many ?", reference_answer="1")  # type: ignore[call-arg]
