from __future__ import annotations

import random

import pytest

from critic_engine.pocket.board import Board, draw_board
from critic_engine.pocket.oracle import KINDS, UNCLEAR, check
from critic_engine.pocket.prose.reader import MAX_CHARACTERS
from critic_engine.pocket.questions import draw_question, read_question
from critic_engine.pocket.solver import solve, solve_with_slips

BOARD = Board.from_code("rc--bs/rs----/--rcgt")
SAME = "how many other shapes have the colour of a1 ?"
SAME_PLAN = solve(read_question(SAME), BOARD)
BESIDE = "from the only green triangle go up wrapping around . what is there ?"


@pytest.mark.parametrize(
    ("place", "step", "kind", "reason"),
    [
        (1, "row 1 : a1 red circle b1 green square c1 blue square", "perception", "b1 is none"),
        (1, "row 1 : a1 red circle b1 none c1 blue circle", "perception", "c1 is blue square"),
        (4, "a1 is blue circle", "lookup", "a1 is red circle"),
        (4, "b2 is none", "lookup", "a1 is red circle"),
        (5, "red : 1 + 2 + 1 = 4", "counting", "row 2 has 1"),
        (5, "red : 1 + 1 + 1 = 2", "arithmetic", "the sum is 3"),
        (5, "blue : 1 + 0 + 0 = 1", "counting", "count red"),
        (6, "3 - 1 = 1", "arithmetic", "3 - 1 = 2"),
        (6, "3 + 1 = 4", "arithmetic", "3 - 1 = 2"),
        (7, "answer : 3", "answer", "the answer is not 3"),
        (7, "so it is two", "answer", UNCLEAR),
        (5, "", "counting", UNCLEAR),
    ],
)
def test_a_wrong_step_is_named_with_the_fact_that_puts_it_right(place: int, step: str, kind: str, reason: str) -> None:
    steps = [*SAME_PLAN[: place - 1], step]
    judgement = check(SAME, BOARD, steps)
    assert judgement.first_wrong == place
    assert judgement.verdicts[place - 1].kind == kind
    assert judgement.words == f"wrong step {place} : {reason}"


def test_moves_and_finds_are_judged() -> None:
    plan = solve(read_question(BESIDE), BOARD)
    assert plan[3:] == ("the green triangle is c3", "up from c3 is c2", "c2 is none", "answer : none")
    wrong_find = check(BESIDE, BOARD, [*plan[:3], "the green triangle is a3"])
    assert wrong_find.words == "wrong step 4 : the green triangle is c3"
    wrong_move = check(BESIDE, BOARD, [*plan[:4], "up from c3 is c1"])
    assert wrong_move.words == "wrong step 5 : up from c3 is c2"
    assert wrong_move.verdicts[4].kind == "moving"


def test_right_steps_are_right_in_any_spacing_order_and_number() -> None:
    assert check(SAME, BOARD, SAME_PLAN).words == "right"
    assert check(SAME, BOARD, [f"  {step.replace(' ', '   ')} " for step in SAME_PLAN]).is_right
    assert check(SAME, BOARD, [SAME_PLAN[2], SAME_PLAN[0], SAME_PLAN[0], SAME_PLAN[4]]).is_right
    assert check(SAME, BOARD, []).is_right


def test_an_answer_can_be_right_after_wrong_steps() -> None:
    steps = list(SAME_PLAN)
    steps[1] = "row 2 : a2 blue square b2 none c2 none"
    judgement = check(SAME, BOARD, steps)
    assert judgement.first_wrong == 2
    assert judgement.is_answer_right
    assert not judgement.is_right


def test_a_partial_trajectory_has_no_answer() -> None:
    judgement = check(SAME, BOARD, SAME_PLAN[:5])
    assert judgement.answer is None
    assert not judgement.is_answer_right
    assert judgement.is_right


def test_every_single_slip_is_found_at_its_step() -> None:
    rng = random.Random(0)
    kinds, missed = set(), 0
    for _ in range(800):
        board = draw_board(rng, "train")
        question = draw_question(rng, board)
        place = rng.randint(1, len(solve(question, board)))
        steps = solve_with_slips(question, board, slips={place}, rng=rng)
        judgement = check(question.text, board, steps)
        if judgement.first_wrong is None or judgement.first_wrong > place:  # the slip hit on another planned step
            assert steps[place - 1] in solve(question, board)
            missed += 1
        else:
            assert judgement.first_wrong == place
            kinds.add(judgement.verdicts[place - 1].kind)
    assert kinds == set(KINDS)
    assert missed < 16


def test_any_text_is_judged_and_nothing_is_raised() -> None:
    rng = random.Random(1)
    letters = "abc123 :+-=\nred is row answer none up from the \x00é"
    for _ in range(500):
        steps = ["".join(rng.choices(letters, k=rng.randint(0, 40))) for _ in range(rng.randint(0, 12))]
        judgement = check(SAME, BOARD, steps)
        assert len(judgement.verdicts) == len(steps)
        assert all(verdict.is_right or verdict.reason for verdict in judgement.verdicts)


def test_a_very_long_step_is_not_read() -> None:
    cells = "row 1 : a1 none" + " b1 none" * MAX_CHARACTERS
    (verdict,) = check(SAME, BOARD, [cells]).verdicts
    assert not verdict.is_right
    assert verdict.reason == UNCLEAR
