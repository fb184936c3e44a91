"""What ``ParticleFilter`` must do, worked out anew from its whole event log at every step."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from search import Abandoned, Asked, Event, ParticleOptions, Told
from tests.search.references import Past, Place, ask


@dataclass(eq=False)
class Walker:
    """One particle."""

    place: Place
    weight: float
    has_stepped: bool = False
    """Whether it has made the present step."""

    def is_going(self) -> bool:
        """Return whether it is alive and unfinished."""
        return self.weight > 0 and not self.place.is_terminal


class Walk:
    """All particles, moved by one event after another."""

    def __init__(self, options: ParticleOptions, rng: numpy.random.Generator, root: Place) -> None:
        """Start the first round at ``root``."""
        self.options, self.rng, self.root = options, rng, root
        self.line: list[Walker] = []
        self.asked: dict[int, Walker] = {}
        self.waiting: list[Walker] = []
        self.round = 0
        self.before: dict[Place, float] = {}
        self.followed: list[Place] = []
        self.begin_round()
        self.begin_step()

    def begin_round(self) -> None:
        """Put all particles at the root."""
        number = self.options.num_particles
        self.round += 1
        self.walkers = [Walker(self.root, 1 / number) for _ in range(number)]

    def begin_step(self) -> None:
        """Line up whoever can be asked."""
        for walker in self.walkers:
            walker.has_stepped = False
        self.waiting = []
        for index, walker in enumerate(self.walkers):
            if not walker.is_going():
                continue
            if index == 0 and self.followed:
                walker.place = self.followed[walker.place.depth + 1]
                walker.has_stepped = True
            elif walker.place.num_abandons >= self.options.max_abandons or walker.place.depth == self.options.max_depth:
                walker.weight = 0.0
            else:
                self.waiting.append(walker)
        self.line += self.waiting

    def take(self, past: Past, event: Event[int]) -> None:
        """Take in ``event``, which ``past`` ends with."""
        if isinstance(event, Asked):
            self.asked[event.trial_id] = self.line.pop(0)
        elif isinstance(event, Told):
            walker = self.asked[event.trial_id]
            for place in past.told[-1]:
                walker.place, walker.has_stepped = place, True
            if not past.told[-1]:
                walker.weight = 0.0
            self.waiting.remove(walker)
            self.end_steps()
        elif isinstance(event, Abandoned):
            walker = self.asked[event.trial_id]
            self.line.append(walker)
            if walker.place.num_abandons >= self.options.max_abandons:
                for stuck in [each for each in self.line if each.place is walker.place]:
                    stuck.weight = 0.0
                    self.line.remove(stuck)
                    self.waiting.remove(stuck)
                self.end_steps()

    def end_steps(self) -> None:
        """End the step if nobody is waited for, and those after it in which nobody is asked."""
        while not self.waiting:
            for walker in self.walkers:
                walker.has_stepped = walker.has_stepped or walker.place.is_terminal
            for walker, weight in zip(self.walkers, self.weights(), strict=True):
                walker.weight = weight
            for walker in self.walkers:
                walker.has_stepped = False
            if any(walker.is_going() for walker in self.walkers):
                self.draw_anew()
            else:
                is_last = self.round == self.options.num_rounds
                if is_last or self.root.num_abandons >= self.options.max_abandons:
                    return
                self.before = self.votes()
                finished = [walker.weight * walker.place.is_terminal for walker in self.walkers]
                self.followed = []
                if sum(finished) > 0:
                    (index,) = self.indices(finished, self.rng.random(1))
                    self.followed = self.walkers[index].place.path
                self.begin_round()
            self.begin_step()

    def weights(self) -> list[float]:
        """Return the weights: each one that has stepped times its odds, and then all of those scaled to their sum."""
        total = sum(walker.weight for walker in self.walkers)
        if total == 0:
            return [0.0 for _ in self.walkers]
        weights = [walker.weight / total for walker in self.walkers]
        values = [walker.place.value if walker.has_stepped else None for walker in self.walkers]
        products = {}
        for index, value in enumerate(values):
            if value is not None:
                value = min(max(value, 1e-7), 1 - 1e-7)
                products[index] = weights[index] * (value / (1 - value)) ** self.options.tempering
        sum_before, sum_after = sum(weights[index] for index in products), sum(products.values())
        for index, product in products.items():
            weights[index] = product * sum_before / sum_after if sum_after else 0.0
        return weights

    def draw_anew(self) -> None:
        """Draw the particles by weight if too few of them carry it."""
        options, number = self.options, self.options.num_particles
        weights = [walker.weight for walker in self.walkers]
        if sum(weights) ** 2 / sum(weight**2 for weight in weights) >= options.resample_below * number - 1e-9:
            return
        kept = self.walkers[:1] if self.followed else []
        num_drawn = number - len(kept)
        if options.resampling == "systematic":
            start = self.rng.random()
            positions = [(start + index) / num_drawn for index in range(num_drawn)]
        else:
            positions = sorted(self.rng.random(num_drawn))
        drawn = kept + [self.walkers[index] for index in self.indices(weights, positions)]
        self.walkers = [Walker(walker.place, 1 / number) for walker in drawn]

    def indices(self, weights: Sequence[float], positions: Sequence[float]) -> list[int]:
        """Return whose part of the line of all weights each of ``positions`` lies in."""
        total = sum(weights)
        return [
            next(index for index in range(len(weights)) if position < sum(weights[: index + 1]) / total)
            for position in positions
        ]

    def votes(self) -> dict[Place, float]:
        """Return the votes of each finished place that has any."""
        votes = dict(self.before)
        for walker, weight in zip(self.walkers, self.weights(), strict=True):
            if walker.place.is_terminal:
                votes[walker.place] = votes.get(walker.place, 0.0) + weight * len(self.walkers)
        return votes


class ParticleReference:
    """``ParticleFilter``."""

    def __init__(self, options: ParticleOptions, rng: numpy.random.Generator) -> None:
        """Draw from copies of ``rng``, which stays as it is."""
        self.options, self.rng = options, rng

    def past(self, events: Sequence[Event[int]]) -> Past:
        """Return what ``events`` leave."""
        past = Past([], is_merging=True)
        self.walk = Walk(self.options, copy.deepcopy(self.rng), past.root)
        for event in events:
            past.take(event)
            self.walk.take(past, event)
        for place, votes in self.walk.votes().items():
            place.votes = votes
        return past

    def goal(self, past: Past) -> None:
        """Return None: there is none."""

    def can_start(self, past: Past) -> bool:
        """Return whether a trial can start now."""
        return bool(self.walk.line)

    def next(self, past: Past) -> Asked:
        """Return the next trial, where one can start."""
        return ask(self.walk.line[0].place, past, 1)
