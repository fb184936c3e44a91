from __future__ import annotations

import random

import pytest

from search import (
    Budget,
    DivergentPair,
    Limits,
    Node,
    Proposal,
    Tree,
    reference_order,
    sibling_pairs,
    worst_order,
)
from tests.search.worlds import FAMILIES, random_mind, start


def end(tree: Tree[str], parent: Node[str], state: str, value: float | None, outcome: bool | None) -> Node[str]:
    return tree.add_child(parent, Proposal(state, value, is_terminal=True, outcome=outcome))


def best_first(tree: Tree[str]) -> list[str]:
    right = [node for node in (*tree.finished, *tree.rollouts) if node.outcome is True]
    return [node.state for node in sorted(right, key=lambda node: reference_order(tree, node))]


def worst_first(tree: Tree[str]) -> list[str]:
    wrong = [node for node in (*tree.finished, *tree.rollouts) if node.outcome is False]
    return [node.state for node in sorted(wrong, key=worst_order)]


def rolled_out(tree: Tree[str], state: str, **ends: bool | None) -> Node[str]:
    """Return a first step from which rollouts with these verdicts set out."""
    rollouts = tuple(Proposal(name, is_terminal=True, outcome=verdict) for name, verdict in ends.items())
    return tree.add_child(tree.root, Proposal(state, 0.5, rollouts=rollouts))


@pytest.mark.parametrize("keys", [("a", "b"), ("b", "a")])
@pytest.mark.parametrize("outcome", [True, False])
def test_equal_paths_go_by_their_keys_whichever_was_first(keys: tuple[str, str], outcome: bool) -> None:
    for is_rollout in (False, True):
        tree = Tree("root")
        ends = tuple(Proposal(key, 0.5, is_terminal=True, key=key, outcome=outcome) for key in keys)
        start = tree.add_child(tree.root, Proposal("start", rollouts=ends if is_rollout else ()))
        for proposal in () if is_rollout else ends:
            tree.add_child(start, proposal)
        assert (best_first if outcome else worst_first)(tree) == ["a", "b"]


def test_without_keys_the_first_created_of_equal_paths_goes_first_and_rollouts_last() -> None:
    tree = Tree("root")
    rolled_out(tree, "start", first=True, second=True)
    assert best_first(tree) == ["first", "second"]
    end(tree, tree.nodes[1], "child", None, True)
    end(tree, tree.nodes[1], "other child", None, True)
    assert best_first(tree) == ["child", "other child", "first", "second"]


def test_the_worst_wrong_path_has_the_lowest_value_and_an_unknown_one_comes_last() -> None:
    tree = Tree("root")
    for name, value in (("middle", 0.5), ("unknown", None), ("high", 0.75), ("low", 0.25)):
        end(tree, tree.root, name, value, False)
    assert worst_first(tree) == ["low", "middle", "high", "unknown"]


def test_a_rollout_can_be_the_worst_path_and_goes_last_among_equals() -> None:
    tree = Tree("root")
    rollouts = tuple(Proposal(name, 0.0, outcome=False) for name in ("first rolled", "second rolled"))
    start_of_rollouts = tree.add_child(tree.root, Proposal("start", 0.5, rollouts=rollouts))
    end(tree, tree.root, "wrong", 0.25, False)
    assert worst_first(tree) == ["first rolled", "second rolled", "wrong"]
    end(tree, start_of_rollouts, "wrong too", 0.0, False)
    end(tree, tree.root, "short", 0.0, False)
    assert worst_first(tree) == ["short", "wrong too", "first rolled", "second rolled", "wrong"]


def with_children(tree: Tree[str], parent: Node[str], **values: float | None) -> list[Node[str]]:
    return [tree.add_child(parent, Proposal(name, value)) for name, value in values.items()]


def test_siblings_are_paired_best_against_worst_the_widest_margin_first() -> None:
    tree = Tree("root")
    low, _, high, _ = with_children(tree, tree.root, low=0.25, middle=0.5, high=0.5625, unknown=None)
    good, bad = with_children(tree, high, good=1.0, bad=0.0)
    with_children(tree, low, only=0.5)
    assert sibling_pairs(tree, min_margin=0.25, max_pairs=9) == [
        DivergentPair(high, good, bad, 1.0),
        DivergentPair(tree.root, high, low, 0.3125),
    ]
    assert [pair.ancestor for pair in sibling_pairs(tree, min_margin=0.3125, max_pairs=9)] == [high, tree.root]
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
def test_min_margin_must_be_a_share(min_margin: float) -> None:
    tree = Tree("root")
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
    assert (
        sibling_pairs(tree, min_margin=0.25, max_pairs=3) == [pair for pair in pairs if pair.value_margin >= 0.25][:3]
    )
