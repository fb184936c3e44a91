from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from search import (
    Budget,
    DivergentPair,
    Limits,
    Node,
    Proposal,
    Tree,
    reference_pairs,
    sibling_pairs,
    worst_order,
)
from tests.search.worlds import FAMILIES, random_mind, start


def is_right(node: Node[str]) -> bool | None:
    """Return what the outcome says of itself."""
    return node.outcome if isinstance(node.outcome, bool) else None


def end(tree: Tree[str], parent: Node[str], state: str, value: float | None, outcome: bool | None) -> Node[str]:
    return tree.add_child(parent, Proposal(state, value, is_terminal=True, outcome=outcome))


@pytest.fixture
def tree() -> Tree[str]:
    """Two first steps: below "a" one right and one wrong end, below "b" a wrong one and one of unknown answer."""
    tree = Tree("root")
    a = tree.add_child(tree.root, Proposal("a", 0.75))
    b = tree.add_child(tree.root, Proposal("b", 0.25))
    end(tree, a, "a right", 1.0, True)
    end(tree, a, "a wrong", 0.5, False)
    end(tree, b, "b wrong", None, False)
    end(tree, b, "b unknown", 0.9, None)
    return tree


def test_each_wrong_path_is_paired_with_the_reference_where_they_part(tree: Tree[str]) -> None:
    low, high = reference_pairs(tree, is_right)
    assert (low.ancestor.state, low.accepted.state, low.rejected.state) == ("a", "a right", "a wrong")
    assert (low.depth, low.value_margin) == (1, 0.5)
    assert (high.ancestor.state, high.accepted.state, high.rejected.state) == ("root", "a", "b")
    assert (high.accepted_leaf.state, high.rejected_leaf.state) == ("a right", "b wrong")
    assert (high.depth, high.value_margin) == (0, 0.5)


def test_the_reference_is_the_right_path_of_the_highest_value(tree: Tree[str]) -> None:
    end(tree, tree.nodes[2], "b right", 0.2, True)
    end(tree, tree.nodes[2], "b right of unknown value", None, True)
    assert {pair.accepted_leaf.state for pair in reference_pairs(tree, is_right)} == {"a right"}


def test_no_right_path_or_no_wrong_path_gives_no_pair(tree: Tree[str]) -> None:
    assert reference_pairs(tree, lambda node: False) == []
    assert reference_pairs(tree, lambda node: True) == []
    assert reference_pairs(tree, lambda node: None) == []


def test_a_margin_with_an_unknown_side_is_unknown() -> None:
    tree = Tree("root")
    end(tree, tree.root, "right", None, True)
    end(tree, tree.root, "wrong", 0.5, False)
    assert [pair.value_margin for pair in reference_pairs(tree, is_right)] == [None]


@pytest.mark.parametrize("order", [(False, True), (True, False)])
def test_a_path_inside_another_does_not_part_from_it(order: tuple[bool, bool]) -> None:
    tree = Tree("root")
    first = end(tree, tree.root, "first", 0.5, order[0])
    end(tree, first, "rewrite", 0.6, order[1])
    assert reference_pairs(tree, is_right) == []


def test_a_gated_chains_rejected_rewrite_parts_from_the_accepted_one() -> None:
    tree = Tree("root")
    first = end(tree, tree.root, "first", 0.5, False)
    end(tree, first, "worse", 0.1, False)
    end(tree, first, "better", 0.9, True)
    (pair,) = reference_pairs(tree, is_right)
    assert (pair.ancestor.state, pair.accepted.state, pair.rejected.state) == ("first", "better", "worse")


def rolled_out(tree: Tree[str], state: str, **ends: bool | None) -> Node[str]:
    """Return a first step from which rollouts with these verdicts set out."""
    rollouts = tuple(Proposal(name, is_terminal=True, outcome=verdict) for name, verdict in ends.items())
    return tree.add_child(tree.root, Proposal(state, 0.5, rollouts=rollouts))


def test_rollouts_part_from_each_other_at_the_node_they_set_out_from() -> None:
    tree = Tree("root")
    start = rolled_out(tree, "start", right=True, wrong=False, unknown=None)
    (pair,) = reference_pairs(tree, is_right)
    assert (pair.ancestor, pair.depth) == (start, 1)
    assert (pair.accepted.state, pair.rejected.state) == ("right", "wrong")
    assert (pair.accepted_leaf, pair.rejected_leaf) == (pair.accepted, pair.rejected)
    assert pair.value_margin is None


def test_rollouts_part_from_the_tree_at_the_node_they_set_out_from(tree: Tree[str]) -> None:
    start = tree.add_child(tree.nodes[1], Proposal("start", 0.5, rollouts=(Proposal("wrong", outcome=False),)))
    (pair,) = (pair for pair in reference_pairs(tree, is_right) if pair.rejected_leaf.state == "wrong")
    assert (pair.ancestor.state, pair.accepted.state, pair.rejected) == ("a", "a right", start)


def test_a_rollout_and_a_child_of_the_same_node_part_there() -> None:
    tree = Tree("root")
    start = rolled_out(tree, "start", right=True)
    end(tree, start, "wrong", 0.9, False)
    (pair,) = reference_pairs(tree, is_right)
    assert (pair.ancestor, pair.accepted.state, pair.rejected.state) == (start, "right", "wrong")


def test_rollouts_of_different_branches_part_above_both() -> None:
    tree = Tree("root")
    good, bad = rolled_out(tree, "good", right=True), rolled_out(tree, "bad", wrong=False)
    (pair,) = reference_pairs(tree, is_right)
    assert (pair.ancestor, pair.accepted, pair.rejected) == (tree.root, good, bad)
    assert (pair.accepted_leaf.state, pair.rejected_leaf.state) == ("right", "wrong")
    assert pair.value_margin == 0.0


@pytest.mark.parametrize("keys", [("a", "b"), ("b", "a")])
def test_equal_right_paths_go_by_their_keys_whichever_was_first(keys: tuple[str, str]) -> None:
    for is_rollout in (False, True):
        tree = Tree("root")
        ends = tuple(Proposal(key, 0.5, is_terminal=True, key=key, outcome=True) for key in keys)
        start = tree.add_child(tree.root, Proposal("start", rollouts=ends if is_rollout else ()))
        for proposal in () if is_rollout else ends:
            tree.add_child(start, proposal)
        end(tree, tree.root, "wrong", 0.1, False)
        (pair,) = reference_pairs(tree, is_right)
        assert pair.accepted_leaf.state == "a"


def test_without_keys_the_first_created_of_equal_paths_goes_first_and_rollouts_last() -> None:
    tree = Tree("root")
    rolled_out(tree, "start", first=True, second=True)
    end(tree, tree.root, "wrong", 0.1, False)
    assert [pair.accepted_leaf.state for pair in reference_pairs(tree, is_right)] == ["first"]
    end(tree, tree.nodes[1], "child", None, True)
    assert [pair.accepted_leaf.state for pair in reference_pairs(tree, is_right)] == ["child"]


def test_the_best_right_path_is_set_against_the_worst_wrong_one(tree: Tree[str]) -> None:
    end(tree, tree.nodes[2], "b worst", 0.25, False)
    end(tree, tree.nodes[1], "a right too", 0.75, True)
    pair = best_worst_pair(tree, is_right)
    assert pair is not None
    assert (pair.accepted_leaf.state, pair.rejected_leaf.state) == ("a right", "b worst")
    assert (pair.ancestor.state, pair.accepted.state, pair.rejected.state) == ("root", "a", "b")


def test_a_wrong_path_of_unknown_value_is_the_worst_only_alone(tree: Tree[str]) -> None:
    pair = best_worst_pair(tree, is_right)
    assert pair is not None
    assert pair.rejected_leaf.state == "a wrong"
    pair = best_worst_pair(tree, lambda node: None if node.state == "a wrong" else is_right(node))
    assert pair is not None
    assert pair.rejected_leaf.state == "b wrong"


def test_a_rollout_can_be_the_worst_path_and_goes_last_among_equals() -> None:
    tree = Tree("root")
    rollouts = tuple(Proposal(name, 0.0, outcome=False) for name in ("first rolled", "second rolled"))
    start_of_rollouts = tree.add_child(tree.root, Proposal("start", 0.5, rollouts=rollouts))
    end(tree, tree.root, "right", 1.0, True)
    end(tree, tree.root, "wrong", 0.25, False)
    pair = best_worst_pair(tree, is_right)
    assert pair is not None
    assert (pair.rejected_leaf.state, pair.rejected) == ("first rolled", start_of_rollouts)
    end(tree, start_of_rollouts, "wrong too", 0.0, False)
    pair = best_worst_pair(tree, is_right)
    assert pair is not None
    assert pair.rejected_leaf.state == "wrong too"


def test_a_path_inside_the_reference_is_passed_over_and_alone_gives_no_pair() -> None:
    tree = Tree("root")
    first = end(tree, tree.root, "first", 0.0, False)
    end(tree, first, "rewrite", 0.5, True)
    assert best_worst_pair(tree, is_right) is None
    end(tree, first, "other rewrite", 0.25, False)
    pair = best_worst_pair(tree, is_right)
    assert pair is not None
    assert pair.rejected_leaf.state == "other rewrite"


def best_worst_pair(tree: Tree[str], is_right: Callable[[Node[str]], bool | None]) -> DivergentPair[str] | None:
    """Return the pair of the reference path and the worst wrong one that parts from it."""
    pairs = reference_pairs(tree, is_right)
    return min(pairs, key=lambda pair: worst_order(pair.rejected_leaf), default=None)


def with_children(tree: Tree[str], parent: Node[str], **values: float | None) -> list[Node[str]]:
    return [tree.add_child(parent, Proposal(name, value)) for name, value in values.items()]


def test_siblings_are_paired_best_against_worst_the_widest_margin_first() -> None:
    tree = Tree("root")
    low, _, high, _ = with_children(tree, tree.root, low=0.25, middle=0.5, high=0.5625, unknown=None)
    good, bad = with_children(tree, high, good=1.0, bad=0.0)
    with_children(tree, low, only=0.5)
    assert sibling_pairs(tree, min_margin=0.25, max_pairs=9) == [
        DivergentPair(high, good, bad, good, bad),
        DivergentPair(tree.root, high, low, high, low),
    ]
    assert [pair.value_margin for pair in sibling_pairs(tree, min_margin=0.3125, max_pairs=9)] == [1.0, 0.3125]
    assert [pair.ancestor for pair in sibling_pairs(tree, min_margin=0.5, max_pairs=9)] == [high]
    assert [pair.ancestor for pair in sibling_pairs(tree, min_margin=0.0, max_pairs=1)] == [high]


def test_siblings_are_compared_by_what_the_search_made_of_their_values() -> None:
    tree = Tree("root")
    first, second = with_children(tree, tree.root, first=0.75, second=0.25)
    tree.observe_mean([second], 1.0)
    tree.observe_mean([first], 0.0)
    (pair,) = sibling_pairs(tree, min_margin=0.25, max_pairs=9)
    assert (pair.accepted, pair.rejected, pair.value_margin) == (second, first, 0.25)


def test_siblings_of_equal_value_and_rollouts_are_never_paired() -> None:
    tree = Tree("root")
    rolled_out(tree, "start", right=True, wrong=False)
    with_children(tree, tree.root, same=0.5, unknown=None)
    assert sibling_pairs(tree, min_margin=0.0, max_pairs=9) == []
    assert sibling_pairs(Tree("root"), min_margin=0.0, max_pairs=9) == []


@pytest.mark.parametrize("keys", [("a", "b"), ("b", "a")])
def test_equal_siblings_go_by_their_keys_whichever_was_first(keys: tuple[str, str]) -> None:
    tree = Tree("root")
    for value in (1.0, 0.0):
        for key in keys:
            tree.add_child(tree.root, Proposal(f"{key} {value}", value, key=key))
    (pair,) = sibling_pairs(tree, min_margin=0.0, max_pairs=9)
    assert (pair.accepted.state, pair.rejected.state) == ("a 1.0", "a 0.0")


def test_equal_margins_go_by_the_ancestor_that_was_created_first() -> None:
    tree = Tree("root")
    nodes = with_children(tree, tree.root, first=0.5, second=0.5)
    for node in reversed(nodes):
        with_children(tree, node, high=0.75, low=0.25)
    assert [pair.ancestor for pair in sibling_pairs(tree, min_margin=0.5, max_pairs=9)] == nodes


@pytest.mark.parametrize("min_margin", [-0.1, 1.1, float("nan")])
def test_min_margin_must_be_a_share(tree: Tree[str], min_margin: float) -> None:
    with pytest.raises(ValueError, match="min_margin must lie in"):
        sibling_pairs(tree, min_margin=min_margin, max_pairs=1)
    with pytest.raises(ValueError, match="max_pairs must be"):
        sibling_pairs(tree, min_margin=0.5, max_pairs=0)


def random_tree(family: str, seed: int) -> Tree[int]:
    """Return the tree of a short random search."""
    draw = random.Random(seed)
    strategy = start(FAMILIES[family](draw), seed=seed, limits=Limits(Budget(max_simulations=25)))
    mind = random_mind(draw, is_exact=True)
    while not strategy.is_done:
        for trial in strategy.ask(2):
            strategy.tell(trial, mind.proposals(trial.num_proposals))
    return strategy.tree


def is_a(node: Node[int]) -> bool | None:
    return None if node.outcome is None else node.outcome == "a"


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("seed", range(8))
def test_sibling_pairs_hold_the_widest_two_of_every_node(family: str, seed: int) -> None:
    tree = random_tree(family, seed)
    margins: dict[int, float] = {}
    for node in tree.nodes:
        values = [child.search_value for child in node.children if child.search_value is not None]
        if values and max(values) - min(values) > 0:
            margins[node.node_id] = max(values) - min(values)
    pairs = sibling_pairs(tree, min_margin=0.0, max_pairs=len(tree))
    assert {pair.ancestor.node_id: pair.value_margin for pair in pairs} == margins
    assert [pair.value_margin for pair in pairs] == sorted(margins.values(), reverse=True)
    for pair in pairs:
        assert pair.accepted.parent is pair.rejected.parent is pair.ancestor
        assert (pair.accepted_leaf, pair.rejected_leaf) == (pair.accepted, pair.rejected)
    assert (
        sibling_pairs(tree, min_margin=0.25, max_pairs=3)
        == [pair for pair in pairs if (pair.value_margin or 0.0) >= 0.25][:3]
    )


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("seed", range(8))
def test_best_worst_pair_is_the_reference_and_the_lowest_wrong_path_that_parts_from_it(family: str, seed: int) -> None:
    tree = random_tree(family, seed)
    pairs = reference_pairs(tree, is_a)
    pair = best_worst_pair(tree, is_a)
    if pair is None:
        assert not pairs
        return
    assert pair in pairs
    known = [each.rejected_leaf.value for each in pairs if each.rejected_leaf.value is not None]
    assert pair.rejected_leaf.value == min(known, default=None)
    rights = [end.value for end in (*tree.finished, *tree.rollouts) if is_a(end) and end.value is not None]
    assert pair.accepted_leaf.value == max(rights, default=None)
