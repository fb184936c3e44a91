from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from critic_engine.pocket.board import CELLS, CONTENTS, OBJECTS, SPLITS, Board, draw_board, picture, step_from


def test_splits_share_no_board() -> None:
    rng = random.Random(0)
    boards = {split: {draw_board(rng, split).code for _ in range(200)} for split in SPLITS}
    assert not boards["train"] & boards["dev"]
    assert not boards["train"] & boards["test"]
    assert not boards["dev"] & boards["test"]


def test_the_cells_alone_decide_the_split() -> None:
    rng = random.Random(1)
    for split in SPLITS:
        board = draw_board(rng, split)
        assert Board.from_code(board.code).split == split


def test_split_sizes_are_as_stated() -> None:
    rng = random.Random(2)
    counts = Counter(Board(tuple(rng.choices(CONTENTS, k=9))).split for _ in range(4000))
    assert counts["train"] / 4000 == pytest.approx(0.90, abs=0.02)
    assert counts["dev"] / 4000 == pytest.approx(0.05, abs=0.015)


def test_code_round_trips_and_bad_codes_are_refused() -> None:
    board = draw_board(random.Random(3), "train")
    assert Board.from_code(board.code) == board
    with pytest.raises(ValueError, match="not a board"):
        Board.from_code("zz------/------/------")
    with pytest.raises(ValueError, match="contents"):
        Board.from_code("rc")


def test_moves_wrap_around() -> None:
    assert step_from("b2", "up") == "b1"
    assert step_from("b1", "up") == "b3"
    assert step_from("c2", "right") == "a2"
    for cell in CELLS:
        assert step_from(step_from(cell, "left"), "right") == cell


def test_a_picture_shows_each_content_in_its_cell() -> None:
    board = Board(("none",) * 4 + ("red circle",) + ("none",) * 4)
    pixels = picture(board, random.Random(0))
    assert pixels.shape == (48, 48, 3)
    red, green, blue = pixels[24, 24]
    assert red > 150 > max(green, blue)
    assert pixels[8, 8].min() > 200


def test_all_contents_look_different() -> None:
    looks = [picture(Board((content,) * 9), random.Random(5)).astype(float) for content in CONTENTS]
    for number, look in enumerate(looks):
        assert all(np.abs(look - other).mean() > 2 for other in looks[:number])


def test_a_board_bears_four_to_eight_shapes() -> None:
    rng = random.Random(6)
    for _ in range(50):
        assert 4 <= sum(content in OBJECTS for content in draw_board(rng, "train").contents) <= 8
    with pytest.raises(ValueError, match="split"):
        draw_board(rng, "validation")
