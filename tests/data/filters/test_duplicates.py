"""Near-duplicates: the first of similar rows stays, and rows that differ in text or image are no duplicates."""

import io

import PIL.Image
import pytest

from critic_engine.data.filters.duplicates import NearDuplicates
from critic_engine.errors import ImageError
from critic_engine.images.loading import load_image
from critic_engine.pocket.problems import PocketProblem, make_problems
from critic_engine.types import Image

TALE = " ".join(f"the {kind} fox number {place} met a {other} hound" for place, (kind, other) in enumerate(
    [("red", "sad"), ("sly", "old"), ("shy", "fat"), ("big", "wet"), ("odd", "dry"), ("mad", "new"), ("coy", "raw")]
))  # fmt: skip


def shown(problem: PocketProblem) -> Image:
    return load_image(problem.png())


def as_jpeg(image: Image) -> Image:
    file = io.BytesIO()
    PIL.Image.open(io.BytesIO(image.data)).save(file, "JPEG", quality=85)
    return load_image(file.getvalue())


def test_row_names_the_earliest_row_it_repeats() -> None:
    rows = NearDuplicates()
    assert rows.repeated("a", "How many?") is None
    assert rows.repeated("b", "How few?") is None
    assert rows.repeated("c", "  how MANY ?!") == "a"
    assert rows.repeated("d", "how few") == "b"


def test_long_text_with_one_other_word_is_a_duplicate_and_with_another_number_is_none() -> None:
    rows = NearDuplicates()
    assert rows.repeated("a", TALE) is None
    assert rows.repeated("b", TALE.removesuffix("hound") + "dog") == "a"
    assert rows.repeated("c", TALE.replace("number 3", "number 8")) is None
    assert rows.repeated("d", TALE.upper().replace(" ", "  ")) == "a"


def test_row_must_repeat_text_and_images_both() -> None:
    first, second = map(shown, make_problems("train", 2, seed=7))
    rows = NearDuplicates()
    assert rows.repeated("a", "how many ?", [first]) is None
    assert rows.repeated("b", "how many ?", [second]) is None
    assert rows.repeated("c", "which one ?", [first]) is None
    assert rows.repeated("d", "how many ?") is None
    assert rows.repeated("e", "how many ?", [first, second]) is None
    assert rows.repeated("f", "how many ?", [second, first]) is None
    assert rows.repeated("g", "how many ?", [as_jpeg(first)]) == "a"
    assert rows.repeated("h", "how many ?", [as_jpeg(first), as_jpeg(second)]) == "e"


def test_row_that_repeats_another_is_not_remembered_itself() -> None:
    words = [f"w{letter}{other}" for letter in "abcdefgh" for other in "abcdefghijklmnop"]
    drifted = [" ".join(["x"] * num + words[num:]) for num in (0, 5, 10)]
    rows = NearDuplicates()
    assert rows.repeated("a", drifted[0]) is None
    assert rows.repeated("b", drifted[1]) == "a"
    assert rows.repeated("c", drifted[2]) is None


def test_pocket_problems_that_share_their_wording_are_no_duplicates() -> None:
    rows = NearDuplicates()
    problems = make_problems("train", 300, seed=7)
    assert [rows.repeated(problem.problem_id, problem.question, [shown(problem)]) for problem in problems] == [
        None
    ] * 300
    for problem in problems[:50]:
        assert rows.repeated("again", problem.question, [as_jpeg(shown(problem))]) == problem.problem_id


def test_image_that_cannot_be_decoded_is_an_error_and_nothing_is_remembered() -> None:
    rows = NearDuplicates()
    broken = Image(b"no image", "image/png", 10, 10)
    for _ in range(2):
        with pytest.raises(ImageError):
            rows.repeated("a", "how many ?", [broken])


def test_hostile_texts_are_rows_like_others() -> None:
    rows = NearDuplicates()
    texts = ["\x1b[31m" * 20_000, "\N{RIGHT-TO-LEFT OVERRIDE}" * 100_000, "a b " * 25_000, "ab" * 50_000]
    assert [rows.repeated(str(place), text) for place, text in enumerate(texts)] == [None] * 4
    assert [rows.repeated("again", text) for text in texts] == ["0", "1", "2", "3"]
