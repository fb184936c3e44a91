from __future__ import annotations

import math

import pytest

from search.scores import UNVISITED, puct_scale, puct_score, uct_scale, uct_score


def test_puct_score_of_a_case_worked_by_hand() -> None:
    # Q = 0.5, c = 1.25, P = 0.4, N_parent = 9, N = 2: 0.5 + 1.25 * 0.4 * 3 / 3 = 1.0
    scale = puct_scale(1.25, 9)
    assert scale == 3.75
    assert puct_score(0.5, 0.4, visit_count=2, scale=scale) == pytest.approx(1.0)


def test_puct_score_of_an_unvisited_child_is_finite() -> None:
    assert puct_score(0.0, 0.5, visit_count=0, scale=puct_scale(2.0, 4)) == pytest.approx(2.0)


def test_puct_without_exploration_is_the_value() -> None:
    assert puct_score(0.3, 0.9, visit_count=5, scale=puct_scale(0.0, 100)) == 0.3


def test_uct_score_of_a_case_worked_by_hand() -> None:
    # Q = 0.25, c = 2, N_parent = e^4 rounded to 55, N = 4: 0.25 + 2 * sqrt(ln 55) / 2
    assert uct_score(0.25, visit_count=4, scale=uct_scale(2.0, 55)) == pytest.approx(0.25 + math.sqrt(math.log(55)))
    assert uct_score(0.25, visit_count=4, scale=uct_scale(2.0, 55)) == pytest.approx(2.2518, abs=1e-4)


def test_uct_with_one_parent_visit_does_not_explore() -> None:
    assert uct_score(0.5, visit_count=1, scale=uct_scale(2.0, 1)) == 0.5


def test_uct_puts_unvisited_children_first_and_orders_them_by_value() -> None:
    scale = uct_scale(100.0, 10**9)
    visited = uct_score(1.0, visit_count=1, scale=scale)
    low, high = (uct_score(value, visit_count=0, scale=scale) for value in (0.2, 0.2000001))
    assert visited < UNVISITED <= low < high
