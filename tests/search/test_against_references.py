"""Each strategy against the plain one of ``references``, call by call, over many random searches."""

from __future__ import annotations

import random
from typing import Any, Protocol

import numpy
import pytest

from search import Asked, Event, Limits, StopReason, Strategy
from tests.search.references import Past, limit_reason
from tests.search.references_ab_mcts import AbMctsReference
from tests.search.references_beam import BeamReference
from tests.search.references_mcts import MctsReference
from tests.search.references_particle import ParticleReference
from tests.search.references_samples import BestOfNReference, ChainReference
from tests.search.worlds import FAMILIES, random_limits, random_mind, start

REFERENCES: dict[str, Any] = {
    "puct": MctsReference,
    "uct": MctsReference,
    "greedy_value": MctsReference,
    "gaussian": AbMctsReference,
    "beta": AbMctsReference,
    "beam": BeamReference,
    "dvts": BeamReference,
    "particle": ParticleReference,
    "best_of_n": BestOfNReference,
    "chain": ChainReference,
}

MAX_TRIALS = 25


class Reference(Protocol):
    """What ``references`` has one of for each strategy."""

    def past(self, events: list[Event[int]]) -> Past: ...
    def goal(self, past: Past) -> StopReason | None: ...
    def can_start(self, past: Past) -> bool: ...
    def next(self, past: Past) -> Asked: ...


class Comparison:
    """A strategy, and its reference, which works everything out of the log."""

    def __init__(self, strategy: Strategy[int], reference: Reference, limits: Limits) -> None:
        self.strategy, self.reference, self.limits = strategy, reference, limits
        self.events: list[Event[int]] = []
        strategy.record_to(self.events.append)
        self.past = reference.past([])
        self.reason: StopReason | None = None

    def ask(self) -> None:
        """Ask one trial, which must be the one that the reference asks, if it asks any."""
        past, limit = self.past, self.limits.budget.max_simulations
        has_budget = limit is None or len(past.told) + len(past.pending) < limit
        is_asked = self.reason is None and has_budget and self.reference.can_start(past)
        expected = [self.reference.next(past)] if is_asked else []
        num_events = len(self.events)
        self.strategy.ask()
        assert self.events[num_events:] == expected
        self.check()

    def check(self) -> None:
        """Compare everything that can be read."""
        self.past = past = self.reference.past(self.events)
        strategy = self.strategy
        assert list(map(vars_of_node, strategy.tree.nodes)) == list(map(vars_of_place, past.places))
        assert [end.parent and (end.parent.node_id, end.state) for end in strategy.tree.rollouts] == [
            (place.index, rollout.state) for place, rollout in past.rollouts
        ]
        if isinstance(self.reference, BeamReference | ParticleReference):
            votes = [place.votes for place in past.places if place.is_terminal]
            assert [node.votes for node in strategy.tree.finished] == pytest.approx(votes, rel=1e-6, abs=1e-12)
        assert strategy.usage.num_simulations == len(past.told)
        assert strategy.usage.cost == past.cost
        assert [trial.trial_id for trial in strategy.pending] == list(past.pending)

    def check_reason(self) -> None:
        """Compare why nothing more is asked; called after each trial that is told or abandoned."""
        if self.reason is None:
            self.reason = self.reference.goal(self.past) or limit_reason(self.past, self.limits)
        if self.reason is None and not self.past.pending and not self.reference.can_start(self.past):
            self.reason = StopReason.EXHAUSTED
        assert self.strategy.stop_reason == self.reason


def vars_of_node(node: Any) -> list[object]:
    parent_id = None if node.parent is None else node.parent.node_id
    counts = [node.visit_count, node.pending_count, node.num_asked, node.num_told, node.value_count]
    return [node.node_id, parent_id, node.depth, node.value, node.search_value, *counts]


def vars_of_place(place: Any) -> list[object]:
    parent_id = None if place.parent is None else place.parent.index
    counts = [place.num_visits, place.num_pending, place.num_asked, place.num_told, len(place.observations)]
    return [place.index, parent_id, place.depth, place.value, place.q, *counts]


def compare(family: str, seed: int) -> None:
    draw = random.Random(seed)
    options, limits = FAMILIES[family](draw), random_limits(draw, max_simulations=MAX_TRIALS)
    strategy = start(options, seed=seed, limits=limits)
    reference = REFERENCES[family](options, numpy.random.default_rng(seed))
    comparison = Comparison(strategy, reference, limits)
    mind = random_mind(draw, is_exact=family == "beta")
    abandon_share, num_in_flight = draw.choice((0.0, 0.1, 0.4)), draw.randint(1, 6)
    while not strategy.is_done:
        while len(strategy.pending) < draw.randint(1, num_in_flight) and len(comparison.past.asked) < 4 * MAX_TRIALS:
            num_pending = len(strategy.pending)
            comparison.ask()
            if len(strategy.pending) == num_pending:
                break
        if not strategy.pending:
            break
        trial = draw.choice(strategy.pending)
        if draw.random() < abandon_share:
            strategy.abandon(trial, cost=draw.randint(0, 2))
        else:
            strategy.tell(trial, mind.proposals(trial.num_proposals), cost=draw.randint(0, 2))
        comparison.check()
        comparison.check_reason()


@pytest.mark.parametrize("family", REFERENCES)
def test_it_does_what_its_reference_does(family: str) -> None:
    for seed in range(60):
        compare(family, seed)


@pytest.mark.slow
@pytest.mark.parametrize("family", REFERENCES)
def test_it_does_what_its_reference_does_for_a_thousand_seeds(family: str) -> None:
    for seed in range(60, 1060):
        compare(family, seed)
