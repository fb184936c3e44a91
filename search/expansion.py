"""Expand: turn the proposals of a told trial into children."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from search.backup import BackupRule, back_up
from search.tree import Node, Proposal, S, Tree


def expand(
    tree: Tree[S], node: Node[S], proposals: Sequence[Proposal[S]], *, max_depth: int | None, backup: BackupRule
) -> list[Node[S]]:
    """Add ``proposals`` under ``node`` and return each one's node, in order; merged ones share theirs.

    A proposal whose key a child has already is that child: the child stays as it is, save that an unknown value
    becomes known.
    """
    by_key: dict[Hashable, Node[S]] = {}
    if any(proposal.key is not None for proposal in proposals):
        by_key.update((child.key, child) for child in node.children if child.key is not None)
    is_inner = max_depth is None or node.depth + 1 < max_depth
    places: list[Node[S]] = []
    for proposal in proposals:
        child = by_key.get(proposal.key)
        if child is None:
            child = tree.add_child(node, proposal, is_expandable=is_inner and not proposal.is_terminal)
            if proposal.key is not None:
                by_key[proposal.key] = child
        elif child.value is None and proposal.value is not None:
            tree.learn_value(child, proposal.value)
            back_up(tree, (child,), proposal.value, backup)
        places.append(child)
    return places
