"""What ``Beam`` and ``Dvts`` must do, worked out anew from their whole event log at every step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy

from search import Abandoned, Asked, BeamOptions, DvtsOptions, Event, Told
from tests.search.references import Past, Place, ask


@dataclass(eq=False)
class Depth:
    """What one beam does at its present depth."""

    waiting: list[tuple[Place, int]]
    """The place and the proposals of each trial that is neither told nor given up."""
    num_ends: int
    """Finished paths before this depth, equal ones counted each."""
    found: list[Place] = field(default_factory=list)
    """What the told ones came to."""


class Turns:
    """Whose turn it is: beams and places in the order in which they are to be asked, abandoned ones last."""

    def __init__(self, options: BeamOptions | DvtsOptions, root: Place) -> None:
        """Start the first round at ``root``."""
        self.root, self.round, self.num_rounds = root, 0, options.num_rounds
        self.num_beams = options.num_subtrees if isinstance(options, DvtsOptions) else 1
        self.is_greedy = isinstance(options, DvtsOptions)
        self.width = options.width if isinstance(options, BeamOptions) else 1
        self.branching, self.max_depth, self.aggregation = options.branching, options.max_depth, options.aggregation
        self.max_abandons = options.max_abandons
        self.line: list[tuple[Depth, Place, int]] = []
        self.asked: dict[int, tuple[Depth, Place, int]] = {}
        self.begin_round()

    def begin_round(self) -> None:
        """Let all beams begin at the root."""
        self.round += 1
        self.num_running = self.num_beams
        for _ in range(self.num_beams):
            self.begin([self.root])

    def begin(self, places: Sequence[Place], num_ends: int = 0) -> None:
        """Let one beam go on at ``places``: deal out its proposals one by one, then bundle those of each place."""
        dealt = [places[i % len(places)] for i in range(self.width * self.branching)]
        depth = Depth([], num_ends)
        for place in places:
            left = sum(each is place for each in dealt)
            while left:
                number = min(left, self.branching)
                depth.waiting.append((place, number))
                left -= number
        self.line += [(depth, place, number) for place, number in depth.waiting]

    def take(self, past: Past, event: Event[int]) -> None:
        """Take in what came after ``event``, which ``past`` ends with."""
        if isinstance(event, Asked):
            self.asked[event.trial_id] = self.line.pop(0)
        elif isinstance(event, Told):
            depth, place, number = self.asked[event.trial_id]
            depth.found += past.told[-1]
            for reached in past.told[-1]:
                reached.votes += 1
            self.end(depth, place, number)
        elif isinstance(event, Abandoned):
            depth, place, number = self.asked[event.trial_id]
            self.line.append((depth, place, number))
            if place.num_abandons >= self.max_abandons:
                hopeless = [turn for turn in self.line if turn[1] is place]
                self.line = [turn for turn in self.line if turn[1] is not place]
                for turn in hopeless:
                    self.end(*turn)

    def end(self, depth: Depth, place: Place, number: int) -> None:
        """Count one trial of ``depth`` as done; after the last the best places go on."""
        depth.waiting.remove((place, number))
        if depth.waiting:
            return
        once = list(dict.fromkeys(depth.found))
        places = [found for found in once if found.is_terminal or found.depth != self.max_depth]
        places = [found for found in places if found.is_terminal or found.num_abandons < self.max_abandons]
        # one sort by each wish, the least of them first, as sorts are stable
        places.sort(key=lambda found: [repr(place.key) for place in found.path])
        places.sort(key=lambda found: found.prior or 0.0, reverse=True)
        places.sort(key=lambda found: -1.0 if (value := self.value(found)) is None else value, reverse=True)
        num_ends = depth.num_ends + sum(found.is_terminal for found in depth.found)
        unfinished = [found for found in places if not found.is_terminal]
        if not unfinished:
            self.end_beam()
            return
        if self.is_greedy and not places[0].is_terminal:
            for found in depth.found:
                found.votes -= 1
        if places[0].is_terminal if self.is_greedy else num_ends >= self.width * self.branching:
            self.end_beam()
        else:
            self.begin(unfinished[: self.width], num_ends)

    def end_beam(self) -> None:
        """Count one beam as done; after the last of a round another round begins, if there is one."""
        self.num_running -= 1
        if self.num_running == 0 and self.round != self.num_rounds and self.root.num_abandons < self.max_abandons:
            self.begin_round()

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

    def past(self, events: Sequence[Event[int]]) -> Past:
        """Return what ``events`` leave."""
        past = Past([], is_merging=True)
        self.turns = Turns(self.options, past.root)
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
        _, place, number = self.turns.line[0]
        return ask(place, past, number)
