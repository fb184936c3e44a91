"""What a search must do, worked out anew from its whole event log at every step: slow, plain and with nothing kept.

``Past`` says what the events made of the tree; each reference says what is asked next, and why nothing more is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from search import (
    Abandoned,
    Asked,
    BackupRule,
    Event,
    Limits,
    Proposal,
    StopOptions,
    StopReason,
    Told,
)


@dataclass(eq=False)
class Place:
    """A node."""

    index: int
    proposal: Proposal[int] | None
    parent: Place | None
    value: float | None
    children: list[Place] = field(default_factory=list)
    observations: list[float] = field(default_factory=list)
    """The own value and all that was backed up through the node, in the order in which they came."""
    brought: list[float] = field(default_factory=list)
    """The values that trials at the node itself brought."""
    q: float | None = None
    trials: list[str] = field(default_factory=list)
    """What became of each trial at the node, in the order settled: told or abandoned."""
    num_told: int = 0
    pending: list[int] = field(default_factory=list)
    """Proposals wanted by each trial in flight at the node."""
    votes: float = 0.0
    """Paths it counts for in a vote, where it is finished; for references that count them."""

    @property
    def path(self) -> list[Place]:
        """The places from the root to this one."""
        return [self] if self.parent is None else [*self.parent.path, self]

    @property
    def depth(self) -> int:
        """Steps from the root."""
        return len(self.path) - 1

    @property
    def is_terminal(self) -> bool:
        """Whether a path ends here."""
        return self.proposal is not None and self.proposal.is_terminal

    @property
    def prior(self) -> float | None:
        """The proposer's probability."""
        return None if self.proposal is None else self.proposal.prior

    @property
    def key(self) -> Hashable | None:
        """What siblings are merged by."""
        return None if self.proposal is None else self.proposal.key

    @property
    def below(self) -> list[Place]:
        """This place and all below it."""
        return [self, *(place for child in self.children for place in child.below)]

    @property
    def num_visits(self) -> int:
        """Trials told here or below."""
        return sum(place.trials.count("told") for place in self.below)

    @property
    def num_pending(self) -> int:
        """Trials in flight here or below."""
        return sum(len(place.pending) for place in self.below)

    @property
    def num_asked(self) -> int:
        """Proposals told or in flight here."""
        return self.num_told + sum(self.pending)

    @property
    def num_abandons(self) -> int:
        """Trials here that were abandoned since the last one told."""
        return len(self.trials) - max((i + 1 for i, end in enumerate(self.trials) if end == "told"), default=0)


class Past:
    """The tree and the finished paths that an event log leaves, with one of the ways of backing up."""

    def __init__(
        self,
        events: Sequence[Event[int]],
        *,
        is_merging: bool,
        backup: BackupRule = "mean",
        rate: float = 0.0,
        is_joint: bool = False,
    ) -> None:
        """Take in ``events``; with ``is_joint`` one value is backed up for all proposals of a trial, else one each."""
        self.places = [Place(0, None, None, None)]
        self.is_merging, self.backup, self.rate, self.is_joint = is_merging, backup, rate, is_joint
        self.asked: dict[int, Asked] = {}
        self.pending: dict[int, Asked] = {}
        self.told: list[list[Place]] = []
        """The places that each told trial came to, in the order told."""
        self.rollouts: list[tuple[Place, Proposal[int]]] = []
        self.endings: list[Hashable | None] = []
        """The answers of all finished paths as they came, those of a trial's places before those of its rollouts."""
        self.best_values: list[float | None] = []
        """The highest value of a finished place after each told trial."""
        self.by_arm: dict[int, list[float]] = {}
        self.cost = 0
        for event in events:
            self.take(event)

    @property
    def root(self) -> Place:
        """The first place."""
        return self.places[0]

    def take(self, event: Event[int]) -> None:
        """Take in one more event."""
        if isinstance(event, Asked):
            self.asked[event.trial_id] = self.pending[event.trial_id] = event
            self.places[event.node_id].pending.append(event.num_proposals)
        elif isinstance(event, Told | Abandoned):
            asked = self.pending.pop(event.trial_id)
            place = self.places[asked.node_id]
            place.pending.remove(asked.num_proposals)
            place.trials.append("told" if isinstance(event, Told) else "abandoned")
            self.cost += event.cost
            if isinstance(event, Told):
                place.num_told += asked.num_proposals
                self.grow(place, event.proposals, asked.arm)

    def grow(self, place: Place, proposals: Sequence[Proposal[int]], arm: int) -> None:
        """Add the proposals of a told trial, and back their values up."""
        first_new = len(self.places)
        first_rollout = len(self.rollouts)
        places = [self.reach(place, proposal) for proposal in proposals]
        values = [reached.value for reached in places if reached.value is not None]
        place.brought += values
        self.by_arm.setdefault(arm, []).extend(values)
        if values and self.is_joint:
            values = [max(values) if self.backup == "max" else math.fsum(values) / len(values)]
        for value in values:
            self.back_up(place, value)
        new = [reached for reached in self.places[first_new:] if reached.is_terminal]
        self.endings += [reached.proposal.outcome for reached in new if reached.proposal]
        self.endings += [rollout.outcome for _, rollout in self.rollouts[first_rollout:]]
        known = [place.value for place in self.places if place.is_terminal and place.value is not None]
        self.best_values.append(max(known, default=None))
        self.told.append(places)

    def reach(self, parent: Place, proposal: Proposal[int]) -> Place:
        """Return the place that ``proposal`` is, new or not; a value that was unknown is learned."""
        for child in parent.children:
            if self.is_merging and proposal.key is not None and child.key == proposal.key:
                if child.value is None and proposal.value is not None:
                    child.value = proposal.value
                    child.observations.append(proposal.value)
                    child.q = self.learned(child, proposal.value)
                return child
        child = Place(len(self.places), proposal, parent, proposal.value, q=proposal.value)
        child.observations += [] if proposal.value is None else [proposal.value]
        parent.children.append(child)
        self.places.append(child)
        self.rollouts += [(child, rollout) for rollout in proposal.rollouts]
        return child

    def learned(self, place: Place, value: float) -> float:
        """Return Q of a place that has just observed its own ``value``, unknown until now."""
        if self.backup == "mean":
            return mean(place.observations)
        if self.backup == "max":
            return max(place.observations)
        if place.q is None:
            return value
        return (value + place.q) / 2 if self.backup == "halfway" else (1 - self.rate) * value + self.rate * place.q

    def back_up(self, place: Place, value: float) -> None:
        """Let ``place`` and all above it observe ``value``."""
        target = value
        for above in reversed(place.path):
            above.observations.append(value)
            if self.backup == "mean":
                above.q = mean(above.observations)
            elif self.backup == "max":
                above.q = max(above.observations)
            elif self.backup == "halfway":
                best = max(child.q for child in above.children if child.q is not None)
                above.q = best if above.q is None else (above.q + best) / 2
            else:
                target = target if above.q is None else (1 - self.rate) * above.q + self.rate * target
                above.q = target


def added(values: Sequence[float]) -> float:
    """Return the sum, rounded after each addition."""
    total = 0.0
    for value in values:
        total += value
    return total


def mean(values: Sequence[float]) -> float:
    """Return the mean."""
    return added(values) / len(values)


def agreement(answers: Sequence[Hashable | None]) -> Fraction:
    """Return the probability, exactly, that the commonest answer is commoner than the next: P(Beta(a+1, b+1) > 1/2)."""
    counts = [number for _, number in Counter(answer for answer in answers if answer is not None).most_common(2)]
    first, second = [*counts, 0, 0][:2]
    tosses = first + second + 1
    return Fraction(sum(math.comb(tosses, heads) for heads in range(second + 1, tosses + 1)), 2**tosses)


def stop_reason(past: Past, options: StopOptions) -> StopReason | None:
    """Return which of ``options`` holds."""
    best = past.best_values[-1] if past.best_values else None
    if options.value_threshold is not None and best is not None and best >= options.value_threshold:
        return StopReason.VALUE_THRESHOLD
    num_finished = sum(place.is_terminal for place in past.places)
    if options.num_finished is not None and num_finished >= options.num_finished:
        return StopReason.NUM_FINISHED
    size = options.window or 1
    windows = [past.endings[i : i + size] for i in range(0, len(past.endings) - size + 1, size)]
    is_unanimous = any(None not in window and len(set(window)) == 1 for window in windows)
    if options.window is not None and is_unanimous:
        return StopReason.AGREEMENT
    if options.agreement is not None and agreement(past.endings) >= Fraction(options.agreement):
        return StopReason.AGREEMENT
    gains = [i for i, value in enumerate(past.best_values) if value != (past.best_values[i - 1] if i else None)]
    if options.patience is not None and gains and len(past.best_values) - 1 - gains[-1] >= options.patience:
        return StopReason.PATIENCE
    return None


def limit_reason(past: Past, limits: Limits) -> StopReason | None:
    """Return why ``limits`` end the search."""
    budget = limits.budget
    if (reason := stop_reason(past, limits.stop)) is not None:
        return reason
    if budget.max_simulations is not None and len(past.told) >= budget.max_simulations:
        return StopReason.SIMULATIONS
    if budget.max_cost is not None and past.cost >= budget.max_cost:
        return StopReason.COST
    return None


def ask(place: Place, past: Past, num_proposals: int, arm: int = 0) -> Asked:
    """Return the next trial, at ``place``."""
    return Asked(len(past.asked), place.index, num_proposals, arm)
