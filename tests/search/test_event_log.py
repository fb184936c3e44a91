from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from search import (
    Abandoned,
    Asked,
    Budget,
    Event,
    Proposal,
    ReplayError,
    Stopped,
    StopReason,
    Told,
    event_from_dict,
    event_to_dict,
    replay,
)

BUDGET = Budget(max_simulations=30)


def decode(data: object) -> int:
    assert isinstance(data, int)
    return data


def recorded(world: Any, name: str) -> tuple[Any, list[Event[int]]]:
    events: list[Event[int]] = []
    strategy = world.strategy(name, seed=2, budget=BUDGET)
    strategy.record_to(events.append)
    world.drive(strategy, seed=4, abandon_share=0.15)
    return strategy, events


def test_a_log_replayed_whole_gives_the_same_tree(world: Any, strategy_name: str) -> None:
    strategy, events = recorded(world, strategy_name)
    again = world.strategy(strategy_name, seed=2, budget=BUDGET)
    replay(again, events)
    assert world.snapshot(again.tree) == world.snapshot(strategy.tree)
    assert (again.stop_reason, again.usage) == (strategy.stop_reason, strategy.usage)


def test_a_log_cut_anywhere_goes_on_as_it_did(world: Any, strategy_name: str) -> None:
    strategy, events = recorded(world, strategy_name)
    for cut in range(0, len(events) + 1, 3):
        again = world.strategy(strategy_name, seed=2, budget=BUDGET)
        replay(again, events[:cut])
        settled = {event.trial_id for event in events[:cut] if not isinstance(event, Asked)}
        in_flight = [e.trial_id for e in events[:cut] if isinstance(e, Asked) and e.trial_id not in settled]
        assert [trial.trial_id for trial in again.pending] == in_flight
        rest: list[Event[int]] = []
        again.record_to(rest.append)
        for event in events[cut:]:
            pending = {trial.trial_id: trial for trial in again.pending}
            if isinstance(event, Asked):
                again.ask()
            elif isinstance(event, Told):
                again.tell(pending[event.trial_id], event.proposals, cost=event.cost)
            else:
                again.abandon(pending[event.trial_id], cost=event.cost)
        assert rest == events[cut:]
        assert world.snapshot(again.tree) == world.snapshot(strategy.tree)


def test_events_survive_json(world: Any, strategy_name: str) -> None:
    _, events = recorded(world, strategy_name)
    lines = [json.dumps(event_to_dict(event, lambda state: state)) for event in events]
    assert [event_from_dict(json.loads(line), decode) for line in lines] == events


def test_the_log_is_compact() -> None:
    assert event_to_dict(Asked(3, 7, 2), str) == {"event": "asked", "trial": 3, "node": 7, "num": 2}
    assert event_to_dict(Asked(3, 7, 2, arm=1), str) == {"event": "asked", "trial": 3, "node": 7, "num": 2, "arm": 1}
    assert event_to_dict(Stopped(StopReason.RUN_TOKENS), str) == {"event": "stopped", "reason": "run_tokens"}
    assert event_to_dict(Abandoned(3), str) == {"event": "abandoned", "trial": 3}
    told = Told(3, (Proposal(1, 0.0), Proposal(2, prior=0.5, is_terminal=True, key="k", outcome=("x", 1))), 5)
    assert event_to_dict(told, str) == {
        "event": "told",
        "trial": 3,
        "proposals": [
            {"state": "1", "value": 0.0},
            {"state": "2", "is_terminal": True, "prior": 0.5, "key": "k", "outcome": ("x", 1)},
        ],
        "cost": 5,
    }


def test_rollouts_are_written_with_their_proposal() -> None:
    ends = Proposal(2, 0.5, is_terminal=True, outcome="a"), Proposal(3)
    event = Told(0, (Proposal(1, rollouts=ends),))
    data = event_to_dict(event, lambda state: state)
    assert data["proposals"] == [
        {"state": 1, "rollouts": [{"state": 2, "is_terminal": True, "value": 0.5, "outcome": "a"}, {"state": 3}]}
    ]
    assert event_from_dict(json.loads(json.dumps(data)), decode) == event


def test_a_search_that_was_stopped_is_replayed_stopped(world: Any, strategy_name: str) -> None:
    events: list[Event[int]] = []
    strategy = world.strategy(strategy_name, budget=BUDGET)
    strategy.record_to(events.append)
    first, *others = strategy.ask(3)
    strategy.tell(first, world.think(first))
    strategy.stop(StopReason.SECONDS)
    strategy.stop(StopReason.RUN_SECONDS)
    assert [event for event in events if isinstance(event, Stopped)] == [Stopped(StopReason.SECONDS)]
    again = world.strategy(strategy_name, budget=BUDGET)
    replay(again, events)
    assert again.stop_reason is StopReason.SECONDS
    assert again.ask(5) == []
    assert [trial.trial_id for trial in again.pending] == [trial.trial_id for trial in others]
    assert again.is_done is (not others)


def test_tuples_in_keys_survive_the_lists_of_json() -> None:
    event = Told(0, (Proposal(1, key=("a", ("b", 2)), outcome=(1, 2)),))
    assert event_from_dict(json.loads(json.dumps(event_to_dict(event, lambda state: state))), decode) == event


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"event": "asked", "trial": 0},
        {"event": "asked", "trial": True, "node": 0, "num": 1},
        {"event": "forgotten", "trial": 0},
        {"event": "told", "trial": 0},
        {"event": "told", "trial": 0, "proposals": [1]},
        {"event": "told", "trial": 0, "proposals": [{}]},
        {"event": "told", "trial": 0, "proposals": [{"state": 1, "value": 2.0}]},
        {"event": "told", "trial": 0, "proposals": [{"state": 1, "value": "0.5"}]},
        {"event": "told", "trial": 0, "proposals": [{"state": 1, "key": {}}]},
        {"event": "told", "trial": 0, "proposals": [{"state": 1, "rollouts": {}}]},
        {"event": "told", "trial": 0, "proposals": [{"state": 1, "rollouts": [{"state": 2, "rollouts": [{}]}]}]},
        {"event": "abandoned", "trial": 0, "cost": 0.5},
        {"event": "stopped"},
        {"event": "stopped", "reason": "boredom"},
    ],
)
def test_what_is_no_event_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(ReplayError):
        event_from_dict(data, decode)


@pytest.mark.parametrize(
    ("events", "index"),
    [
        ([Asked(0, 1, 1)], 0),
        ([Asked(1, 0, 1)], 0),
        ([Asked(0, 0, 2)], 0),
        ([Abandoned(0)], 0),
        ([Asked(0, 0, 1), Told(0, ()), Told(0, ())], 2),
        ([Asked(0, 0, 1), Told(0, (Proposal(1), Proposal(2)))], 1),
        ([Asked(0, 0, 1), Told(0, (), -1)], 1),
        ([Asked(number, 0, 1) for number in range(21)], 20),
        ([Stopped(StopReason.COST), Stopped(StopReason.COST)], 1),
        ([Stopped(StopReason.COST), Asked(0, 0, 1)], 1),
    ],
)
def test_a_log_that_does_not_fit_is_refused_where_it_parts(world: Any, events: list[Event[int]], index: int) -> None:
    with pytest.raises(ReplayError) as caught:
        replay(world.strategy("best_of_n"), events)
    assert pickle.loads(pickle.dumps(caught.value)).event_index == index


def test_a_log_of_another_seed_is_refused(world: Any) -> None:
    _, events = recorded(world, "mcts_greedy_value")
    changed = [e if not isinstance(e, Told) else Told(e.trial_id, e.proposals[:1], e.cost) for e in events]
    with pytest.raises(ReplayError):
        replay(world.strategy("mcts_greedy_value", seed=2, budget=BUDGET), changed)


def test_a_sink_that_fails_tells_the_caller(world: Any, strategy_name: str) -> None:
    def broken(event: Event[int]) -> None:
        raise OSError("no space")

    strategy = world.strategy(strategy_name)
    strategy.record_to(broken)
    with pytest.raises(OSError, match="no space"):
        strategy.ask()
