"""Back up: what a told trial says about the nodes above it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

from search.tree import Node, S, Tree

BackupRule: TypeAlias = Literal["mean", "max"]
BACKUP_RULES: tuple[BackupRule, ...] = ("mean", "max")


def trial_value(values: Iterable[float | None], rule: BackupRule) -> float | None:
    """Return the mean or the maximum of the known values; None, not a number, when none is known."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return max(known) if rule == "max" else sum(known) / len(known)


def back_up(tree: Tree[S], nodes: Iterable[Node[S]], value: float | None, rule: BackupRule) -> None:
    """Add ``value`` to the observations of ``nodes``, a path as a rule; an unknown one adds nothing.

    With ``mean``, Q is the mean of a node's observations (Kocsis and Szepesvari, 2006); with ``max``, the largest
    value known at the node or below it, which is what a search for one good path wants.
    """
    if value is None:
        return
    if rule == "max":
        tree.observe_max(nodes, value)
    else:
        tree.observe_mean(nodes, value)
