"""Best of N: independent samples at the root, all of which may be in flight at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from search.backup import back_up
from search.budget import NO_LIMIT, Budget, StopReason
from search.checks import check_at_least
from search.strategy import Strategy
from search.tree import Node, Proposal, S


@dataclass(frozen=True, slots=True)
class BestOfNOptions:
    """Options of ``BestOfN``."""

    num_samples: int
    """N, the trials told before the search is done."""
    max_abandons: int = 3
    """Abandons in a row after which nothing more is asked."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_at_least("num_samples", self.num_samples, 1)
        check_at_least("max_abandons", self.max_abandons, 1)


class BestOfN(Strategy[S]):
    """Asks for one proposal at the root, N times.

    Samples are never merged, whatever their keys: each is one vote. A proposal that is not terminal stays in the
    tree as an unfinished solution.
    """

    def __init__(
        self, options: BestOfNOptions, *, rng: numpy.random.Generator, root: S, budget: Budget = NO_LIMIT
    ) -> None:
        """Start at ``root``."""
        super().__init__(rng=rng, root=root, budget=budget, max_abandons=options.max_abandons)
        self._options = options

    def _is_open(self) -> bool:
        num_started = self._num_told + len(self._pending)
        return num_started < self._options.num_samples and not self._has_failed(self._tree.root)

    def _next_place(self) -> tuple[Node[S], int]:
        return self._tree.root, 1

    def _receive(self, node: Node[S], proposals: Sequence[Proposal[S]]) -> None:
        for proposal in proposals:
            child = self._tree.add_child(node, proposal)
            back_up(self._tree, self._tree.path(node), child.value, "mean")

    def _goal(self) -> StopReason | None:
        return StopReason.NUM_SAMPLES if self._num_told >= self._options.num_samples else None
