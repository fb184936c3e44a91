"""Expand: turn the proposals of a told trial into children."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from search.backup import DECAY_RATE, BackupRule, learn
from search.tree import Node, Proposal, S, Tree


@dataclass(frozen=True, slots=True)
class Growth:
    """Rules for a child that is added or proposed again."""

    max_depth: int | None
    """Steps from the root at which a path is not continued; None is no limit."""
    is_refining: bool
    """Whether a finished path may be continued, as a solution is by a rewrite."""
    backup: BackupRule
    """Rule by which a value that becomes known later is observed."""
    rate: float = DECAY_RATE
    """Rate of ``decayed`` backup."""


def expand(
    tree: Tree[S],
    node: Node[S],
    proposals: Sequence[Proposal[S]],
    *,
    growth: Growth,
    by_key: dict[Hashable, Node[S]] | None = None,
) -> list[Node[S]]:
    """Add ``proposals`` under ``node`` and return each one's node, in order; merged ones share theirs.

    A proposal whose key a child has already is that child: the child stays as it is, save that an unknown value
    becomes known. ``by_key`` holds the children that have a key, by key, and takes in the new ones; a caller that keeps
    it from call to call spares looking through the children each time.
    """
    if by_key is None:
        is_keyed = any(proposal.key is not None for proposal in proposals)
        by_key = {child.key: child for child in node.children if child.key is not None} if is_keyed else {}
    is_inner = growth.max_depth is None or node.depth + 1 < growth.max_depth
    places: list[Node[S]] = []
    for proposal in proposals:
        child = by_key.get(proposal.key)
        if child is None:
            child = tree.add_child(
                node, proposal, is_expandable=is_inner and (growth.is_refining or not proposal.is_terminal)
            )
            if proposal.key is not None:
                by_key[proposal.key] = child
        elif child.value is None and proposal.value is not None:
            learn(tree, child, proposal.value, growth.backup, rate=growth.rate)
        places.append(child)
    return places
