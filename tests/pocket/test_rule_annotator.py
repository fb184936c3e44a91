"""The pocket world's annotator: it says what the oracle says, of any text."""

import asyncio

import pytest

from critic_engine.pocket.problems import make_problems
from critic_engine.pocket.rule_annotator import PocketAnnotator
from critic_engine.roles.annotator import Annotation, Parting
from critic_engine.types import Problem, TokenUsage

# Row 1 holds a red circle and a blue square, row 2 nothing, row 3 a green triangle.
BOARD = "rc--bs/------/gt----"
ROWS = ("row 1 : a1 red circle b1 none c1 blue square", "row 2 : a2 none b2 none c2 none")
LAST_ROW = "row 3 : a3 green triangle b3 none c3 none"


def annotate(
    parting: Parting, *, question: str = "how many red shapes ?", extras: dict[str, object] | None = None
) -> Annotation:
    given = {"board": BOARD} if extras is None else extras
    found = asyncio.run(PocketAnnotator().annotate(Problem(question), parting, seed=0, extras=given))
    assert found.usage == TokenUsage()
    (annotation,) = found.annotations
    return annotation


def test_the_oracles_first_wrong_step_and_fact_are_the_annotation() -> None:
    right = (LAST_ROW, "red : 1 + 0 + 0 = 1", "answer : 1")
    slipped = ("row 3 : a3 red triangle b3 none c3 none", "red : 1 + 0 + 1 = 2", "answer : 2")
    assert annotate(Parting(ROWS, right, slipped)) == Annotation(3, "a3 is green triangle")
    late = (LAST_ROW, "red : 1 + 0 + 1 = 2", "answer : 2")
    assert annotate(Parting((*ROWS, LAST_ROW), right[1:], late[1:])) == Annotation(4, "row 3 has 0")


def test_what_is_said_of_the_wrong_path_must_be_of_the_difference() -> None:
    right = (LAST_ROW, "red : 1 + 0 + 0 = 1", "answer : 1")
    wrong = (LAST_ROW, "red : 1 + 0 + 1 = 2", "answer : 2")
    misread = ("row 1 : a1 none b1 none c1 none",)
    assert annotate(Parting((*misread, ROWS[1]), right, wrong)).fault == "blames_shared_steps"
    assert annotate(Parting(ROWS, ("row 3 : a3 none b3 none c3 none",), wrong)).fault == "blames_right_path"
    assert annotate(Parting(ROWS, right, right)) == Annotation(None, "", "misses_error")


def test_a_later_slip_of_the_right_path_does_not_matter() -> None:
    right = (LAST_ROW, "red : 9 + 0 + 0 = 1", "answer : 1")
    wrong = ("row 3 : a3 red triangle b3 none c3 none", "answer : 2")
    assert annotate(Parting(ROWS, right, wrong)).fault is None


@pytest.mark.parametrize(
    ("question", "extras"),
    [
        ("how many red shapes ?", {}),
        ("how many red shapes ?", {"board": None}),
        ("how many red shapes ?", {"board": 7}),
        ("how many red shapes ?", {"board": "x" * 200_000}),
        ("how many red shapes ?", {"board": "rc"}),
        ("what is the time ?", {"board": BOARD}),
        ("\x1b[2J", {"board": BOARD}),
    ],
)
def test_rules_know_no_problem_of_another_world(question: str, extras: dict[str, object]) -> None:
    found = annotate(Parting((), ("answer : 1",), ("answer : 2",)), question=question, extras=extras)
    assert found == Annotation(None, "", "not_pocket")


@pytest.mark.parametrize(
    "step", ["", " ", "\x00\ud800", "answer : " + "9" * 10_000, "red : 1 + 1 + 1 = ", "row 1 : a1"]
)
def test_any_step_can_be_judged(step: str) -> None:
    found = annotate(Parting((), (*ROWS, "answer : 1"), (step, step)))
    assert found.first_wrong_step == 1
    assert found.reason


def test_every_pocket_problems_own_slip_is_found() -> None:
    for problem in make_problems("dev", 40, 3):
        plan = problem.plan
        parting = Parting(plan[:-1], plan[-1:], ("answer : nothing",))
        found = annotate(parting, question=problem.question, extras={"board": problem.board.code})
        assert (found.first_wrong_step, found.fault) == (len(plan), None)
