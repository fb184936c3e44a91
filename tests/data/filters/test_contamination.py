"""The leakage guard: problems of an evaluation set are refused however they are disguised, and no others are."""

import io
import json
import logging
import random
from collections.abc import Mapping
from pathlib import Path

import PIL.Image
import pytest

from critic_engine.data.filters.contamination import Guard
from critic_engine.errors import ImageError, ProblemError
from critic_engine.images.loading import load_image
from critic_engine.pocket.problems import PocketProblem, make_problems
from critic_engine.types import Image, Problem

LONG = "Which of the following statements about the ocean is true ?"


def write(path: Path, *rows: Mapping[str, object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def problem_of(pocket: PocketProblem) -> Problem:
    return Problem(pocket.question, (load_image(pocket.png()),))


def changed(image: Image, rng: random.Random) -> Image:
    """The image as it is, as a JPEG, or at twice its size."""
    kind = rng.randrange(3)
    if kind == 0:
        return image
    file, shown = io.BytesIO(), PIL.Image.open(io.BytesIO(image.data))
    if kind == 1:
        shown.save(file, "JPEG", quality=85)
    else:
        filter_ = rng.choice((PIL.Image.Resampling.NEAREST, PIL.Image.Resampling.BICUBIC))
        shown.resize((96, 96), filter_).save(file, "PNG")
    return load_image(file.getvalue())


def reworded(question: str, rng: random.Random) -> str:
    """The question in other case, punctuation or spacing."""
    return rng.choice(
        (question, question.upper(), question.replace(" ?", "!?").replace(" ", ", ", 1), f"\n {question} ")
    )


@pytest.fixture(scope="module")
def pocket_guard(tmp_path_factory: pytest.TempPathFactory) -> Guard:
    folder = tmp_path_factory.mktemp("sets")
    return Guard([write(folder / "pocket.jsonl", *(row.row() for row in make_problems("test", 300, seed=7)))])


def test_problems_of_another_split_are_not_refused(pocket_guard: Guard) -> None:
    assert [pocket_guard.objection(problem_of(row)) for row in make_problems("train", 300, seed=7)] == [None] * 300


def test_seeded_problems_are_caught_verbatim_and_disguised(pocket_guard: Guard) -> None:
    rng = random.Random(8)
    for row in make_problems("test", 100, seed=7):
        problem = problem_of(row)
        where = f"row '{row.problem_id}' of 'pocket.jsonl'"
        assert pocket_guard.objection(problem) == f"it is {where}"
        disguised = Problem(reworded(problem.question, rng), (changed(problem.images[0], rng),))
        assert str(pocket_guard.objection(disguised)).endswith(where)


def test_same_wording_over_another_board_is_another_problem(pocket_guard: Guard) -> None:
    asked, other = make_problems("test", 1, seed=7)[0], make_problems("train", 1, seed=7)[0]
    assert pocket_guard.objection(Problem(asked.question, (load_image(other.png()),))) is None
    assert pocket_guard.objection(Problem(asked.question)) is None


def test_every_set_is_named_by_its_file(tmp_path: Path) -> None:
    first = write(tmp_path / "first.jsonl", {"id": "a", "question": "how many ?"}, {"question": "how few ?"})
    second = write(tmp_path / "second.jsonl", {"id": "a", "question": "which one ?"})
    guard = Guard([first, second])
    assert (len(guard), guard.num_unreadable) == (3, 0)
    assert guard.objection(Problem("How many?")) == "it repeats row 'a' of 'first.jsonl'"
    assert guard.objection(Problem("how few ?", name="anything")) == "it is row '2' of 'first.jsonl'"
    assert guard.objection(Problem("WHICH ONE")) == "it repeats row 'a' of 'second.jsonl'"


def test_short_question_must_have_the_very_same_words(tmp_path: Path) -> None:
    guard = Guard([write(tmp_path / "set.jsonl", {"question": "what is 3 + 4 ?"}, {"question": "who is it ?"})])
    assert guard.objection(Problem("What is 3+4?")) is not None
    for question in ("what is 3 - 4 ?", "what is 3 + 5 ?", "who is it now ?", "who is he ?"):
        assert guard.objection(Problem(question)) is None


def test_long_text_with_a_changed_word_is_caught_and_with_a_changed_number_is_not(tmp_path: Path) -> None:
    story = " ".join(f"farmer {name} sells {num} boxes of very fresh plums to the market" for num, name in enumerate(
        ("Ada", "Bo", "Cy", "Di", "Ed", "Flo", "Gus", "Hal"), start=3
    ))  # fmt: skip
    guard = Guard([write(tmp_path / "set.jsonl", {"question": story})])
    assert guard.objection(Problem(story.replace("Hal", "Ian"))) is not None
    assert guard.objection(Problem(story.replace("10 boxes", "11 boxes"))) is None


def test_choices_tell_questions_without_images_apart_whatever_their_order(tmp_path: Path) -> None:
    row = {"question": LONG, "choices": ["it is salty", "it is dry", "it is flat"]}
    guard = Guard([write(tmp_path / "set.jsonl", row)])
    assert guard.objection(Problem(LONG, choices=("It is flat.", "it is salty", "it is dry"))) is not None
    assert guard.objection(Problem(LONG)) is not None
    assert guard.objection(Problem(LONG, choices=("it is cold", "it is blue"))) is None


def test_objection_does_not_depend_on_what_was_asked_before(pocket_guard: Guard) -> None:
    problems = [problem_of(row) for row in (*make_problems("test", 20, seed=7), *make_problems("train", 20, seed=7))]
    forwards = [pocket_guard.objection(problem) for problem in problems]
    assert [pocket_guard.objection(problem) for problem in reversed(problems)] == forwards[::-1]


def test_unreadable_rows_are_counted_and_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(
        tmp_path / "set.jsonl", {"question": "how many ?"}, {"question": ""}, {"question": "q", "images": ["x"]}
    )
    with caplog.at_level(logging.WARNING):
        guard = Guard([path])
    assert (len(guard), guard.num_unreadable) == (1, 2)
    assert "2 of 3 rows cannot be read and are not guarded against; row 2: question is empty" in caplog.text


def test_set_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match="does not exist"):
        Guard([tmp_path / "absent.jsonl"])
    with pytest.raises(ProblemError, match="nothing can be guarded; row 1: question is empty"):
        Guard([write(tmp_path / "set.jsonl", {"question": ""})])


def test_names_of_a_hostile_set_are_escaped_and_short(tmp_path: Path) -> None:
    row_id = "\x1b[31m\N{RIGHT-TO-LEFT OVERRIDE}\n" + "x" * 10_000
    guard = Guard([write(tmp_path / "set.jsonl", {"id": row_id, "question": "how many ?"})])
    objection = str(guard.objection(Problem("how many")))
    assert objection.isprintable()
    assert len(objection) < 300


def test_image_that_cannot_be_decoded_is_an_error(pocket_guard: Guard) -> None:
    with pytest.raises(ImageError):
        pocket_guard.objection(Problem("how many ?", (Image(b"no image", "image/png", 10, 10),)))
