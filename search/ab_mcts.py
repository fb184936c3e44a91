"""AB-MCTS-A: at each node, go wider or deeper, by Thompson sampling."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic

import numpy

from search.backup import back_up
from search.checks import check_at_least, check_choice
from search.expansion import Growth, expand
from search.posterior import ArmTable, Evidence, PriorRule, draw
from search.selection import renew_open
from search.strategy import MAX_ABANDONS, NO_LIMITS, Limits, Strategy, Trial
from search.tree import Node, Proposal, S


@dataclass(frozen=True, slots=True)
class AbMctsOptions:
    """Options of ``AbMcts``."""

    prior: PriorRule = "gaussian"
    """Prior over values before any is known; ``beta`` suits values near 0 and 1."""
    num_arms: int = 1
    """Proposers to choose between when going wider."""
    max_depth: int | None = None
    """Steps from the root at which a path is not continued; None is no limit."""
    is_refining: bool = False
    """Whether a finished path may be continued, as a whole solution is by a rewrite."""
    max_abandons: int = MAX_ABANDONS
    """Abandons in a row after which a node is not asked again."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_choice("prior", self.prior, ("gaussian", "beta"))
        check_at_least("num_arms", self.num_arms, 1)
        check_at_least("max_abandons", self.max_abandons, 1)
        if self.max_depth is not None:
            check_at_least("max_depth", self.max_depth, 1)


@dataclass(frozen=True, slots=True)
class _ToldNode(Generic[S]):
    """Evidence at a node where at least one trial was told."""

    wider: Evidence
    """Values of the proposals told at the node."""
    children: ArmTable
    """Values at and below each child."""
    by_key: dict[Hashable, Node[S]]
    """The children that have a key."""


class AbMcts(Strategy[S]):
    """Adaptive branching with node aggregation (AB-MCTS-A, Inoue et al., 2025, arXiv 2503.04412).

    From the root down, a draw for widening (of the values of a node's own children) stands against one for going
    deeper (of all values below those); deeper, the child with the highest draw of the values at and below it. Which of
    several proposers widens is drawn from all values each has brought. Trials in flight differ because draws do.
    """

    def __init__(
        self, options: AbMctsOptions, *, rng: numpy.random.Generator, root: S, limits: Limits = NO_LIMITS
    ) -> None:
        """Start at ``root``; without limits the search ends only when nothing can be continued."""
        super().__init__(rng=rng, root=root, limits=limits, max_abandons=options.max_abandons)
        self._options = options
        self._growth = Growth(options.max_depth, options.is_refining, "mean")
        self._arms = [Evidence() for _ in range(options.num_arms)]
        self._squares = [0.0]  # by node_id, of the observations that Node.value_sum sums
        self._indices = [0]  # by node_id, the place among the parent's children
        self._unvalued: set[int] = set()  # node ids whose own value is not among the observations
        self._told: dict[int, _ToldNode[S]] = {}  # by node_id, of nodes that were told
        self._refresh(self._tree.root)

    def _is_open(self) -> bool:
        return self._tree.root.is_open

    def _next_trial(self, trial_id: int) -> Trial[S]:
        node = self._tree.root
        while (child := self._choose(node)) is not None:
            node = child
        return Trial(trial_id, node, 1, self._choose_arm())

    def _choose_arm(self) -> int:
        if len(self._arms) == 1:
            return 0
        draws = [draw(arm, self._options.prior, self._rng) for arm in self._arms]
        return draws.index(max(draws))

    def _choose(self, node: Node[S]) -> Node[S] | None:
        """Return the child to go on to, or None to widen here."""
        if not node.num_open_children or (node.is_expandable and self._widens(node)):
            return None
        return node.children[self._told[node.node_id].children.best(self._rng)]

    def _widens(self, node: Node[S]) -> bool:
        wider, prior = self._told[node.node_id].wider, self._options.prior
        to_widen = draw(wider, prior, self._rng)
        return to_widen >= draw(self._deeper(node, wider), prior, self._rng)

    def _evidence(self, node: Node[S]) -> Evidence:
        """Return the values at and below ``node``."""
        return Evidence(node.value_count, node.value_sum, self._squares[node.node_id])

    def _deeper(self, node: Node[S], wider: Evidence) -> Evidence:
        """Return the values below the children of ``node``: all of its own but its evaluation and its children's."""
        own = 0.0 if node.value is None else node.value
        return Evidence(
            node.value_count - (node.value is not None) - wider.count,
            max(0.0, node.value_sum - own - wider.total),
            max(0.0, self._squares[node.node_id] - own * own - wider.squares),
        )

    def _receive(self, trial: Trial[S], proposals: Sequence[Proposal[S]]) -> list[Node[S]]:
        known = self._told.get(trial.node.node_id)
        if known is None:
            known = self._told[trial.node.node_id] = _ToldNode(Evidence(), ArmTable(self._options.prior), {})
        places = expand(self._tree, trial.node, proposals, growth=self._growth, by_key=known.by_key)
        self._add_arms(trial.node, known.children)
        for place in places:
            if place.value is None:
                continue
            if place.node_id in self._unvalued:
                self._unvalued.remove(place.node_id)
                self._squares[place.node_id] += place.value * place.value
                self._renew_arm(place)
            self._observe(trial, place.value)
        return places

    def _add_arms(self, node: Node[S], arms: ArmTable) -> None:
        """Make room for the children of ``node`` that are new."""
        for index in range(arms.num_arms, len(node.children)):
            self._unvalued.add(len(self._squares))
            self._squares.append(0.0)
            self._indices.append(index)
            arms.add(Evidence(), is_open=node.children[index].is_open)

    def _observe(self, trial: Trial[S], value: float) -> None:
        self._arms[trial.arm].add(value)
        self._told[trial.node.node_id].wider.add(value)
        back_up(self._tree, trial.node, value, "mean")
        node: Node[S] | None = trial.node
        while node is not None:
            self._squares[node.node_id] += value * value
            self._renew_arm(node)
            node = node.parent

    def _renew_arm(self, node: Node[S]) -> None:
        if node.parent is not None:
            self._told[node.parent.node_id].children.set(self._indices[node.node_id], self._evidence(node))

    def _refresh(self, node: Node[S]) -> None:
        is_inner = self._options.max_depth is None or node.depth < self._options.max_depth
        is_ended = node.is_terminal and not self._options.is_refining
        self._tree.set_expandable(node, is_inner and not is_ended and not self._has_failed(node))
        renew_open(self._tree, node)
        while node.parent is not None:
            self._told[node.parent.node_id].children.set_open(self._indices[node.node_id], node.is_open)
            node = node.parent
