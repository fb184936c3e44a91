import json
from pathlib import Path
from typing import Any

import pytest

from critic_engine.parsing.answer_extraction import announces_answer, ending_answer, extract_answer, stated_answer
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


TABLE = Path(__file__).with_name("cases") / "found_answers.jsonl"
CASES = [json.loads(line) for line in TABLE.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("case", CASES, ids=[f"{number}: {case['why']}" for number, case in enumerate(CASES, 1)])
def test_answer_is_found_as_a_careful_reader_finds_it(case: dict[str, Any]) -> None:
    text, choices = case["text"], case["choices"]
    assert extract_answer(text, choices) == case["answer"]
    assert stated_answer(text, choices) == (case["answer"] if case["ends"] else None)
    assert stated_answer(f"<think>{text}</think>", choices) is None or "think" in text


def test_a_family_may_add_words_for_answer() -> None:
    assert extract_answer("Rozwiązanie: 12") is None
    assert extract_answer("Rozwiązanie: 12", further_words=["rozwiązanie"]) == "12"
    assert stated_answer("Rozwiązanie: 12", further_words=["rozwiązanie"]) == "12"


def test_a_step_below_a_label_gives_its_answer() -> None:
    assert ending_answer(("1 + 6 = 7", "The answer is:", "7")) == "7"
    assert ending_answer(("1 + 6 = 7", "**Answer:**", "7")) == "7"
    assert ending_answer(("The answer is: 6", "and 7")) is None
    assert ending_answer(("answer : 6", "red : 7")) is None
    assert ending_answer(("answer: 7",)) == "7"
    assert ending_answer(()) is None


@pytest.mark.parametrize("word", ["has", "is", "area", "Ball", "no one", "yes men"])
def test_a_word_is_not_taken_for_a_letter_and_an_explanation(word: str) -> None:
    assert extract_answer(f"answer : {word}") == word


def test_an_answer_is_given_away_at_any_place() -> None:
    assert announces_answer("Step 2 miscounts, so the answer: 12 is what follows.")
    assert announces_answer(r"It should be \boxed{12} dogs.")
    assert announces_answer("The final answer is 12.")
    assert not announces_answer("Step 2 says that the answer is 12, which is wrong.")
    assert not announces_answer("It asks for a short answer: a number.")
