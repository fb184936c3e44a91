"""Order right and wrong paths for preference pairs, and pair each node's best child with its worst."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Generic

from search.checks import check_at_least, check_share
from search.decision import path_log_prior, place_order
from search.tree import Node, S, Tree


@dataclass(frozen=True, slots=True)
class DivergentPair(Generic[S]):
    """Two children of one node, the better and the worse."""

    ancestor: Node[S]
    """The node that both continue."""
    accepted: Node[S]
    """The better child."""
    rejected: Node[S]
    """The worse child."""
    value_margin: float
    """Q of ``accepted`` less Q of ``rejected``, in (0, 1]."""


def reference_order(tree: Tree[S], leaf: Node[S]) -> tuple[bool, float, bool, float, tuple[int, list[str]], bool, int]:
    """Order right paths; the first is the reference path, which wrong paths are compared with.

    By own value, highest first and unknown last; then by the product of the priors on the path, likeliest first and
    unknown last; then shortest first, then by keys, then by creation, rollouts last. The priors count because wrong
    steps can reach a right answer, and less likely ones do so more often.
    """
    log_prior = path_log_prior(tree, leaf)
    is_unknown, negated, place, is_rollout, number = _leaf_order(leaf)
    return (is_unknown, negated, log_prior is None, -(log_prior or 0.0), place, is_rollout, number)


def worst_order(leaf: Node[S]) -> tuple[bool, float, tuple[int, list[str]], bool, int]:
    """Order wrong paths: by own value, lowest first and unknown last, then by length, by keys and by creation."""
    is_unknown, negated, place, is_rollout, number = _leaf_order(leaf)
    return (is_unknown, -negated, place, is_rollout, number)


def sibling_pairs(tree: Tree[S], *, min_margin: float, max_pairs: int) -> list[DivergentPair[S]]:
    """Return, for each node, its child of the highest Q with its child of the lowest: MCTS-DPO, arXiv 2405.00451.

    No answer is needed: Q alone says which step is better. Children of equal Q are never paired, nor those of unknown
    Q, nor rollouts. A node gives one pair at most, as its other children lie between the two. Of equal children the one
    whose key comes first goes first, then the first created. The widest ``value_margin`` comes first, then the first
    ancestor created. Linear in the size of the tree.

    Args:
        tree: Any tree.
        min_margin: Least difference of Q, in [0, 1].
        max_pairs: At least 1.
    """
    check_share("min_margin", min_margin)
    check_at_least("max_pairs", max_pairs, 1)
    pairs = (pair for node in tree.nodes if (pair := _extreme_children(node)) is not None)
    wide = (pair for pair in pairs if pair.value_margin >= min_margin)
    return heapq.nlargest(max_pairs, wide, key=lambda pair: pair.value_margin)


def _extreme_children(node: Node[S]) -> DivergentPair[S] | None:
    """Return the children of the highest and the lowest Q; None when no two differ."""
    known = [(child.search_value, child) for child in node.children if child.search_value is not None]
    if not known:
        return None
    highest, best = min(known, key=lambda each: (-each[0], repr(each[1].key), each[1].node_id))
    lowest, worst = min(known, key=lambda each: (each[0], repr(each[1].key), each[1].node_id))
    return DivergentPair(node, best, worst, highest - lowest) if highest > lowest else None


def _leaf_order(leaf: Node[S]) -> tuple[bool, float, tuple[int, list[str]], bool, int]:
    """Order by own value, highest first and unknown last, by length, by keys, then by creation, rollouts last."""
    return (leaf.value is None, -(leaf.value or 0.0), place_order(leaf), leaf.node_id < 0, abs(leaf.node_id))
