"""Best of N: independent samples at the root, all of which may be in flight at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from search.backup import back_up
from search.budget import StopReason
from search.checks import check_at_least
from search.strategy import MAX_ABANDONS, NO_LIMITS, Limits, Strategy, Trial
from search.tree import Node, Proposal, S


@dataclass(frozen=True, slots=True)
class BestOfNOptions:
    """Options of ``BestOfN``."""

    num_samples: int
    """N, the trials told before the search is done."""
    max_abandons: int = MAX_ABANDONS
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
        self, options: BestOfNOptions, *, rng: numpy.random.Generator, root: S, limits: Limits = NO_LIMITS
    ) -> None:
        """Start at ``root``."""
        super().__init__(rng=rng, root=root, limits=limits, max_abandons=options.max_abandons)
        self._options = options

    def _is_open(self) -> bool:
        num_started = self._num_told + len(self._pending)
        return num_started < self._options.num_samples and not self._has_failed(self._tree.root)

    def _next_trial(self, trial_id: int) -> Trial[S]:
        return Trial(trial_id, self._tree.root, 1)

    def _receive(self, trial: Trial[S], proposals: Sequence[Proposal[S]]) -> list[Node[S]]:
        children = [self._tree.add_child(trial.node, proposal) for proposal in proposals]
        for child in children:
            back_up(self._tree, trial.node, child.value, "mean")
        return children

    def _goal(self) -> StopReason | None:
        return StopReason.NUM_SAMPLES if self._num_told >= self._options.num_samples else None
