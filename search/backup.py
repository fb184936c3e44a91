"""Back up: update the values of the nodes above a told trial."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal, TypeAlias

from search.tree import Node, S, Tree

BackupRule: TypeAlias = Literal["mean", "max", "halfway", "decayed"]
BACKUP_RULES: tuple[BackupRule, ...] = ("mean", "max", "halfway", "decayed")
DECAY_RATE = 0.1
"""LLaMA-Berry's (arXiv 2410.02884)."""


def trial_value(values: Iterable[float | None], rule: BackupRule) -> float | None:
    """Return the maximum of the known values with ``max``, else their mean; None when none is known."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return max(known) if rule == "max" else math.fsum(known) / len(known)


def back_up(tree: Tree[S], node: Node[S], value: float | None, rule: BackupRule, *, rate: float = DECAY_RATE) -> None:
    """Let the nodes from ``node`` up to the root observe ``value``; an unknown one changes nothing.

    Q becomes, from ``node`` upwards,

    - ``mean``: the mean of a node's observations (Kocsis and Szepesvari, 2006).
    - ``max``: the largest of them, for a search for one good path.
    - ``halfway``: ``(Q + max_j Q_j) / 2`` over the children j with a Q (MCTSr, Zhang et al., 2024, arXiv 2406.07394).
    - ``decayed``: ``(1 - rate) * Q + rate * V``, V being ``value`` at ``node`` and the new Q of the node below at those
      above it (LLaMA-Berry, Zhang et al., 2024, arXiv 2410.02884).

    The last two leave a node that had no Q with ``max_j Q_j`` and V.
    """
    if value is None:
        return
    if rule == "mean":
        tree.observe_mean(_upwards(node), value)
    elif rule == "max":
        tree.observe_max(_upwards(node), value)
    else:
        below = value
        for place in _upwards(node):
            target = _highest_child(place, value) if rule == "halfway" else below
            weight = 0.5 if rule == "halfway" else rate
            before = place.search_value
            below = target if before is None else (1 - weight) * before + weight * target
            tree.observe_as(place, value, below)


def learn(tree: Tree[S], node: Node[S], value: float, rule: BackupRule, *, rate: float = DECAY_RATE) -> None:
    """Set the own value of ``node``, which had none, and let ``node`` observe it.

    Q becomes the mean or maximum of all observations with ``mean`` and ``max``, ``(Q + value) / 2`` with ``halfway``
    and ``(1 - rate) * value + rate * Q`` with ``decayed``, and ``value`` where there was no Q.
    """
    tree.learn_value(node, value)
    before = node.search_value
    if rule == "mean":
        tree.observe_mean((node,), value)
    elif rule == "max":
        tree.observe_max((node,), value)
    else:
        weight = 0.5 if rule == "halfway" else rate
        tree.observe_as(node, value, value if before is None else (1 - weight) * value + weight * before)


def _upwards(node: Node[S]) -> Iterable[Node[S]]:
    place: Node[S] | None = node
    while place is not None:
        yield place
        place = place.parent


def _highest_child(node: Node[S], default: float) -> float:
    return max((child.search_value for child in node.children if child.search_value is not None), default=default)
