"""Monte-Carlo tree search: select, ask, expand, back up, many trials in flight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from search.backup import BACKUP_RULES, BackupRule, back_up, trial_value
from search.budget import NO_LIMIT, Budget, StopReason
from search.checks import check_at_least, check_choice, check_share
from search.expansion import expand
from search.selection import SELECTION_RULES, SelectionRule, SelectionTerms, is_open, select
from search.strategy import Strategy
from search.tree import Node, Proposal, S


@dataclass(frozen=True, slots=True)
class MctsOptions:
    """Options of ``Mcts``."""

    selection: SelectionRule = "puct"
    """How a child is chosen on the way down."""
    exploration: float = 1.25
    """c of PUCT and UCT, not negative; ``greedy_value`` has none."""
    num_proposals: int = 4
    """Proposals that one trial asks for."""
    max_proposals: int = 4
    """Proposals that one node may receive in all, merged and missing ones included."""
    min_prior_left: float = 0.0
    """A node receives no more proposals when its children's priors leave less than this; unknown priors leave all."""
    max_depth: int | None = None
    """Steps from the root at which a path is not continued; None is no limit."""
    backup: BackupRule = "mean"
    """What Q is, of the values below a node."""
    value_threshold: float | None = None
    """The search stops when a finished path's value reaches it."""
    num_finished: int | None = None
    """The search stops when there are as many finished paths."""
    max_abandons: int = 3
    """Abandons in a row after which a node is not asked again."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_choice("selection", self.selection, SELECTION_RULES)
        check_choice("backup", self.backup, BACKUP_RULES)
        check_at_least("exploration", self.exploration, 0)
        check_at_least("num_proposals", self.num_proposals, 1)
        check_at_least("max_proposals", self.max_proposals, self.num_proposals)
        check_at_least("max_abandons", self.max_abandons, 1)
        check_share("min_prior_left", self.min_prior_left)
        if self.max_depth is not None:
            check_at_least("max_depth", self.max_depth, 1)
        if self.num_finished is not None:
            check_at_least("num_finished", self.num_finished, 1)
        if self.value_threshold is not None:
            check_share("value_threshold", self.value_threshold)


class Mcts(Strategy[S]):
    """Tree search with PUCT, UCT or greedy selection (MMC), and pending visits counted as in WU-UCT.

    A node is open while a trial can be started at it or below it; only open nodes are selected, so terminal ones,
    those at ``max_depth`` and exhausted subtrees cost nothing. The flags are renewed upwards from each change.
    """

    def __init__(
        self, options: MctsOptions, *, rng: numpy.random.Generator, root: S, budget: Budget = NO_LIMIT
    ) -> None:
        """Start at ``root``; without a budget the search ends only when ``options`` end it."""
        super().__init__(rng=rng, root=root, budget=budget, max_abandons=options.max_abandons)
        self._options = options
        self._terms = SelectionTerms(options.exploration, options.max_proposals)
        self._has_good_finish = False
        self._refresh(self._tree.root)

    def _is_open(self) -> bool:
        return self._tree.root.is_open

    def _next_place(self) -> tuple[Node[S], int]:
        options = self._options
        node = select(self._tree.root, options.selection, self._terms, self._rng)
        return node, min(options.num_proposals, options.max_proposals - node.num_asked)

    def _receive(self, node: Node[S], proposals: Sequence[Proposal[S]]) -> None:
        options = self._options
        places = expand(self._tree, node, proposals, max_depth=options.max_depth, backup=options.backup)
        value = trial_value([place.value for place in places], options.backup)
        back_up(self._tree, self._tree.path(node), value, options.backup)
        if options.value_threshold is not None and not self._has_good_finish:
            values = [place.value for place in places if place.is_terminal and place.value is not None]
            self._has_good_finish = any(value >= options.value_threshold for value in values)

    def _goal(self) -> StopReason | None:
        options = self._options
        if self._has_good_finish:
            return StopReason.VALUE_THRESHOLD
        if options.num_finished is not None and len(self._tree.finished) >= options.num_finished:
            return StopReason.NUM_FINISHED
        return None

    def _has_prior_left(self, node: Node[S]) -> bool:
        return node.prior_mass is None or max(0.0, 1.0 - node.prior_mass) >= self._options.min_prior_left

    def _refresh(self, node: Node[S]) -> None:
        has_room = node.num_asked < self._options.max_proposals and self._has_prior_left(node)
        self._tree.set_expandable(node, has_room and not self._has_failed(node))
        place: Node[S] | None = node
        while place is not None:
            was_open, now_open = place.is_open, is_open(place, self._options.selection)
            if was_open and now_open:
                return  # so are all nodes above it
            self._tree.set_open(place, now_open)
            place = place.parent
