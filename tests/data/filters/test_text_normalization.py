"""Normalisation drops differences in appearance and keeps those that change the question."""

import pytest

from critic_engine.data.filters.text_normalization import clean_text, normal_words


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("How many red shapes are there?", "  how MANY\tred shapes,\n are there ?!"),
        ("ﬁne ＡＢＣ", "fine abc"),
        ("caf\N{LATIN SMALL LETTER E WITH ACUTE}", "cafe\N{COMBINING ACUTE ACCENT}"),
        ("left\N{RIGHT-TO-LEFT MARK} \N{ZERO WIDTH SPACE}ri\N{SOFT HYPHEN}ght", "left right"),
        ("1,000.50 or .5", "1000.50 or 0.5"),
        ("a well-known **bold** word.", "a well known bold word"),
        ("<image>\nWhat is it?", "what is it"),
        ("3 \N{MINUS SIGN} 4", "3 - 4"),
    ],
)
def test_texts_that_differ_in_looks_have_the_same_words(text: str, other: str) -> None:
    assert normal_words(text) == normal_words(other) != []


@pytest.mark.parametrize(
    ("text", "other"),
    [("3 + 4", "3 - 4"), ("3 * 4", "3 / 4"), ("5.3", "53"), ("x = 5", "x = -5"), ("की", "का"), ("1,2", "12")],
)
def test_texts_that_ask_different_things_have_different_words(text: str, other: str) -> None:
    assert normal_words(text) != normal_words(other)


def test_letters_of_scripts_without_spaces_are_a_word_each() -> None:
    assert normal_words("二つの猫。") == ["二", "つ", "の", "猫"]


def test_control_characters_become_spaces_and_marks_on_one_letter_are_few() -> None:
    assert clean_text("a\x1b[31m\x00b") == "a [31m b"
    assert len(clean_text("a" + "\N{COMBINING ACUTE ACCENT}\N{COMBINING GRAVE ACCENT BELOW}" * 50_000)) < 10
