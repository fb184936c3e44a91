"""Divergence: two paths that part at a common ancestor, finished ones of which one is right, or siblings by value.

Rollouts count like any other finished path: they part from the tree at the node they set out from.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeAlias

from search.checks import check_at_least, check_share
from search.decision import path_log_prior, place_order
from search.tree import Node, S, Tree

IsRight: TypeAlias = Callable[[Node[S]], bool | None]


@dataclass(frozen=True, slots=True)
class DivergentPair(Generic[S]):
    """A right and a wrong path, seen from where they part; for ``sibling_pairs``, a better and a worse first step."""

    ancestor: Node[S]
    """The lowest common ancestor."""
    accepted: Node[S]
    """First node of the right, or better, path below ``ancestor``."""
    rejected: Node[S]
    """First node of the wrong, or worse, path below ``ancestor``."""
    accepted_leaf: Node[S]
    """Where the right, or better, path ends."""
    rejected_leaf: Node[S]
    """Where the wrong, or worse, path ends."""

    @property
    def depth(self) -> int:
        """Steps that the two paths share."""
        return self.ancestor.depth

    @property
    def value_margin(self) -> float | None:
        """Q of ``accepted`` less Q of ``rejected``, in [-1, 1]; None when either is unknown."""
        if self.accepted.search_value is None or self.rejected.search_value is None:
            return None
        return self.accepted.search_value - self.rejected.search_value


def reference_pairs(tree: Tree[S], is_right: IsRight[S]) -> list[DivergentPair[S]]:
    """Return one pair for each wrong path, all against one reference path: MMC, arXiv 2504.11009, stage 2.

    The reference is the right path that ends in the highest value, then the likeliest by the priors on it, then the
    shortest, then the one whose keys come first, then the first created, rollouts last: right answers are reached by
    wrong steps too, and less likely ones more often so. A wrong path that contains it or is contained in it
    never parts from it and gives no pair. Linear in the lengths of the paths.

    Args:
        tree: Any tree.
        is_right: Says of a finished node whether its answer is right; None is unknown, and the path is skipped.
    """
    right, wrong = _sorted_out(tree, is_right)
    if not right:
        return []
    reference = min(right, key=lambda leaf: reference_order(tree, leaf))
    on_path = {node.node_id: node for node in tree.path(reference)}
    pairs: list[DivergentPair[S]] = []
    for leaf in wrong:
        rejected, ancestor = leaf, leaf.parent
        while ancestor is not None and ancestor.node_id not in on_path:
            rejected, ancestor = ancestor, ancestor.parent
        if ancestor is None or ancestor is reference or rejected.node_id in on_path:
            continue
        accepted = _child_towards(reference, ancestor)
        pairs.append(DivergentPair(ancestor, accepted, rejected, reference, leaf))
    return pairs


def reference_order(tree: Tree[S], leaf: Node[S]) -> tuple[bool, float, bool, float, tuple[int, list[str]], bool, int]:
    """Order right paths as the reference path is chosen: the first of them is the one of ``reference_pairs``."""
    log_prior = path_log_prior(tree, leaf)
    is_unknown, negated, place, is_rollout, number = _leaf_order(leaf)
    return (is_unknown, negated, log_prior is None, -(log_prior or 0.0), place, is_rollout, number)


def worst_order(leaf: Node[S]) -> tuple[bool, float, tuple[int, list[str]], bool, int]:
    """Order wrong paths, the worst first: by own value, lowest first and unknown last, then as right ones are."""
    is_unknown, negated, place, is_rollout, number = _leaf_order(leaf)
    return (is_unknown, -negated, place, is_rollout, number)


def sibling_pairs(tree: Tree[S], *, min_margin: float, max_pairs: int) -> list[DivergentPair[S]]:
    """Return, for each node, its child of the highest Q against that of the lowest: MCTS-DPO, arXiv 2405.00451.

    No answer is needed: Q alone says which step is better, and both leaves are the children themselves, finished or
    not. Children of equal Q are never paired, nor those of unknown Q, nor rollouts. A node gives one pair at most, as
    its other children lie between the two. Of equal children the one whose key comes first goes first, then the first
    created. The widest ``value_margin`` comes first, then the first ancestor created. Linear in the size of the tree.

    Args:
        tree: Any tree.
        min_margin: Least difference of Q, in [0, 1].
        max_pairs: At least 1.
    """
    check_share("min_margin", min_margin)
    check_at_least("max_pairs", max_pairs, 1)
    pairs = (pair for node in tree.nodes if (pair := _extreme_children(node)) is not None)
    wide = (pair for pair in pairs if (pair.value_margin or 0.0) >= min_margin)
    return heapq.nsmallest(max_pairs, wide, key=_margin_order)


def _sorted_out(tree: Tree[S], is_right: IsRight[S]) -> tuple[list[Node[S]], list[Node[S]]]:
    right: list[Node[S]] = []
    wrong: list[Node[S]] = []
    for node in (*tree.finished, *tree.rollouts):
        verdict = is_right(node)
        if verdict is not None:
            (right if verdict else wrong).append(node)
    return right, wrong


def _child_towards(leaf: Node[S], ancestor: Node[S]) -> Node[S]:
    node = leaf
    while node.parent is not None and node.parent is not ancestor:
        node = node.parent
    return node


def _extreme_children(node: Node[S]) -> DivergentPair[S] | None:
    """Return the children of the highest and the lowest Q; None when no two differ."""
    known = [(child.search_value, child) for child in node.children if child.search_value is not None]
    if not known:
        return None
    highest, best = min(known, key=lambda each: (-each[0], repr(each[1].key), each[1].node_id))
    lowest, worst = min(known, key=lambda each: (each[0], repr(each[1].key), each[1].node_id))
    return DivergentPair(node, best, worst, best, worst) if highest > lowest else None


def _leaf_order(leaf: Node[S]) -> tuple[bool, float, tuple[int, list[str]], bool, int]:
    """Order by own value, highest first and unknown last, by length, by keys, then by creation, rollouts last."""
    return (leaf.value is None, -(leaf.value or 0.0), place_order(leaf), leaf.node_id < 0, abs(leaf.node_id))


def _margin_order(pair: DivergentPair[S]) -> tuple[bool, float]:
    margin = pair.value_margin
    return (margin is None, -(margin or 0.0))
