from __future__ import annotations

import random

import pytest

from critic_engine.pocket.board import CELLS, COLOURS, SHAPES, Board, draw_board, step_from
from critic_engine.pocket.questions import FAMILIES, Question, draw_question, read_question
from critic_engine.pocket.solver import MOST, answer_of, solve


def _recount(board: Board, trait: str) -> int:
    """Count letter by letter on the board's code, apart from the code under test."""
    cells = [board.code.replace("/", "")[start : start + 2] for start in range(0, 18, 2)]
    colour = next((word[0] for word in trait.split() if word in COLOURS), "")
    shape = next((word[0] for word in trait.split() if word in SHAPES), "")
    return sum(cell != "--" and (not colour or cell[0] == colour) and (not shape or cell[1] == shape) for cell in cells)


def _brute_force(question: Question, board: Board) -> str:
    cell = question.cell or (CELLS[board.contents.index(question.object)] if question.object else "a1")
    for move in question.moves:
        cell = step_from(cell, move)
    colour, _, shape = board[cell].partition(" ")
    aspect = {"colour": colour, "shape": shape}.get(question.aspect, board[cell])
    match question.family:
        case "count":
            return str(_recount(board, question.first))
        case "total":
            return str(_recount(board, question.first) + _recount(board, question.second))
        case "difference":
            return str(_recount(board, question.first) - _recount(board, question.second))
        case "same":
            return str(_recount(board, aspect) - 1)
        case "hop":
            return str(_recount(board, aspect))
    return aspect


def test_every_plan_gives_the_recounted_answer() -> None:
    rng = random.Random(0)
    families = set()
    for _ in range(600):
        board = draw_board(rng, "train")
        question = draw_question(rng, board)
        families.add(question.family)
        assert answer_of(solve(question, board)[-1]) == _brute_force(question, board), question.text
    assert families == set(FAMILIES)


def test_wording_says_everything() -> None:
    rng = random.Random(1)
    for _ in range(300):
        question = draw_question(rng, draw_board(rng, "train"))
        assert read_question(question.text) == question
        assert read_question(f"  {question.text.replace(' ', '  ')}\n") == question


@pytest.mark.parametrize("text", ["", "how many ?", "how many red shapes", "how many pink shapes ?", "what is 2 + 2 ?"])
def test_other_questions_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a pocket question"):
        read_question(text)


def test_a_plan_worked_by_hand() -> None:
    board = Board.from_code("rc--bs/rs----/--rcgt")
    steps = solve(read_question("how many other shapes have the colour of a1 ?"), board)
    assert steps == (
        "row 1 : a1 red circle b1 none c1 blue square",
        "row 2 : a2 red square b2 none c2 none",
        "row 3 : a3 none b3 red circle c3 green triangle",
        "a1 is red circle",
        "red : 1 + 1 + 1 = 3",
        "3 - 1 = 2",
        "answer : 2",
    )


def test_plans_have_five_to_eight_steps_and_numbers_in_range() -> None:
    rng = random.Random(2)
    for _ in range(200):
        board = draw_board(rng, "train")
        steps = solve(draw_question(rng, board), board)
        assert 5 <= len(steps) <= 8
        assert all(int(word) <= MOST for step in steps for word in step.split() if word.isdigit())
