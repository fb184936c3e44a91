"""Leaks: every way to write the reference answer is found as whole words, and nothing else is."""

import pytest

from critic_engine.data.filters.leaks import leaks_answer
from tests.growth import assert_linear

CHOICES = ("two dogs", "a cat", "5")


@pytest.mark.parametrize(
    "words",
    ["it is 5", "there are 5.", "5.0 of them", "(5)", "$5$", r"\boxed{5}", "1, 5 and 6", "5:30", "+5", "5 %", "５"],
)
def test_number_is_found_however_it_is_written(words: str) -> None:
    assert leaks_answer(words, ["5"])
    assert leaks_answer(words, ["5.0"])


@pytest.mark.parametrize("words", ["15", "5.3", "1.5", "0.5", "5,000", "b5", "step5", "5th", "v5.3", "55", ""])
def test_number_within_another_or_within_a_word_is_none(words: str) -> None:
    assert not leaks_answer(words, ["5"])


@pytest.mark.parametrize(
    ("words", "reference"),
    [("it has 1000", "1,000"), ("0.05 is right", "5%"), ("it is \N{MINUS SIGN}5", "-5"), ("so 5cm", "5 cm"),
     ("it should be 0.5", "1/2"), ("it is 1/2", "0.5"), (r"so \frac{1}{2}", "0.5"), ("that makes ½", "50%"),
     ("there are 7", "7 apples"), ("so $18", "18 dollars"), ("it is 7", "#### 7"), ("7 of them", r"\boxed{7}"),
     ("so 5 cm", "5cm"), ("x is 1/2", "1/2"), ("see √2 there", "√2"), ("猫です", "猫"),
     ("H2O is formed", "H_2O"), ("so CO2", r"\text{CO}_2")],
)  # fmt: skip
def test_answer_is_found_in_its_canonical_form(words: str, reference: str) -> None:
    assert leaks_answer(words, [reference])


@pytest.mark.parametrize("words", ["there are five chairs", "Five.", "(five)", "five-pointed", "two and five"])
@pytest.mark.parametrize("reference", ["5", "five", "Five.", "5.0"])
def test_number_word_holds_its_number(words: str, reference: str) -> None:
    assert leaks_answer(words, [reference])


@pytest.mark.parametrize(
    ("words", "reference"),
    [("it shows 5", "five"), ("zero of them", "0"), ("all twenty", "20"), ("it is 20", "Twenty"),
     ("so 2 dogs", "two dogs"), ("so two dogs", "2 dogs"), ("so five cm", "5cm"), ("twenty five", "twenty five")],
)  # fmt: skip
def test_number_words_and_digits_are_found_in_each_other(words: str, reference: str) -> None:
    assert leaks_answer(words, [reference])


@pytest.mark.parametrize(
    "words",
    ["fifteen", "fivefold", "twenty-five", "thirty five", "five hundred", "a hundred and five", "two thousand five"],
)
@pytest.mark.parametrize("reference", ["5", "five"])
def test_number_word_within_another_or_a_longer_number_is_none(words: str, reference: str) -> None:
    assert not leaks_answer(words, [reference])


def test_twenty_before_a_unit_is_not_20() -> None:
    assert not leaks_answer("there are twenty-one", ["20"])


def test_one_is_a_pronoun_and_no_number() -> None:
    assert not leaks_answer("the left one is red", ["1"])
    assert not leaks_answer("there is 1", ["one"])
    assert leaks_answer("there is one", ["one"])


def test_sign_counts_where_the_reference_answer_has_one() -> None:
    assert not leaks_answer("it is 5", ["-5"])


def test_text_is_found_as_whole_words_whatever_its_case_and_spacing() -> None:
    assert leaks_answer("There is a Yellow,\n  CIRCLE on it.", ["yellow circle"])
    assert not leaks_answer("two yellow circles, and a circle that is yellow", ["yellow circle"])


@pytest.mark.parametrize(
    "words",
    ["(B) fits", "( b )", "b) fits", "option b", "Choice: B", "the answer is B", "answer should be **B**", "pick b.",
     "it shows A Cat"],
)  # fmt: skip
@pytest.mark.parametrize("reference", ["B", "(b)", "B. a cat", "a cat"])
def test_choice_is_found_by_its_letter_forms_and_its_text(words: str, reference: str) -> None:
    assert leaks_answer(words, [reference], CHOICES)


@pytest.mark.parametrize(
    "words", ["point B is on the line", "two dogs", "option C", "(A)", "optional b", "a catalogue"]
)
def test_other_choices_and_bare_letters_are_no_leak(words: str) -> None:
    assert not leaks_answer(words, ["B"], CHOICES)


def test_article_is_not_the_choice_a() -> None:
    assert not leaks_answer("the answer is a small cat", ["A"], CHOICES)
    assert leaks_answer("the answer is a.", ["A"], CHOICES)
    assert leaks_answer("Option A shows it", ["A"], CHOICES)


def test_choice_that_is_a_number_is_found_as_one() -> None:
    assert leaks_answer("there are 5.0", ["C"], CHOICES)
    assert not leaks_answer("there are 15", ["C"], CHOICES)


def test_any_of_several_reference_answers_leaks() -> None:
    assert leaks_answer("it is a dog", ["cat", "dog"])
    assert not leaks_answer("it is a dog", [])


def test_answer_of_punctuation_alone_is_found_as_it_is() -> None:
    assert leaks_answer("it ends with ?", ["?"])
    assert not leaks_answer("it ends there", ["?"])


@pytest.mark.parametrize(
    "piece",
    ["five ", "twenty five hundred and ", "a", "a ", "1", "1,", "1.", "(", "answer is ", "answer ",
     "option to the is be ", "\\boxed{", "- ", "1e",
     "\x00\x1b[", "\N{RIGHT-TO-LEFT OVERRIDE}", "a\N{COMBINING ACUTE ACCENT}",
     "\N{COMBINING ACUTE ACCENT}\N{COMBINING CEDILLA}"],
)  # fmt: skip
def test_hostile_text_takes_linear_time(piece: str) -> None:
    def look(text: str) -> None:
        leaks_answer(text, ["aaaa b", "B", "7"], ("z", "q"))
        leaks_answer("the answer is 7", [text], (text, "q"))

    assert_linear(look, piece * (100_000 // len(piece)))
