import pytest

from critic_engine.evaluation.harnesses.completions import completion_of, question_of, read_until, without_until
from critic_engine.types import Answer


def answer_with(answer: str | None, *steps: str) -> Answer:
    status = "failed" if answer is None else "answered"
    return Answer("1", "id", answer, 0.5, status, "exhausted", 9, 3, 0.1, steps=steps)


@pytest.mark.parametrize(
    ("turns", "question"),
    [
        ([("user", "a ?")], "a ?"),
        ([("system", "s"), ("user", "a ?")], "s\n\na ?"),
        ([("system", " "), ("user", "a ?")], "a ?"),
        ([("user", "a ?"), ("assistant", "b"), ("user", "c ?")], "User: a ?\n\nAssistant: b\n\nUser: c ?"),
        ([("system", "s"), ("user", "a"), ("user", "c ?")], "s\n\nUser: a\n\nUser: c ?"),
    ],
)
def test_chat_becomes_a_question(turns: list[tuple[str, str]], question: str) -> None:
    assert question_of(turns) == question


@pytest.mark.parametrize("turns", [[], [("assistant", "a")], [("user", "a ?"), ("tool", "3"), ("user", "b ?")]])
def test_chat_that_no_search_can_answer_is_refused(turns: list[tuple[str, str]]) -> None:
    with pytest.raises(ValueError, match="message"):
        question_of(turns)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (answer_with("4", "2 + 2", "so 4"), "2 + 2\nso 4\nANSWER: 4"),
        (answer_with("4", "2 + 2", "Answer: 4"), "2 + 2\nAnswer: 4"),
        (answer_with("4", "2 + 2\n\nANSWER: 4 "), "2 + 2\n\nANSWER: 4 "),
        (answer_with("4"), "ANSWER: 4"),
        (answer_with(None, "2 + 2"), ""),
    ],
)
def test_solution_ends_with_the_answer_once(answer: Answer, text: str) -> None:
    assert completion_of(answer, "solution") == text


def test_completion_may_be_the_answer_alone() -> None:
    assert completion_of(answer_with("4", "2 + 2"), "answer") == "4"


def test_completion_ends_before_the_first_stop_string_in_it() -> None:
    answer = answer_with("4", "one", "two", "three")
    assert completion_of(answer, "solution", stop=["three", "two", "", "absent"]) == "one\n"


def test_until_is_one_string_or_a_list() -> None:
    assert read_until({"until": "x"}) == ("x",)
    assert read_until({"until": ["x", "y"]}) == ("x", "y")
    assert read_until({"until": None}) == read_until({}) == ()
    assert without_until({"until": "x", "temperature": 0}) == {"temperature": 0}
