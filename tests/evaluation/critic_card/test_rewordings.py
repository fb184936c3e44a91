"""Rewordings keep the meaning, and the number of steps."""

import pytest

from critic_engine.evaluation.critic_card.rewordings import rewordings_of


def test_each_rewording_changes_one_thing() -> None:
    found = rewordings_of(("two ants and one", "answer: 3"), "plain")
    assert found == {
        "spaces": ("two  ants  and  one", "answer:  3"),
        "numbers": ("Step 1: two ants and one", "Step 2: answer: 3"),
        "ending": ("two ants and one", "Answer: 3."),
    }


def test_rewordings_go_back_where_the_text_has_their_form_already() -> None:
    found = rewordings_of(("Step 1: two ants", "Step 2: Answer: 3."), "plain")
    assert found["numbers"] == ("two ants", "Answer: 3.")
    assert rewordings_of(("Answer: 3.",), "plain")["ending"] == ("answer: 3",)


@pytest.mark.parametrize("last", ["so is it 3?", "wait...", "."])
def test_ending_that_is_no_statement_stays(last: str) -> None:
    assert "ending" not in rewordings_of(("two ants", last), "plain")


@pytest.mark.parametrize("last", ["A", "$\\boxed{3}$", "NaCl"])
def test_names_and_formulas_only_get_a_full_stop(last: str) -> None:
    assert rewordings_of((last,), "plain")["ending"] == (f"{last}.",)


def test_steps_of_which_only_some_are_numbered_stay() -> None:
    assert "numbers" not in rewordings_of(("Step 1: two ants", "answer: 3"), "plain")


def test_pocket_family_carries_only_words_of_its_vocabulary() -> None:
    steps = ("a1 is red square", "answer : red square")
    assert set(rewordings_of(steps, "pocket")) == {"spaces", "numbers", "ending"}
    assert rewordings_of(("the ant is red", "answer : red square"), "pocket") == {}
