"""Beam: all kept nodes of a depth are continued at once, and the best of their children are kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic

import numpy

from search.backup import back_up
from search.checks import check_at_least, check_choice
from search.decision import AGGREGATIONS, Aggregation, path_value
from search.expansion import Growth, expand
from search.strategy import MAX_ABANDONS, NO_LIMITS, Limits, Strategy, Trial
from search.tree import Node, Proposal, S, Tree


@dataclass(frozen=True, slots=True)
class BeamOptions:
    """Options of ``Beam``."""

    width: int = 4
    """Unfinished paths that go on from one depth to the next, at most."""
    branching: int = 4
    """Proposals asked for at each of them; where there are fewer of them, as at the root, as many more at each."""
    aggregation: Aggregation = "last"
    """How the values along a path are joined into the value that ranks it."""
    max_depth: int | None = None
    """Steps from the root at which a path is not continued; None is no limit."""
    max_abandons: int = MAX_ABANDONS
    """Abandons in a row after which a node is not asked again."""
    num_rounds: int | None = 1
    """Searches from the root, one after another, all of whose finished paths vote; None is no limit."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_at_least("width", self.width, 1)
        check_at_least("branching", self.branching, 1)
        check_choice("aggregation", self.aggregation, AGGREGATIONS)
        check_at_least("max_abandons", self.max_abandons, 1)
        for name in ("max_depth", "num_rounds"):
            if (number := getattr(self, name)) is not None:
                check_at_least(name, number, 1)


@dataclass(eq=False, slots=True)
class BeamDepth(Generic[S]):
    """The present depth of one beam."""

    num_open: int
    """Trials not yet told and not given up."""
    num_finished: int = 0
    """Finished paths drawn at the depths before."""
    drawn: list[Node[S]] = field(default_factory=list)
    """The places of all proposals told so far; equal ones come several times."""


class Beam(Strategy[S]):
    """Step-level beam search (search-and-learn, Beeching et al., 2024), ``num_beams`` of them side by side.

    A depth is done when each of its trials is told or given up; then the ``width`` unfinished places with the highest
    path values go on, and finished ones stay as they are. Equal values go by prior, highest first, then by the keys
    along the path. Each depth has ``width * branching`` proposals, divided evenly among the places that go on, and a
    beam ends when as many paths are finished. Unfinished proposals that are alike are one place; a finished path has
    as many votes as it was drawn. Beams do not wait for one another; when all have ended, the next round begins.
    """

    def __init__(
        self,
        options: BeamOptions,
        *,
        rng: numpy.random.Generator,
        root: S,
        limits: Limits = NO_LIMITS,
        num_beams: int = 1,
    ) -> None:
        """Start ``num_beams`` beams at ``root``."""
        super().__init__(rng=rng, root=root, limits=limits, max_abandons=options.max_abandons)
        self._options = options
        self._growth = Growth(options.max_depth, is_refining=False, backup="mean")
        self._ready: deque[tuple[BeamDepth[S], Node[S], int]] = deque()
        self._depth_of: dict[int, BeamDepth[S]] = {}
        self._num_beams = num_beams
        self._num_rounds = 0
        self._start_round()

    def _start_round(self) -> None:
        self._num_rounds += 1
        self._num_running = self._num_beams
        for _ in range(self._num_beams):
            self._begin([self._tree.root])

    def _begin(self, places: Sequence[Node[S]], num_finished: int = 0) -> None:
        """Let a beam go on at ``places``, the best first, in trials of up to ``branching`` proposals."""
        branching = self._options.branching
        each, num_larger = divmod(self._options.width * branching, len(places))
        trials = [
            (place, min(branching, share - start))
            for index, place in enumerate(places)
            for share in (each + (index < num_larger),)
            for start in range(0, share, branching)
        ]
        beam: BeamDepth[S] = BeamDepth(len(trials), num_finished)
        self._ready.extend((beam, place, number) for place, number in trials)

    def _is_open(self) -> bool:
        return bool(self._ready)

    def _next_trial(self, trial_id: int) -> Trial[S]:
        beam, node, number = self._ready.popleft()
        self._depth_of[trial_id] = beam
        return Trial(trial_id, node, number)

    def _receive(self, trial: Trial[S], proposals: Sequence[Proposal[S]]) -> list[Node[S]]:
        first_new_id = len(self._tree)
        places = expand(self._tree, trial.node, proposals, growth=self._growth)
        for place in places:
            back_up(self._tree, trial.node, place.value, "mean")
        for place in self._tree.nodes[first_new_id:]:
            self._tree.set_votes(place, 0.0)
        self._add_votes(places, 1.0)
        beam = self._depth_of.pop(trial.trial_id)
        beam.drawn += places
        self._end_trial(beam)
        return places

    def _lose(self, trial: Trial[S]) -> None:
        self._ready.append((self._depth_of.pop(trial.trial_id), trial.node, trial.num_proposals))
        if self._has_failed(trial.node):
            self._give_up(trial.node)

    def _give_up(self, node: Node[S]) -> None:
        """Ask nothing more at ``node``, where a beam may be to ask more than once, and more beams than one."""
        given_up = [beam for beam, place, _ in self._ready if place is node]
        self._ready = deque(turn for turn in self._ready if turn[1] is not node)
        for beam in given_up:
            self._end_trial(beam)

    def _end_trial(self, beam: BeamDepth[S]) -> None:
        beam.num_open -= 1
        if beam.num_open:
            return
        found = [place for place in dict.fromkeys(beam.drawn) if place.is_terminal or self._goes_on(place)]
        found.sort(key=lambda place: _rank(self._tree, place, self._options.aggregation))
        beam.num_finished += sum(place.is_terminal for place in beam.drawn)
        alive = [place for place in found if not place.is_terminal][: self._options.width]
        if alive and not self._ends_at(beam, found[0]):
            self._begin(alive, beam.num_finished)
            return
        self._num_running -= 1
        is_last = self._num_rounds == self._options.num_rounds
        if not self._num_running and not is_last and not self._has_failed(self._tree.root):
            self._start_round()

    def _ends_at(self, beam: BeamDepth[S], best: Node[S]) -> bool:
        """Return whether a beam with unfinished places ends here; ``best`` of its places may be a finished one."""
        return beam.num_finished >= self._options.width * self._options.branching

    def _add_votes(self, places: Sequence[Node[S]], number: float) -> None:
        for place in places:
            self._tree.set_votes(place, place.votes + number)

    def _goes_on(self, node: Node[S]) -> bool:
        limit = self._options.max_depth
        return not node.is_terminal and (limit is None or node.depth < limit) and not self._has_failed(node)


def _rank(tree: Tree[S], node: Node[S], aggregation: Aggregation) -> tuple[bool, float, float, list[str]]:
    """Order by path value, unknown last, then by prior, then by keys: by nothing that depends on the order of tells.

    Places that no key tells apart are alike, and stay in the order in which the beam came to them.
    """
    value = path_value(tree, node, aggregation)
    prior = 0.0 if node.prior is None else node.prior
    return (value is None, -(value or 0.0), -prior, [repr(place.key) for place in tree.path(node)])
