"""Faults of a critique's text: each is named, and ordinary critiques have none."""

import pytest

from critic_engine.data.filters.critique_text import repeated_share, text_fault
from tests.growth import assert_linear

LISTING = " ".join(
    f"Step {number}: The count of the {colour} shapes is correct." for number, colour in enumerate(
        ("red", "green", "blue", "yellow", "red", "green"), start=1
    )
)  # fmt: skip
PROSE = (
    "The first step reads the board correctly: there are three shapes in the top row. The second step then claims that "
    "the circle in the middle is green, but the image shows that it is blue, so the count that follows from it is off "
    "by one. The third step only adds up what the second step found, so its error is carried over rather than new. "
    "Look again at the middle of the board before you count, and check each cell against the picture."
)


@pytest.mark.parametrize(
    "words",
    [PROSE, LISTING, "step 2 is wrong", "No.", "wrong at step 1 : that is very, very wrong", "the red one, not the red",
     "3 + 4 + 5 = 12, but 3 + 4 + 6 = 13", "第二步是错的，因为圆是蓝色的。", "b2 holds a red circle, c2 a red square"],
)  # fmt: skip
def test_ordinary_critique_has_no_fault(words: str) -> None:
    assert text_fault(words, max_characters=4000) is None


@pytest.mark.parametrize("words", ["", " \n", "...", "\x00\x1b", "\N{RIGHT-TO-LEFT MARK}", "**", "?!" * 10_000])
def test_text_without_a_letter_or_digit_is_empty(words: str) -> None:
    assert text_fault(words, max_characters=4000) == "empty"


@pytest.mark.parametrize(
    "words", [f"{PROSE}\nAnswer: 3", "so the final answer is blue", r"hence \boxed{3}", "step 2 is wrong. answer : 4"]
)
def test_critique_that_states_an_answer_is_told(words: str) -> None:
    assert text_fault(words, max_characters=4000) == "answers"


@pytest.mark.parametrize(
    "words",
    ["no no no no", "the step is wrong. " * 5, f"{PROSE} " * 3, PROSE + " and so on it goes" * 30, "a" * 500, "猫" * 30,
     "1 + " * 50, f"{LISTING}\n" * 3],
)  # fmt: skip
def test_critique_that_says_one_thing_over_and_over_is_told(words: str) -> None:
    assert text_fault(words, max_characters=4000) == "repeats"


def test_share_of_a_text_said_several_times_is_told_by_their_number() -> None:
    assert repeated_share(PROSE) == 0
    assert repeated_share(f"{PROSE} " * 4) == pytest.approx(0.75, abs=0.02)
    assert repeated_share("") == 0


def test_text_may_have_as_many_characters_as_the_limit() -> None:
    assert text_fault(PROSE, max_characters=len(PROSE)) is None
    assert text_fault(PROSE, max_characters=len(PROSE) - 1) == "too_long"


@pytest.mark.parametrize(
    "piece",
    ["a", "a ", "answer :", "\\boxed{", "1,", "\x1b[", "a\N{COMBINING ACUTE ACCENT}\N{COMBINING CEDILLA}", "\ud800a"],
)
def test_hostile_text_takes_linear_time(piece: str) -> None:
    assert_linear(lambda text: text_fault(text, max_characters=1_000_000), piece * (100_000 // len(piece)))
