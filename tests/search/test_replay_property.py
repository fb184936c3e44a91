"""A log cut anywhere, written as JSON, read and replayed is the search that wrote it, for random ones of every kind."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence

import pytest

from search import Asked, Event, Stopped, StopReason, Strategy, Told, event_from_dict, event_to_dict, replay
from tests.search.worlds import FAMILIES, Mind, random_limits, random_mind, snapshot, start


def written(events: Iterable[Event[int]]) -> list[str]:
    return [json.dumps(event_to_dict(event, lambda state: {"state": state})) for event in events]


def read(lines: Iterable[str]) -> list[Event[int]]:
    def decode(data: object) -> int:
        assert isinstance(data, dict)
        return int(data["state"])

    return [event_from_dict(json.loads(line), decode) for line in lines]


def described(strategy: Strategy[int]) -> list[object]:
    """Return everything that can be read of a strategy."""
    tree = strategy.tree
    trials = [(trial.trial_id, trial.node.node_id, trial.num_proposals, trial.arm) for trial in strategy.pending]
    finished = [node.node_id for node in tree.finished]
    last = None if tree.last is None else tree.last.node_id
    ends = [trials, finished, last, strategy.usage, strategy.stop_reason, strategy.is_done]
    return [*ends, *map(str, snapshot(tree))]


def act(draw: random.Random, mind: Mind, twins: Sequence[Strategy[int]]) -> None:
    """Make one random call, the same to each of ``twins``."""
    pending = twins[0].pending
    fate = draw.random()
    if fate < 0.01:
        for strategy in twins:
            strategy.stop(StopReason.SECONDS)
    elif not pending or (fate < 0.4 and len(pending) < 7):
        limit = draw.randint(1, 4)
        for strategy in twins:
            strategy.ask(limit)
    else:
        index, cost = draw.randrange(len(pending)), draw.randint(0, 2)
        proposals = mind.proposals(pending[index].num_proposals)
        for strategy in twins:
            if fate > 0.92:
                strategy.abandon(strategy.pending[index], cost=cost)
            else:
                strategy.tell(strategy.pending[index], proposals, cost=cost)


def follow(strategy: Strategy[int], events: Sequence[Event[int]]) -> None:
    """Make the calls that ``events`` came of; they must come of them again."""
    recorded: list[Event[int]] = []
    strategy.record_to(recorded.append)
    for event in events:
        if isinstance(event, Asked):
            strategy.ask()
        elif isinstance(event, Stopped):
            strategy.stop(event.reason)
        else:
            (trial,) = (trial for trial in strategy.pending if trial.trial_id == event.trial_id)
            if isinstance(event, Told):
                strategy.tell(trial, event.proposals, cost=event.cost)
            else:
                strategy.abandon(trial, cost=event.cost)
    assert recorded == events


def check_case(seed: int) -> None:
    """Search at random; replay from a cut between two calls, and from one anywhere; then go on with all three."""
    draw = random.Random(seed)
    options = FAMILIES[list(FAMILIES)[seed % len(FAMILIES)]](draw)
    limits = random_limits(draw, max_simulations=25)
    mind = random_mind(draw, is_exact=False)

    def fresh() -> Strategy[int]:
        return start(options, seed=seed, limits=limits)

    search = fresh()
    events: list[Event[int]] = []
    search.record_to(events.append)

    def play(num_calls: int, twins: Sequence[Strategy[int]]) -> None:
        for _ in range(num_calls):
            if not search.is_done:
                act(draw, mind, twins)

    play(draw.randint(0, 30), [search])
    cut, at_cut = len(events), described(search)
    play(draw.randint(0, 30), [search])
    lines = written(events)
    again, other = fresh(), fresh()
    replay(again, read(lines[:cut]))
    assert described(again) == at_cut
    follow(again, read(lines[cut:]))
    anywhere = draw.randint(0, len(lines))
    replay(other, read(lines[:anywhere]))
    follow(other, read(lines[anywhere:]))
    assert described(again) == described(other) == described(search)
    twins = (search, again, other)
    play(draw.randint(1, 10), twins)
    assert described(again) == described(other) == described(search)


def test_a_replayed_search_is_the_one_that_was_cut() -> None:
    for seed in range(200):
        check_case(seed)


@pytest.mark.slow
def test_a_replayed_search_is_the_one_that_was_cut_thousands_of_times() -> None:
    for seed in range(200, 3200):
        check_case(seed)
