from __future__ import annotations

import math
import sys
from typing import Any

import numpy
import pytest

from search import Proposal, Tree


@pytest.mark.parametrize("name", ["value", "prior"])
@pytest.mark.parametrize("number", [-0.01, 1.01, math.nan, math.inf])
def test_a_proposal_out_of_range_names_its_argument(name: str, number: float) -> None:
    with pytest.raises(ValueError, match=rf"{name} must lie in \[0, 1\], got"):
        Proposal(0, **{name: number})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["key", "outcome"])
def test_a_proposal_refuses_what_cannot_be_hashed(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be hashable"):
        Proposal(0, **{name: []})  # type: ignore[arg-type]


def test_a_proposal_keeps_plain_floats() -> None:
    float_like: Any = numpy.float32(0.5)
    proposal = Proposal(0, float_like, numpy.float64(0.25))
    assert type(proposal.value) is float
    assert type(proposal.prior) is float


def test_an_unknown_value_is_not_zero() -> None:
    tree = Tree(0)
    unknown, zero = tree.add_child(tree.root, Proposal(1)), tree.add_child(tree.root, Proposal(2, 0.0))
    assert (unknown.value, unknown.search_value, unknown.value_count) == (None, None, 0)
    assert (zero.value, zero.search_value, zero.value_count) == (0.0, 0.0, 1)


def test_nodes_stand_at_their_ids_and_paths_lead_from_the_root() -> None:
    tree = Tree("root")
    step = tree.add_child(tree.root, Proposal("step"))
    leaf = tree.add_child(step, Proposal("leaf", is_terminal=True, outcome=7))
    assert [node.node_id for node in tree.nodes] == [0, 1, 2]
    assert tree.path(leaf) == [tree.root, step, leaf]
    assert tree.path(tree.root) == [tree.root]
    assert (len(tree), list(tree.finished), leaf.depth, leaf.outcome) == (3, [leaf], 2, 7)
    assert list(tree.root.children) == [step]


def test_a_terminal_node_may_have_children() -> None:
    tree = Tree(0)
    first = tree.add_child(tree.root, Proposal(1, is_terminal=True))
    second = tree.add_child(first, Proposal(2, is_terminal=True))
    assert tree.path(second) == [tree.root, first, second]
    assert list(tree.finished) == [first, second]


def test_the_newest_finished_path_stands_last_unless_one_is_kept() -> None:
    tree = Tree(0)
    assert Tree(0).last is None
    first = tree.add_child(tree.root, Proposal(1, is_terminal=True))
    second = tree.add_child(tree.root, Proposal(2, is_terminal=True))
    assert tree.last == second
    tree.keep(first)
    assert tree.last == first


def test_release_undoes_reserve_on_the_whole_path() -> None:
    tree = Tree(0)
    child = tree.add_child(tree.root, Proposal(1))
    tree.reserve(child, 4)
    assert (tree.root.pending_count, child.pending_count, child.num_asked) == (1, 1, 4)
    tree.release(child, 4)
    assert (tree.root.pending_count, child.pending_count, child.num_asked) == (0, 0, 0)
    assert tree.root.visit_count == 0


def test_prior_mass_is_unknown_once_a_prior_is() -> None:
    tree = Tree(0)
    tree.add_child(tree.root, Proposal(1, prior=0.25))
    tree.add_child(tree.root, Proposal(2, prior=0.5))
    assert tree.root.prior_mass == 0.75
    tree.add_child(tree.root, Proposal(3))
    assert tree.root.prior_mass is None


def test_a_leaf_has_no_list_of_its_own_and_no_dict() -> None:
    tree = Tree(0)
    node = tree.add_child(tree.root, Proposal(1, 0.5, 0.5))
    assert not hasattr(node, "__dict__")
    assert node.children is Tree(0).root.children
    assert sys.getsizeof(node) + sys.getsizeof(tree.root.children) + 5 * sys.getsizeof(0.5) < 700


def test_a_node_shows_neither_its_state_nor_its_relatives() -> None:
    tree = Tree("a long state")
    assert "long" not in repr(tree.root)
