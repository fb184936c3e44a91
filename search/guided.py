"""Guided sampling: paths are sampled one step at a time, and a step whose value disappoints is drawn again."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic

import numpy

from search.backup import back_up
from search.checks import check_at_least, check_share
from search.expansion import Growth, expand
from search.guided_records import JudgingRecord, PriorRecord
from search.strategy import MAX_ABANDONS, NO_LIMITS, Limits, Strategy, Trial
from search.tree import Node, Proposal, S

_WEIGHT_OF_PRIORS = 2.0
"""Draws that count as much as the priors do in the chance that a draw repeats a child."""
_MAX_REPEATS = 2
"""Draws at one place that only repeat others there, after which the best of them goes on."""
_SHARE_WITHOUT_HASTE = 0.8
"""Share of the cost that the budget allows, after which a search without a finished path takes each first draw."""
_MAX_FREE_PATHS = 100
"""Paths in a row that cost nothing, after which nothing new is to be found."""


@dataclass(frozen=True, slots=True)
class GuidedOptions:
    """Options of ``Guided``."""

    max_draws: int = 6
    """Draws at one place of a path, failed ones included, after which the best of them goes on."""
    accept_quantile: float = 0.5
    """Quantile, in [0, 1], of the gains so far that a step's gain has to reach for the path to go on with it at once.
    A gain is the value of a step less that of the step before. 0 takes each first draw, as plain sampling does."""
    min_prior_left: float = 0.05
    """No more is drawn at a node whose children's priors leave less than this."""
    max_depth: int | None = None
    """Steps from the root at which a path that is not finished ends; None is no limit."""
    max_abandons: int = MAX_ABANDONS
    """Abandons in a row after which a node is not asked again."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_at_least("max_draws", self.max_draws, 1)
        check_share("accept_quantile", self.accept_quantile)
        check_share("min_prior_left", self.min_prior_left)
        check_at_least("max_abandons", self.max_abandons, 1)
        if self.max_depth is not None:
            check_at_least("max_depth", self.max_depth, 1)


@dataclass(eq=False, slots=True)
class SampledPath(Generic[S]):
    """A path that is being sampled."""

    place: Node[S]
    """Where it has come to."""
    head: Node[S]
    """Where the present draw has come to; ``place`` if it is not begun."""
    drawn: list[Node[S]] = field(default_factory=list)
    """The ends of the draws there so far, in order; equal ones come several times."""
    num_draws: int = 0
    """Draws there, failed ones included."""
    chance: float | None = None
    """Number in [0, 1) of the next step: it is known if the priors of the children of ``head`` add up to more."""

    def give_up_draw(self) -> None:
        """Count the present draw as a failed one, and come back to where it began."""
        self.num_draws += 1
        self.head, self.chance = self.place, None


class Guided(Strategy[S]):
    """Samples whole paths from the root, one after another, by rejection at each step.

    At each place steps are drawn one at a time. A path goes on with the first whose gain is as high as is usual in this
    search, and after ``max_draws``, or two that only repeat others there, with the one of the highest value; so a
    critic that sees wrong steps has them drawn again. Only the order of the gains counts, which any increasing change
    of the values leaves alone where steps before are alike. An unknown value is never usual, unless all are unknown.
    Where most of the cost is spent and no path is finished, first draws are taken.

    Where judging a step costs more than drawing it, a draw is of several steps, of which the last is judged, so that
    both cost about the same. A critic that says the same of everything is asked of finished paths alone.

    A step whose outcome is known costs nothing: where the children's priors add up to m, a child is taken by its prior
    with probability m, and asked for with 1 - m. So a proposer that repeats its words pays for each once, and one that
    never does pays for each draw. Priors that let other numbers of repeats be expected than there are, as those of
    another temperature do, are not used. A finished path has as many votes as paths have come to it: none if it was
    drawn and then rejected. Each trial goes on with the oldest path that can go on; a new one is begun when all wait.
    """

    def __init__(
        self, options: GuidedOptions, *, rng: numpy.random.Generator, root: S, limits: Limits = NO_LIMITS
    ) -> None:
        """Start at ``root``; without limits the search ends only where nothing new is to be found."""
        super().__init__(rng=rng, root=root, limits=limits, max_abandons=options.max_abandons)
        self._options = options
        self._growth = Growth(options.max_depth, is_refining=False, backup="mean")
        self._gains: list[float] = []
        self._ready: list[SampledPath[S]] = []
        self._path_of: dict[int, SampledPath[S]] = {}
        self._votes_due: list[Node[S]] = []
        self._judging = JudgingRecord()
        self._priors = PriorRecord()
        self._first_value: float | None = None
        # By node, the draws that repeated a child since the last new one.
        self._num_repeats: dict[int, int] = {}
        self._is_told = False
        self._begin()

    def _is_open(self) -> bool:
        return bool(self._ready)

    def _next_trial(self, trial_id: int) -> Trial[S]:
        path = self._path_of[trial_id] = self._ready.pop(0)
        num_steps = path.head.depth + 1 - path.place.depth
        return Trial(trial_id, path.head, 1, is_judged=self._judging.is_due(num_steps))

    def _refresh(self, node: Node[S]) -> None:
        """Have a path ready for the next trial; called when a trial was asked, told or abandoned."""
        self._ready = [path for path in self._ready if self._advance(path)]
        if not self._ready:
            self._begin()
        if self._is_told:
            self._count_votes()

    def _observe_cost(self, proposals: Sequence[Proposal[S]], cost: int, judging_cost: int) -> None:
        if proposals:
            self._judging.observe(cost=cost, judging_cost=judging_cost)

    def _receive(self, trial: Trial[S], proposals: Sequence[Proposal[S]]) -> list[Node[S]]:
        first_new_id, mass = len(self._tree), trial.node.prior_mass
        has_children = bool(trial.node.children)
        places = expand(self._tree, trial.node, proposals, growth=self._growth)
        for place in places:
            is_new = place.node_id >= first_new_id
            self._num_repeats[trial.node.node_id] = 0 if is_new else self._num_repeats.get(trial.node.node_id, 0) + 1
            if has_children and mass is not None:
                self._priors.observe(mass, is_repeat=not is_new)
            if is_new and place.is_terminal:
                self._tree.set_votes(place, 0.0)
            if place.value is not None:
                self._observe_value(place, place.value)
            back_up(self._tree, trial.node, place.value, "mean")
        self._go_on(trial, places)
        self._is_told = True
        return places

    def _observe_value(self, place: Node[S], value: float) -> None:
        if self._first_value is None:
            self._first_value = value
        self._judging.observe_value(value)
        bisect.insort(self._gains, self._gain(place, value))

    def _lose(self, trial: Trial[S]) -> None:
        self._go_on(trial, ())

    def _go_on(self, trial: Trial[S], places: Sequence[Node[S]]) -> None:
        path = self._path_of.pop(trial.trial_id)
        if places:
            self._draw(path, places[0], is_judged=trial.is_judged)
        else:
            path.give_up_draw()
        # Paths that are under way go before one that was only begun.
        self._ready.insert(0, path)

    def _draw(self, path: SampledPath[S], step: Node[S], *, is_judged: bool) -> None:
        """Add a step to the present draw of a path, which ends with a step that is judged or finished."""
        if is_judged or step.is_terminal:
            path.drawn.append(step)
            path.num_draws += 1
            path.head = path.place
        else:
            path.head = step
        path.chance = None

    def _begin(self) -> None:
        """Begin a path, and others as long as they end at no cost."""
        for _ in range(_MAX_FREE_PATHS):
            path = SampledPath(self._tree.root, self._tree.root)
            if self._advance(path):
                self._ready.append(path)
                return

    def _advance(self, path: SampledPath[S]) -> bool:
        """Go on with a path as far as that costs nothing; return whether it waits for a step, or else has ended."""
        limit = self._options.max_depth
        while True:
            if path.place.is_terminal:
                self._votes_due.append(path.place)
                return False
            # Where a draw of several steps cannot go on, the draws before it still can.
            if path.head is not path.place and (self._has_failed(path.head) or path.head.depth == limit):
                path.give_up_draw()
                continue
            if limit is not None and path.place.depth >= limit:
                return False
            if path.head is path.place and (chosen := self._chosen(path)) is not None:
                path.place = path.head = chosen
                path.drawn, path.num_draws, path.chance = [], 0, None
                continue
            if path.num_draws >= self._options.max_draws:
                return False
            known = self._known_step(path)
            if known is None:
                return not self._has_failed(path.head)
            self._draw(path, known, is_judged=known.value is not None)

    def _chosen(self, path: SampledPath[S]) -> Node[S] | None:
        """Return the step with which a path goes on; None if one more is to be drawn."""
        if not path.drawn:
            return None
        if self._is_usual(path.drawn[-1]):
            return path.drawn[-1]
        num_repeats = len(path.drawn) - len({node.node_id for node in path.drawn})
        is_last = path.num_draws >= self._max_draws or num_repeats >= _MAX_REPEATS
        if not is_last and not self._has_failed(path.place):
            return None
        return max(path.drawn, key=lambda node: -1.0 if node.value is None else node.value)

    @property
    def _max_draws(self) -> int:
        max_cost = self._budget.max_cost
        is_late = max_cost is not None and self._cost >= _SHARE_WITHOUT_HASTE * max_cost
        return 1 if is_late and not self._tree.finished else self._options.max_draws

    def _is_usual(self, node: Node[S]) -> bool:
        gains = self._gains
        if not gains:
            return True
        place = min(int(len(gains) * self._options.accept_quantile), len(gains) - 1)
        return node.value is not None and self._gain(node, node.value) >= gains[place]

    def _gain(self, node: Node[S], value: float) -> float:
        """Return by how much ``value`` is above that of the last judged place before; at the first, above the first."""
        before = node.parent
        while before is not None and before.value is None:
            before = before.parent
        known = self._first_value if before is None else before.value
        return value - (value if known is None else known)

    def _known_step(self, path: SampledPath[S]) -> Node[S] | None:
        """Draw a child by its prior; None for a step that has to be asked for."""
        node, mass = path.head, path.head.prior_mass
        if path.chance is None:
            path.chance = float(self._rng.random())
        if not mass or not self._priors.is_credible:
            return None
        # The mean of a beta distribution, by the priors and the draws here that only repeated children of now.
        num_repeats = self._num_repeats.get(node.node_id, 0)
        repeating = (_WEIGHT_OF_PRIORS * min(mass, 1.0) + num_repeats) / (_WEIGHT_OF_PRIORS + num_repeats)
        if repeating > 1 - self._options.min_prior_left:
            repeating = 1.0
        if path.chance >= repeating:
            return None
        place = path.chance / repeating * mass
        for child in node.children:
            place -= child.prior or 0.0
            if place <= 0:
                return child
        return node.children[-1]

    def _count_votes(self) -> None:
        """Count the paths that have come to finished nodes.

        They are counted when a trial is told: to ask and to abandon leaves the tree as it is.
        """
        for node in self._votes_due:
            self._tree.set_votes(node, node.votes + 1)
        self._votes_due.clear()
        self._is_told = False
