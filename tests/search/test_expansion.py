from __future__ import annotations

from search import Proposal, Tree
from search.expansion import Growth, expand

MEAN, MAX = Growth(None, is_refining=False, backup="mean"), Growth(None, is_refining=False, backup="max")


def test_equal_keys_merge_within_a_trial_and_across_trials() -> None:
    tree = Tree(0)
    first = expand(tree, tree.root, [Proposal(1, key="a"), Proposal(2, key="a")], growth=MEAN)
    second = expand(tree, tree.root, [Proposal(3, key="b"), Proposal(4, key="a")], growth=MEAN)
    assert [node.state for node in first] == [1, 1]
    assert [node.state for node in second] == [3, 1]
    assert [child.state for child in tree.root.children] == [1, 3]


def test_no_key_equals_nothing() -> None:
    tree = Tree(0)
    expand(tree, tree.root, [Proposal(1), Proposal(1), Proposal(2, key="a")], growth=MEAN)
    assert len(tree.root.children) == 3


def test_equal_keys_under_different_parents_stay_apart() -> None:
    tree = Tree(0)
    (child,) = expand(tree, tree.root, [Proposal(1, key="a")], growth=MEAN)
    (grandchild,) = expand(tree, child, [Proposal(2, key="a")], growth=MEAN)
    assert grandchild is not child


def test_a_merged_proposal_leaves_a_known_value_and_fills_an_unknown_one() -> None:
    tree = Tree(0)
    known, unknown = expand(tree, tree.root, [Proposal(1, 0.4, key="a"), Proposal(2, key="b")], growth=MAX)
    expand(tree, tree.root, [Proposal(3, 0.9, key="a"), Proposal(4, 0.7, key="b")], growth=MAX)
    assert (known.value, known.search_value, known.value_count) == (0.4, 0.4, 1)
    assert (unknown.value, unknown.search_value, unknown.value_count) == (0.7, 0.7, 1)


def test_only_unfinished_children_above_the_depth_limit_may_be_expanded() -> None:
    tree = Tree(0)
    growth = Growth(2, is_refining=False, backup="mean")
    open_child, finished = expand(tree, tree.root, [Proposal(1), Proposal(2, is_terminal=True)], growth=growth)
    (deepest,) = expand(tree, open_child, [Proposal(3)], growth=growth)
    assert [node.is_expandable for node in (open_child, finished, deepest)] == [True, False, False]
    assert (tree.root.num_open_children, open_child.num_open_children) == (1, 0)


def test_a_refining_search_may_expand_finished_children_too() -> None:
    tree = Tree(0)
    growth = Growth(2, is_refining=True, backup="mean")
    (finished,) = expand(tree, tree.root, [Proposal(1, is_terminal=True)], growth=growth)
    (deepest,) = expand(tree, finished, [Proposal(2, is_terminal=True)], growth=growth)
    assert [node.is_expandable for node in (finished, deepest)] == [True, False]


def test_the_rollouts_of_a_merged_proposal_are_not_kept() -> None:
    tree = Tree(0)
    first, second = (Proposal(state, key="a", rollouts=(Proposal(state * 10),)) for state in (1, 2))
    expand(tree, tree.root, [first, second], growth=MEAN)
    assert [(end.state, end.parent and end.parent.state) for end in tree.rollouts] == [(10, 1)]
