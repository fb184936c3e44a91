"""Monte-Carlo tree search: select, ask, expand, back up, many trials in flight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from search.backup import BACKUP_RULES, DECAY_RATE, BackupRule, back_up, trial_value
from search.checks import check_at_least, check_choice, check_share
from search.expansion import Growth, expand
from search.selection import SELECTION_RULES, SelectionRule, SelectionTerms, renew_open, select
from search.strategy import MAX_ABANDONS, NO_LIMITS, Limits, Strategy, Trial
from search.tree import Node, Proposal, S


@dataclass(frozen=True, slots=True)
class MctsOptions:
    """Options of ``Mcts``."""

    selection: SelectionRule = "puct"
    """Rule that chooses a child on the way down."""
    exploration: float = 1.25
    """c of PUCT and UCT, not negative; ``greedy_value`` has none."""
    num_proposals: int = 4
    """Proposals that one trial asks for."""
    max_proposals: int = 4
    """Proposals that one node may receive in all, merged and missing ones included."""
    max_pending: int = 1
    """Trials that may be in flight at one node, which is not chosen again before one of them is settled. Their
    proposals come from one distribution; where the proposer is sure of itself, all but one are duplicates. Without
    effect with ``greedy_value``, which asks at no node while a trial is in flight at it or below it."""
    min_prior_left: float = 0.0
    """A node receives no more proposals when its children's priors leave less than this; unknown priors leave all."""
    max_depth: int | None = None
    """Steps from the root at which a path is not continued; None is no limit."""
    backup: BackupRule = "mean"
    """Rule that makes Q from the values below a node."""
    backup_rate: float = DECAY_RATE
    """Weight of a new value against the former Q, in [0, 1], with ``decayed`` backup."""
    is_refining: bool = False
    """Whether a finished path may be continued, as a whole solution is by a rewrite."""
    max_abandons: int = MAX_ABANDONS
    """Abandons in a row after which a node is not asked again."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_choice("selection", self.selection, SELECTION_RULES)
        check_choice("backup", self.backup, BACKUP_RULES)
        check_at_least("exploration", self.exploration, 0)
        check_at_least("num_proposals", self.num_proposals, 1)
        check_at_least("max_proposals", self.max_proposals, self.num_proposals)
        check_at_least("max_pending", self.max_pending, 1)
        check_at_least("max_abandons", self.max_abandons, 1)
        check_share("min_prior_left", self.min_prior_left)
        if self.max_depth is not None:
            check_at_least("max_depth", self.max_depth, 1)
        check_share("backup_rate", self.backup_rate)


class Mcts(Strategy[S]):
    """Tree search with PUCT, UCT or greedy selection (MMC), and pending visits counted as in WU-UCT.

    A node is open while a trial can be started at it or below it; only open nodes are selected, so terminal ones,
    those at ``max_depth`` and exhausted subtrees cost nothing. The flags are renewed upwards from each change.
    """

    def __init__(
        self, options: MctsOptions, *, rng: numpy.random.Generator, root: S, limits: Limits = NO_LIMITS
    ) -> None:
        """Start at ``root``; without limits the search ends only when ``options`` end it."""
        super().__init__(rng=rng, root=root, limits=limits, max_abandons=options.max_abandons)
        self._options = options
        self._terms = SelectionTerms(options.exploration, options.max_proposals)
        self._growth = Growth(options.max_depth, options.is_refining, options.backup, options.backup_rate)
        self._refresh(self._tree.root)

    def _is_open(self) -> bool:
        return self._tree.root.is_open

    def _next_trial(self, trial_id: int) -> Trial[S]:
        options = self._options
        node = select(self._tree.root, options.selection, self._terms, self._rng)
        return Trial(trial_id, node, min(options.num_proposals, options.max_proposals - node.num_asked))

    def _receive(self, trial: Trial[S], proposals: Sequence[Proposal[S]]) -> list[Node[S]]:
        options = self._options
        places = expand(self._tree, trial.node, proposals, growth=self._growth)
        value = trial_value([place.value for place in places], options.backup)
        back_up(self._tree, trial.node, value, options.backup, rate=options.backup_rate)
        return places

    def _has_prior_left(self, node: Node[S]) -> bool:
        return node.prior_mass is None or max(0.0, 1.0 - node.prior_mass) >= self._options.min_prior_left

    def _refresh(self, node: Node[S]) -> None:
        has_room = node.num_asked < self._options.max_proposals and self._has_prior_left(node)
        is_free = node.num_asked - node.num_told < self._options.max_pending * self._options.num_proposals
        self._tree.set_expandable(node, has_room and is_free and not self._has_failed(node))
        renew_open(self._tree, node, self._options.selection)
