import pytest

from critic_engine.parsing.answer_extraction import extract_answer, stated_answer
from critic_engine.parsing.answers import AnswerRelation
from tests.growth import assert_linear


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("red : 1 + 0 + 2 = 3\nanswer : 3", "3"),
        ("answer: 14.\n", "14"),
        ("Answer:42", "42"),
        ("**Answer:** 42", "42"),
        ("**Answer: 42**", "42"),
        ("**Final Answer**: `blue square`", "blue square"),
        ("### Final Answer:\n42", "42"),
        ("So the final answer is 7.", "7"),
        ("so my final answer is: (B)", "(B)"),
        (r"thus \boxed{5}", "5"),
        (r"thus \boxed {\frac{1}{2}}.", r"\frac{1}{2}"),
        (r"answer: $\boxed{\text{B}}$", r"\text{B}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{a \boxed{b}}", r"a \boxed{b}"),
        ("answer : 3\nanswer : 4", "4"),
        (r"\boxed{3} and then answer: 4", "4"),
        (r"answer: 4, or rather \boxed{3}", "3"),
        ("answer :   two \t  dogs ", "two dogs"),
        ("answer : 3\x00\x1b", "3"),
        ("answer : 4\nanswer :  ", "4"),
        ("I believe the answer is 12.", "12"),
        ("the answer is 12\nanswer : 13", "13"),
        ("answer : .5", ".5"),
    ],
)
def test_answer_is_found_in_every_form(text: str, answer: str) -> None:
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    "text",
    ["", "a1 is red circle", "answer", "answer :", "answer : **", r"\boxed{5", "answers: 3 of them", "\\boxed{}"],
)
def test_text_without_an_answer_has_none(text: str) -> None:
    assert extract_answer(text) is None


def test_answer_is_found_in_steps() -> None:
    assert extract_answer(("row 1 : a1 none", "answer : none")) == "none"


def test_an_answer_only_mentioned_does_not_end_a_solution() -> None:
    assert stated_answer("see whether the answer is 5 or 6") is None
    assert stated_answer("answer : 5") == "5"


@pytest.mark.parametrize(
    "text",
    [
        "answer " * 150_000,
        "answer :" * 130_000,
        "answer : " + "\t" * 1_000_000,
        "final answer is " * 60_000,
        r"\boxed{" * 150_000,
        r"\boxed{" * 70_000 + "}" * 70_000,
        "{" * 1_000_000,
        "\\" * 1_000_000,
        "answer: " + "9" * 1_000_000,
        "answer: " + "1,111" * 200_000,
        "answer: " + "(" * 1_000_000,
        "answer: " + r"\text{" * 160_000,
        "answer: " + "e\u0301\u0323" * 300_000,
        "\x00\x07\u202e" * 300_000,
    ],
    ids=range(14),
)
def test_a_megabyte_of_hostile_text_is_read_in_linear_time(text: str) -> None:
    assert_linear(lambda text: AnswerRelation().read(extract_answer(text) or text), text)
