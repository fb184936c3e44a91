"""What ``Beam`` and ``Dvts`` must do, worked out anew from their whole event log at every step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy

from search import Abandoned, Aggregation, Asked, BeamOptions, DvtsOptions, Event, Told
from tests.search.references import Past, Place, ask


@dataclass(eq=False)
class Depth:
    """What one beam does at its present depth."""

    waiting: list[Place]
    """A place for each trial that is neither told nor given up; twice if it is to be asked at twice."""
    found: list[Place] = field(default_factory=list)
    """What the told ones came to."""


class Turns:
    """Whose turn it is: beams and places in the order in which they are to be asked, abandoned ones last."""

    def __init__(self, width: int, max_depth: int | None, aggregation: Aggregation, max_abandons: int) -> None:
        """Start with nobody."""
        self.width, self.max_depth, self.aggregation, self.max_abandons = width, max_depth, aggregation, max_abandons
        self.line: list[tuple[Depth, Place]] = []
        self.asked: dict[int, tuple[Depth, Place]] = {}

    def begin(self, places: Sequence[Place]) -> None:
        """Let one beam go on at ``places``."""
        depth = Depth(list(places))
        self.line += [(depth, place) for place in places]

    def take(self, past: Past, event: Event[int]) -> None:
        """Take in what came after ``event``, which ``past`` ends with."""
        if isinstance(event, Asked):
            self.asked[event.trial_id] = self.line.pop(0)
        elif isinstance(event, Told):
            depth, place = self.asked[event.trial_id]
            depth.found += past.told[-1]
            self.end(depth, place)
        elif isinstance(event, Abandoned):
            depth, place = self.asked[event.trial_id]
            self.line.append((depth, place))
            if place.num_abandons >= self.max_abandons:
                hopeless = [turn for turn in self.line if turn[1] is place]
                self.line = [turn for turn in self.line if turn[1] is not place]
                for turn in hopeless:
                    self.end(*turn)

    def end(self, depth: Depth, place: Place) -> None:
        """Count one trial of ``depth`` as done; after the last the best places go on."""
        depth.waiting.remove(place)
        if depth.waiting:
            return
        once = list(dict.fromkeys(depth.found))
        places = [found for found in once if not found.is_terminal and found.depth != self.max_depth]
        places = [found for found in places if found.num_abandons < self.max_abandons]
        # one sort by each wish, the least of them first, as sorts are stable
        places.sort(key=lambda found: [repr(place.key) for place in found.path])
        places.sort(key=lambda found: found.prior or 0.0, reverse=True)
        places.sort(key=lambda found: -1.0 if (value := self.value(found)) is None else value, reverse=True)
        if places:
            self.begin(places[: self.width])

    def value(self, place: Place) -> float | None:
        """Return the value of the path to ``place``."""
        values = [step.value for step in place.path[1:]]
        if self.aggregation == "last":
            return values[-1]
        if None in values:
            return None
        known = [value for value in values if value is not None]
        if self.aggregation == "product":
            return math.prod(known)
        return min(known) if self.aggregation == "min" else math.fsum(known) / len(known)


class BeamReference:
    """``Beam``, and ``Dvts`` as beams of width 1."""

    def __init__(self, options: BeamOptions | DvtsOptions, rng: numpy.random.Generator) -> None:
        """Draw nothing from ``rng``."""
        self.options = options

    def begun(self, root: Place) -> Turns:
        """Return whose turn it is at first."""
        options = self.options
        width, num_beams = (options.width, 1) if isinstance(options, BeamOptions) else (1, options.num_subtrees)
        turns = Turns(width, options.max_depth, options.aggregation, options.max_abandons)
        for _ in range(num_beams):
            turns.begin([root] * width)
        return turns

    def past(self, events: Sequence[Event[int]]) -> Past:
        """Return what ``events`` leave."""
        past = Past([], is_merging=True)
        self.turns = self.begun(past.root)
        for event in events:
            past.take(event)
            self.turns.take(past, event)
        return past

    def goal(self, past: Past) -> None:
        """Return None: there is none."""

    def can_start(self, past: Past) -> bool:
        """Return whether a trial can start now."""
        return bool(self.turns.line)

    def next(self, past: Past) -> Asked:
        """Return the next trial, where one can start."""
        return ask(self.turns.line[0][1], past, self.options.branching)
