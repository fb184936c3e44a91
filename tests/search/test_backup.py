from __future__ import annotations

import pytest

from search import Proposal, Tree
from search.backup import back_up, trial_value


def test_trial_value_joins_the_known_values_only() -> None:
    assert trial_value([0.2, None, 0.6], "mean") == pytest.approx(0.4)
    assert trial_value([0.2, None, 0.6], "max") == 0.6


def test_trial_value_of_unknown_values_is_unknown() -> None:
    assert trial_value([None, None], "mean") is None
    assert trial_value([], "max") is None


def test_mean_backup_of_a_case_worked_by_hand() -> None:
    tree = Tree(0)
    known = tree.add_child(tree.root, Proposal(1, 0.8))
    below = tree.add_child(known, Proposal(2))
    back_up(tree, tree.path(below), 0.2, "mean")
    back_up(tree, tree.path(known), 0.5, "mean")
    assert below.search_value == 0.2  # 0.2 alone: its own value is unknown
    assert known.search_value == pytest.approx((0.8 + 0.2 + 0.5) / 3)
    assert tree.root.search_value == pytest.approx((0.2 + 0.5) / 2)


def test_max_backup_of_a_case_worked_by_hand() -> None:
    tree = Tree(0)
    high = tree.add_child(tree.root, Proposal(1, 0.8))
    back_up(tree, tree.path(high), 0.3, "max")
    assert (high.search_value, tree.root.search_value) == (0.8, 0.3)
    back_up(tree, tree.path(high), 0.9, "max")
    assert (high.search_value, tree.root.search_value) == (0.9, 0.9)


@pytest.mark.parametrize("rule", ["mean", "max"])
def test_an_unknown_value_changes_no_statistics(rule: str) -> None:
    tree = Tree(0)
    child = tree.add_child(tree.root, Proposal(1, 0.5))
    back_up(tree, tree.path(child), None, rule)  # type: ignore[arg-type]
    assert (child.search_value, child.value_count, tree.root.search_value) == (0.5, 1, None)
