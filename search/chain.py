"""Chain: a first solution, then one rewrite after another (MMC and Critic-V inference)."""

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
class ChainOptions:
    """Options of ``Chain``."""

    max_rounds: int = 5
    """Rewrites after the first solution."""
    is_gated: bool = False
    """Whether a rewrite must have a higher value than the current solution to replace it."""
    max_abandons: int = MAX_ABANDONS
    """Abandons in a row at one solution after which nothing more is asked."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_at_least("max_rounds", self.max_rounds, 0)
        check_at_least("max_abandons", self.max_abandons, 1)


class Chain(Strategy[S]):
    """Asks for one solution at the root, then for one rewrite of the current solution at a time.

    A rewrite is a child of what it rewrites, finished or not. Ungated, each rewrite becomes current, as in MMC (arXiv
    2504.11009, section on inference), which stops at ``value > gamma`` or after 5 rounds, and in Critic-V (arXiv
    2411.18203), after 1. Gated, a rewrite becomes current only if its value is known and higher than the current one,
    or the current one is unknown; the next rewrite starts from the same solution otherwise.
    """

    def __init__(
        self, options: ChainOptions, *, rng: numpy.random.Generator, root: S, limits: Limits = NO_LIMITS
    ) -> None:
        """Start at ``root``, which is no solution yet."""
        super().__init__(rng=rng, root=root, limits=limits, max_abandons=options.max_abandons)
        self._options = options
        self._current = self._tree.root

    @property
    def current(self) -> Node[S]:
        """The current solution, from which the next rewrite starts; the root before there is one."""
        return self._current

    def _is_open(self) -> bool:
        return not self._pending and not self._has_failed(self._current)

    def _next_trial(self, trial_id: int) -> Trial[S]:
        return Trial(trial_id, self._current, 1)

    def _receive(self, trial: Trial[S], proposals: Sequence[Proposal[S]]) -> list[Node[S]]:
        children = [self._tree.add_child(trial.node, proposal) for proposal in proposals]
        for child in children:
            back_up(self._tree, trial.node, child.value, "mean")
            if self._is_accepted(child):
                self._current = child
            if self._current.is_terminal:
                self._tree.keep(self._current)
        return children

    def _is_accepted(self, child: Node[S]) -> bool:
        if not self._options.is_gated or self._current.parent is None:
            return True
        if child.value is None:
            return False
        return self._current.value is None or child.value > self._current.value

    def _goal(self) -> StopReason | None:
        return StopReason.ROUNDS if self._num_told > self._options.max_rounds else None
