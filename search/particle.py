"""Particle filter: paths go on side by side, and after each step the better ones are copied in the place of others."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic

import numpy

from search.backup import back_up
from search.checks import check_at_least, check_choice, check_share
from search.expansion import Growth, expand
from search.particle_weights import (
    RESAMPLING_RULES,
    ResamplingRule,
    effective_sample_size,
    log_odds,
    resample,
    reweighted,
)
from search.strategy import MAX_ABANDONS, NO_LIMITS, Limits, Strategy, Trial
from search.tree import Node, Proposal, S

_ROUNDING = 1e-9
"""An effective sample size that is lower by less, as that of equal weights may be, is not."""


@dataclass(frozen=True, slots=True)
class ParticleOptions:
    """Options of ``ParticleFilter``."""

    num_particles: int = 4
    """N, the paths that go on side by side; at least 2."""
    resampling: ResamplingRule = "systematic"
    """How the particles that go on are drawn."""
    resample_below: float = 1.0
    """Share of N, in [0, 1], below which the effective sample size must lie for particles to be drawn anew: 0 never
    draws, and 1, as in the paper, draws after each step that leaves unequal weights."""
    tempering: float = 1.0
    """Exponent, not negative, of a value's odds in a weight; 0 leaves values out."""
    num_rounds: int | None = 1
    """Rounds, each from the root and each after the first with one path of the last retained; None is no limit."""
    max_depth: int | None = None
    """Steps from the root at which a particle that is not finished dies; None is no limit."""
    max_abandons: int = MAX_ABANDONS
    """Abandons in a row after which a node is not asked again, and the particles there die."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_at_least("num_particles", self.num_particles, 2)
        check_choice("resampling", self.resampling, RESAMPLING_RULES)
        check_share("resample_below", self.resample_below)
        check_at_least("tempering", self.tempering, 0)
        check_at_least("max_abandons", self.max_abandons, 1)
        for name in ("num_rounds", "max_depth"):
            if (number := getattr(self, name)) is not None:
                check_at_least(name, number, 1)


@dataclass(slots=True)
class _Particle(Generic[S]):
    """A path and its weight."""

    node: Node[S]
    weight: float
    """Share of the weight of all, as of the last step that is over; 0 of a dead particle."""

    @property
    def goes_on(self) -> bool:
        """Whether the particle is neither dead nor finished."""
        return self.weight > 0.0 and not self.node.is_terminal


class ParticleFilter(Strategy[S]):
    """Particle filtering over steps (Puri et al., 2025, arXiv 2502.01618); in several rounds, particle Gibbs.

    A trial is the next step of one particle. A step is over when each particle that goes on has made it or died. Then
    weights are multiplied by ``(v / (1 - v)) ** tempering``, v being the value of a particle's node, and if they have
    become too unequal, N particles of equal weight are drawn by weight. Finished particles are weighed with each step
    and drawn like others, so that neither short nor long paths gain by their length; they are asked nothing more. A
    particle whose value is unknown keeps its share of the weight. One that comes to a dead end, to ``max_depth``, or to
    a node that failed too often, dies.

    A round is over when no particle goes on. Its votes, N in all, are divided by the last weights, so that a finished
    path which several particles share counts as all of them, and one that no particle is at any more has none. Where
    weights are equal, as after a draw, that is the number of its particles. In a further round the first particle
    follows a path of the last round, drawn by weight, and is never dropped (conditional SMC, Andrieu, Doucet and
    Holenstein, 2010; their proof is for ``multinomial``). The votes of all rounds are added.
    """

    def __init__(
        self, options: ParticleOptions, *, rng: numpy.random.Generator, root: S, limits: Limits = NO_LIMITS
    ) -> None:
        """Start all particles of the first round at ``root``."""
        super().__init__(rng=rng, root=root, limits=limits, max_abandons=options.max_abandons)
        self._options = options
        self._growth = Growth(options.max_depth, is_refining=False, backup="mean")
        self._ready: deque[int] = deque()
        self._slots: dict[int, int] = {}
        self._num_rounds = 0
        self._retained: list[Node[S]] = []
        self._start_round()
        self._start_step()

    def _is_open(self) -> bool:
        return bool(self._ready)

    def _next_trial(self, trial_id: int) -> Trial[S]:
        slot = self._slots[trial_id] = self._ready.popleft()
        return Trial(trial_id, self._particles[slot].node, 1)

    def _receive(self, trial: Trial[S], proposals: Sequence[Proposal[S]]) -> list[Node[S]]:
        slot, first_new_id = self._slots.pop(trial.trial_id), len(self._tree)
        places = expand(self._tree, trial.node, proposals, growth=self._growth)
        for place in places:
            back_up(self._tree, trial.node, place.value, "mean")
            if place.node_id >= first_new_id:
                self._tree.set_votes(place, 0.0)
            self._move(slot, place)
        if not places:
            self._particles[slot].weight = 0.0
        self._end_trials(1)
        return places

    def _lose(self, trial: Trial[S]) -> None:
        self._ready.append(self._slots.pop(trial.trial_id))
        if self._has_failed(trial.node):
            stuck = [slot for slot in self._ready if self._particles[slot].node is trial.node]
            for slot in stuck:
                self._ready.remove(slot)
                self._particles[slot].weight = 0.0
            self._end_trials(len(stuck))

    def _start_round(self) -> None:
        number = self._options.num_particles
        self._num_rounds += 1
        self._particles = [_Particle(self._tree.root, 1 / number) for _ in range(number)]
        # The finished nodes of this round, each with the votes of the rounds before.
        self._ends: dict[Node[S], float] = {}

    def _start_step(self) -> None:
        """Let each particle that goes on ask for a step, save the retained one, whose step is known."""
        # The particles that have made the step, in which the weight of the others has not changed.
        self._moved: set[int] = set()
        for slot, particle in enumerate(self._particles):
            if not particle.goes_on:
                continue
            if slot == 0 and self._retained:
                self._move(slot, self._retained[particle.node.depth + 1])
            elif self._has_failed(particle.node) or particle.node.depth == self._options.max_depth:
                particle.weight = 0.0
            else:
                self._ready.append(slot)
        self._num_open = len(self._ready)

    def _move(self, slot: int, node: Node[S]) -> None:
        self._particles[slot].node = node
        self._moved.add(slot)
        if node.is_terminal:
            self._ends.setdefault(node, node.votes)

    def _end_trials(self, number: int) -> None:
        """Count trials as told or given up; after the last one, go on to a step at which there is something to ask."""
        self._num_open -= number
        while not self._num_open and self._end_step():
            self._start_step()
        self._count_votes()

    def _end_step(self) -> bool:
        """Weigh all particles and draw those that go on; return whether there is another step, maybe of a new round."""
        self._moved.update(slot for slot, particle in enumerate(self._particles) if particle.node.is_terminal)
        for particle, weight in zip(self._particles, self._weights(), strict=True):
            particle.weight = weight
        self._moved.clear()
        if any(particle.goes_on for particle in self._particles):
            self._resample()
            return True
        if self._num_rounds == self._options.num_rounds or self._has_failed(self._tree.root):
            return False
        self._count_votes()
        self._retain()
        self._start_round()
        return True

    def _weights(self) -> list[float]:
        """Return the present weights, which sum to 1 unless all particles are dead."""
        factors: list[float | None] = [None] * len(self._particles)
        for slot in self._moved:
            value = self._particles[slot].node.value
            factors[slot] = None if value is None else self._options.tempering * log_odds(value)
        return reweighted([particle.weight for particle in self._particles], factors)

    def _resample(self) -> None:
        number, weights = self._options.num_particles, [particle.weight for particle in self._particles]
        if effective_sample_size(weights) < self._options.resample_below * number - _ROUNDING:
            kept = self._particles[:1] if self._retained else []
            drawn = resample(self._options.resampling, weights, number - len(kept), self._rng)
            going = [*kept, *(self._particles[slot] for slot in drawn)]
            self._particles = [replace(particle, weight=1 / number) for particle in going]

    def _retain(self) -> None:
        """Draw the path that the next round retains; none where no particle is finished."""
        weights = [particle.weight if particle.node.is_terminal else 0.0 for particle in self._particles]
        self._retained = []
        if any(weights):
            (slot,) = resample("multinomial", weights, 1, self._rng)
            self._retained = self._tree.path(self._particles[slot].node)

    def _count_votes(self) -> None:
        votes: defaultdict[Node[S], float] = defaultdict(float)
        for particle, weight in zip(self._particles, self._weights(), strict=True):
            votes[particle.node] += weight * self._options.num_particles
        for node, before in self._ends.items():
            self._tree.set_votes(node, before + votes[node])
