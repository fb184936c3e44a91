"""The checker: right and wrong by what answers mean, and nothing where the reference answer is missing or disputed."""

from critic_engine.roles.checker import Checker
from critic_engine.types import FailedRow, Problem, ProblemRow

PROBLEM = Problem("how many ?")
CHOICES = Problem("which ?", choices=("two dogs", "a cat"))


def row(problem: Problem, reference: str | None) -> ProblemRow:
    return ProblemRow(1, "a", problem, () if reference is None else (reference,))


def test_answers_that_mean_the_same_as_the_reference_are_right() -> None:
    checker = Checker([row(PROBLEM, "14"), row(CHOICES, "B"), FailedRow(3, "c", "broken")])
    assert [checker.is_right(PROBLEM, answer) for answer in ("14.0", "+14", "15", None)] == [True, True, False, False]
    assert [checker.is_right(CHOICES, answer) for answer in ("a cat", "(b)", "two dogs")] == [True, True, False]
    assert checker.objection(PROBLEM) is None


def test_a_problem_is_known_by_its_content_whatever_its_name() -> None:
    assert Checker([row(PROBLEM, "3")]).is_right(Problem("how many ?", name="other"), "3") is True


def test_without_a_reference_nothing_is_right_or_wrong() -> None:
    checker = Checker([row(PROBLEM, None)])
    assert checker.is_right(PROBLEM, "3") is None
    assert checker.is_right(PROBLEM, None) is None
    assert "no reference answer" in str(checker.objection(PROBLEM))


def test_rows_with_different_reference_answers_are_not_believed_whichever_came_first() -> None:
    checker = Checker([row(CHOICES, "A"), row(CHOICES, "a cat"), row(PROBLEM, "3")])
    assert checker.is_right(CHOICES, "A") is None
    assert "different reference answers, 'A' and 'a cat'" in str(checker.objection(CHOICES))
    assert checker.is_right(PROBLEM, "3") is True


def test_rows_whose_reference_answers_mean_the_same_agree() -> None:
    checker = Checker([row(CHOICES, "B"), row(CHOICES, "a cat"), row(PROBLEM, "5%"), row(PROBLEM, "0.05")])
    assert checker.is_right(CHOICES, "b.") is True
    assert checker.is_right(PROBLEM, ".05") is True


def test_a_reference_that_is_none_of_the_choices_is_objected_to_before_anything_is_spent() -> None:
    checker = Checker([row(CHOICES, "E"), row(PROBLEM, "E")])
    objection = checker.objection(CHOICES)
    assert objection is not None
    assert objection.fault == "foreign_reference_answer"
    assert objection.reason.startswith("its reference answer 'E' is none of the choices; ")
    assert checker.is_right(CHOICES, "A") is None
    assert checker.is_right(CHOICES, "E") is None
    assert checker.objection(PROBLEM) is None


def test_references_that_are_one_number_in_two_forms_agree() -> None:
    checker = Checker([row(PROBLEM, "1/2"), row(PROBLEM, "0.5")])
    assert checker.objection(PROBLEM) is None
    assert checker.is_right(PROBLEM, r"\frac12") is True
    assert checker.is_right(PROBLEM, "0.75") is False


def test_the_reference_may_be_a_whole_solution_with_its_answer_behind_hashes() -> None:
    checker = Checker([row(PROBLEM, "He has 3 + 4 = <<3+4=7>>7 of them.\n#### 7")])
    assert [checker.is_right(PROBLEM, answer) for answer in ("7", "seven", "x = 7", "3")] == [True, True, True, False]


def test_each_of_several_accepted_answers_is_right() -> None:
    checker = Checker([ProblemRow(1, "a", PROBLEM, ("grey", "silver"))])
    assert checker.is_right(PROBLEM, "gray") is True
    assert checker.is_right(PROBLEM, "Silver.") is True
    assert checker.is_right(PROBLEM, "red") is None


def test_a_choice_contradicted_by_the_words_behind_it_is_neither_right_nor_wrong() -> None:
    problem = Problem("how many ?", choices=("12", "15", "20", "25"))
    checker = Checker([row(problem, "C")])
    assert [checker.is_right(problem, answer) for answer in ("C. 20", "C. 25", "(B) is wrong", "B")] == [
        True, None, None, False,
    ]  # fmt: skip
