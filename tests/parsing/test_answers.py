import pytest

from critic_engine.parsing.answers import AnswerRelation, choice_letter, is_same_answer
from tests.growth import assert_linear, processor_s

PETS = ("a cat", "Two dogs", "14")


def key_of(answer: str, choices: tuple[str, ...] = ()) -> str:
    return AnswerRelation(choices=choices).read(answer).key


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("14.0", "14"),
        ("+14", "14"),
        ("014", "14"),
        ("1,000", "1000"),
        ("1,234,567.50", "1234567.5"),
        ("5%", "0.05"),
        ("5 %", r"5\%"),
        ("-0.0", "0"),
        ("−3", "-3"),
        (".5", "0.50"),
        ("1e3", "1000"),
        ("$7$", "7"),
        ("12345678901234567890123456789012345678901.0", "12345678901234567890123456789012345678901"),
        ("Blue  Square.", "blue square"),
        (r"\text{Paris}", "paris"),
        ('"yes"', "Yes"),
    ],
)
def test_answers_that_mean_the_same_share_a_key(left: str, right: str) -> None:
    assert key_of(left) == key_of(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("5%", "5"),
        ("14", "14.1"),
        ("1,00", "100"),
        ("12345678901234567890123456789012345678901", "12345678901234567890123456789012345678902"),
        ("a dog", "dogs"),
        ("1.2.3", "1.23"),
    ],
)
def test_answers_that_mean_different_things_do_not_share_a_key(left: str, right: str) -> None:
    assert key_of(left) != key_of(right)


@pytest.mark.parametrize(
    ("answer", "key"),
    [
        ("B", "(B)"),
        ("b", "(B)"),
        ("(B)", "(B)"),
        ("B.", "(B)"),
        ("B)", "(B)"),
        ("(b) two dogs", "(B)"),
        ("B. Because there are two", "(B)"),
        ("option B", "(B)"),
        ("two dogs.", "(B)"),
        ("**Two dogs**", "(B)"),
        ("14.0", "(C)"),
        ("A cat", "(A)"),
        (r"\text{(C)}", "(C)"),
        ("A dog", "dog"),
        ("a", "(A)"),
        ("D", "d"),
        ("e.g. a cat", "e.g. a cat"),
    ],
)
def test_letters_and_texts_of_choices_share_the_key_of_the_choice(answer: str, key: str) -> None:
    assert key_of(answer, PETS) == key


def test_a_bare_letter_is_the_letter_a_prompt_asks_for_and_may_be_the_text_of_another_choice() -> None:
    lettered = ("B", "A", "C")
    assert key_of("A", lettered) == key_of("(A)", lettered) == "(A)"
    assert is_same_answer("A", "(B)", lettered) is None
    assert is_same_answer("A", "C", lettered) is False


def test_a_letter_means_nothing_without_choices() -> None:
    assert key_of("B.") == key_of("(b)") == "b"


SAME_OR_NOT = [
    ("14.0", "14", (), True),
    ("15", "14", (), False),
    ("-3", "3", (), False),
    ("− 3", "-3", (), None),
    ("fourteen", "14", (), True),
    ("14 dogs", "14", (), None),
    ("3", "three", (), True),
    ("(3)", "3", (), None),
    ("2/4", "1/2", (), True),
    ("1/2", "0.5", (), True),
    ("50%", "1/2", (), True),
    ("-1 / 2", "-0.5", (), True),
    (r"\dfrac{1}{2}", r"\frac{1}{2}", (), True),
    (r"\frac{1}{2}", "1/2", (), True),
    (r"-\frac {2} {4}", "-1/2", (), True),
    (r"2\frac{1}{2}", "21/2", (), False),
    (r"\frac{x}{2}", "1/2", (), None),
    ("1/0", "1/2", (), None),
    ("1/3", "1/2", (), False),
    ("1/2", "0.75", (), False),
    ("7/2", "4", (), False),
    ("(B) or (C)", "B", PETS, None),
    ("b. or c", "B", PETS, None),
    ("1/3", "0.33", (), None),
    ("2/3", "67%", (), None),
    ("3.14", "3.1416", (), None),
    ("3.1", "3.2", (), False),
    ("14", "14.1", (), False),
    ("5%", "5", (), None),
    ("5%", "6%", (), False),
    ("1e99", "1e98", (), False),
    ("9" * 5000 + "/2", "1/2", (), None),
    ("x = 3", "x=3", (), True),
    ("x + 1", "x+1", (), True),
    ("x = 3", "x = 4", (), False),
    ("(3,4)", "(3, 4)", (), True),
    ("( 3 , 4 )", "(3, 4)", (), True),
    ("(3,400)", "(3, 400)", (), None),
    ("3,400", "3, 400", (), None),
    ("3 4", "34", (), None),
    ("3 -4", "3-4", (), None),
    ("1. 5", "1.5", (), None),
    ("14cm", "14 cm", (), True),
    ("14 cm", "15 cm", (), False),
    ("50°", "50 °", (), True),
    ("50°", "50 degrees", (), True),
    ("yes, it is", "yes", (), True),
    ("a red circle", "the red circle", (), True),
    ("a red circle", "red circle", (), True),
    ("an owl", "Owl.", (), True),
    ("vitamin a deficiency", "vitamin deficiency", (), None),
    ("a", "the", (), None),
    ("(B)", "B", (), True),
    ("[b].", "B)", (), True),
    ("(yes)", "yes", (), True),
    ("n!", "n", (), None),
    ("B. dog", "B", (), None),
    ("B", "dog", (), None),
    ("B", "C", (), False),
    ("(B)", "C.", (), False),
    ("red", "blue", (), False),
    ("yes", "no", (), False),
    ("the red circle", "a blue circle", (), False),
    ("red", "red circle", (), None),
    ("red circle", "red small circle", (), None),
    ("on the left", "on left", (), None),
    ("redcircle", "red", (), None),
    ("redcircle", "red circle", (), None),
    ("ice-cream", "ice creams", (), None),
    ("icecream", "ice-cream", (), None),
    ("dog", "dogs", (), None),
    ("box", "boxes", (), None),
    ("red berry", "red berries", (), None),
    ("white dog", "dogs white", (), None),
    ("x-y", "x-z", (), None),
    ("a1", "b2", (), None),
    ("红", "红色", (), None),
    ("it is what one sees on the left", "blue", (), None),
    ("", "blue", (), None),
    ("(B)", "two dogs", PETS, True),
    ("a", "two dogs", PETS, False),
    ("a dog", "two dogs", PETS, None),
    ("x = 3", "x=3", PETS, True),
    ("A", "B", ("3", "3.0"), None),
]


@pytest.mark.parametrize(("given", "reference", "choices", "is_same"), SAME_OR_NOT)
def test_answers_are_the_same_or_different_or_it_is_not_sure(
    given: str, reference: str, choices: tuple[str, ...], is_same: bool | None
) -> None:
    assert is_same_answer(given, reference, choices) is is_same
    assert is_same_answer(reference, given, choices) is is_same


@pytest.mark.parametrize("choices", [(), PETS])
def test_answers_that_match_are_the_same(choices: tuple[str, ...]) -> None:
    answers = {answer for given, reference, *_ in SAME_OR_NOT for answer in (given, reference)}
    answers |= {f"**{answer}.** " for answer in answers} | {answer.upper() for answer in answers}
    alike: dict[str, list[str]] = {}
    for answer in sorted(answers):
        alike.setdefault(key_of(answer, choices), []).append(answer)
    matching = [(one, other) for group in alike.values() for one in group for other in group]
    assert len(matching) > 2 * len(answers)
    assert all(is_same_answer(one, other, choices) is True for one, other in matching)


def test_choices_are_lettered_like_the_columns_of_a_spreadsheet() -> None:
    assert [choice_letter(index) for index in (0, 1, 25, 26, 27, 51, 52, 701, 702)] == [
        "A", "B", "Z", "AA", "AB", "AZ", "BA", "ZZ", "AAA",
    ]  # fmt: skip


PIECES = [
    "1 a", "a, ", "1,000", "a-", "([", "= + ", "1/", r"\frac{", "the ", "s", " ", "e\u0301\u0323", "$", "**", "#### ",
    "\n#### 7\n", "one hundred and ", "½", "²", "{,}", "\\boxed{", "x=", "(A) ", "9^", "1 000", "√", "\\text{", ";",
    "and ", "\\", "'", "1.", "per ", "sq ", "a cat ", "%", "∞", "\x00", "٣", "（１）",
]  # fmt: skip


@pytest.mark.parametrize("piece", PIECES, ids=range(len(PIECES)))
def test_hostile_answers_are_compared_in_linear_time(piece: str) -> None:
    def look(text: str) -> None:
        for choices in ((), PETS):
            is_same_answer(text, f"({text}b", choices, "How many?")
        is_same_answer("B", "A", (text, f"{text}b"))
        is_same_answer("7", "8", (), text)

    assert_linear(look, piece * (500_000 // len(piece)))


@pytest.mark.parametrize("length", [40, 150, 1990])
@pytest.mark.parametrize("piece", PIECES, ids=range(len(PIECES)))
def test_hostile_answers_that_are_read_take_little_work(piece: str, length: int) -> None:
    text = piece * (length // len(piece))
    took_s = min(
        processor_s(lambda text: is_same_answer(text, f"{text}b", PETS, text), text + "!" * n) for n in range(3)
    )
    assert took_s < 1, "a hundred times what it takes"
