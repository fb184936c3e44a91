"""Which right path is the reference: the highest value, then the likeliest, then what does not depend on arrival."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from search import Node, Proposal, Tree, path_log_prior, reference_order
from tests.search.worlds import FAMILIES, random_mind, start


def end(
    tree: Tree[str],
    parent: Node[str],
    state: str,
    *,
    value: float | None = 1.0,
    prior: float | None = None,
    **more: object,
) -> Node[str]:
    fields = {"is_terminal": True, "outcome": True, "key": state, **more}
    return tree.add_child(parent, Proposal(state, value, prior, **fields))  # type: ignore[arg-type]


def reference(tree: Tree[str]) -> str:
    """Return the state of the reference path."""
    return min((*tree.finished, *tree.rollouts), key=lambda node: reference_order(tree, node)).state


def test_the_probability_of_a_path_is_the_product_of_its_priors() -> None:
    tree = Tree("root")
    half = tree.add_child(tree.root, Proposal("half", prior=0.5))
    eighth = tree.add_child(half, Proposal("eighth", prior=0.25))
    assert path_log_prior(tree, eighth) == pytest.approx(math.log(0.125))
    assert path_log_prior(tree, tree.root) == 0.0
    assert path_log_prior(tree, tree.add_child(half, Proposal("never", prior=0.0))) == -math.inf
    unknown = tree.add_child(half, Proposal("unknown"))
    assert path_log_prior(tree, unknown) is None
    assert path_log_prior(tree, tree.add_child(unknown, Proposal("known", prior=1.0))) is None


def test_paths_too_unlikely_for_a_float_are_still_told_apart() -> None:
    tree = Tree("root")
    for name, last in (("less", 1e-300), ("more", 1e-299)):
        node = tree.add_child(tree.root, Proposal(name, prior=1e-300))
        end(tree, node, name, prior=last)
    assert reference(tree) == "more"


def test_the_value_goes_before_the_likelihood_and_an_unknown_value_last() -> None:
    tree = Tree("root")
    end(tree, tree.root, "unknown", value=None, prior=1.0)
    assert reference(tree) == "unknown"
    end(tree, tree.root, "worthless", value=0.0, prior=0.001)
    assert reference(tree) == "worthless"
    end(tree, tree.root, "better", value=0.1, prior=0.0)
    assert reference(tree) == "better"


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_of_equal_values_the_likeliest_goes_first_and_an_unknown_likelihood_last(order: tuple[int, ...]) -> None:
    tree = Tree("root")
    priors = [0.2, 0.0, None, 0.3]
    for number in order:
        end(tree, tree.root, f"path {number}", prior=priors[number])
    assert reference(tree) == "path 3"
    right = sorted(tree.finished[:4], key=lambda node: reference_order(tree, node))
    assert [node.state for node in right] == ["path 3", "path 0", "path 1", "path 2"]


def test_a_sure_path_goes_before_all_others() -> None:
    tree = Tree("root")
    end(tree, tree.root, "nearly", prior=0.999)
    end(tree, tree.root, "sure", prior=1.0)
    assert reference(tree) == "sure"


def test_a_likely_rollout_goes_before_an_unlikely_path_and_behind_an_equal_one() -> None:
    tree = Tree("root")
    rollout = Proposal("rollout", 1.0, 0.5, is_terminal=True, outcome=True, key="k")
    tree.add_child(tree.root, Proposal("start", 0.5, 1.0, rollouts=(rollout,)))
    end(tree, tree.root, "path", prior=0.25)
    assert reference(tree) == "rollout"
    other = tree.add_child(tree.root, Proposal("other", 0.5, 1.0, key=None))
    end(tree, other, "equal", prior=0.5, key="k")
    assert reference(tree) == "equal"


def test_equally_likely_paths_go_by_their_length_and_then_by_their_keys() -> None:
    tree = Tree("root")
    first = tree.add_child(tree.root, Proposal("first", prior=1.0))
    end(tree, first, "long", prior=0.5)
    end(tree, tree.root, "b", prior=0.5)
    end(tree, tree.root, "a", prior=0.5)
    assert reference(tree) == "a"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", range(3))
def test_the_order_is_total_and_begins_with_the_highest_value_in_random_trees(family: str, seed: int) -> None:
    draw = random.Random(f"reference {family} {seed}")
    strategy = start(FAMILIES[family](draw), seed=seed)
    mind = random_mind(draw, is_exact=True)
    for _ in range(30):
        for trial in strategy.ask(limit=2):
            strategy.tell(trial, mind.proposals(trial.num_proposals))
    tree = strategy.tree
    right = [node for node in (*tree.finished, *tree.rollouts) if node.outcome == "a"]
    ranks = [reference_order(tree, node) for node in right]
    assert len(set(map(repr, ranks))) == len(right)
    values = [node.value for node in right if node.value is not None]
    if right:
        assert right[ranks.index(min(ranks))].value == max(values, default=None)
