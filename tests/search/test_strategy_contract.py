"""What every strategy promises."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from search import Budget, Proposal, StopReason, Strategy, UnknownTrialError

BUDGET = Budget(max_simulations=60)


def test_it_ends_with_a_reason_and_nothing_pending(world: Any, strategy_name: str) -> None:
    strategy = world.strategy(strategy_name, budget=BUDGET)
    assert (strategy.is_done, strategy.stop_reason, strategy.pending) == (False, None, ())
    world.drive(strategy, abandon_share=0.1)
    assert strategy.is_done
    assert strategy.pending == ()
    assert isinstance(strategy.stop_reason, StopReason)
    assert strategy.ask(5) == []


@pytest.mark.parametrize("seed", range(4))
def test_counts_agree_after_every_call(world: Any, strategy_name: str, seed: int) -> None:
    def check(strategy: Strategy[int]) -> None:
        tree, pending = strategy.tree, strategy.pending
        assert tree.root.visit_count == strategy.usage.num_simulations
        assert tree.root.pending_count == len(pending)
        assert [trial.trial_id for trial in pending] == sorted(trial.trial_id for trial in pending)
        for node in tree.nodes:
            assert node.visit_count >= sum(child.visit_count for child in node.children)
            assert node.num_told <= node.num_asked

    world.drive(world.strategy(strategy_name, seed=seed, budget=BUDGET), seed=seed, abandon_share=0.2, after_each=check)


def test_while_nothing_is_pending_and_it_is_not_done_it_asks(world: Any, strategy_name: str) -> None:
    strategy = world.strategy(strategy_name, budget=BUDGET)
    while not strategy.is_done:
        (trial,) = strategy.ask()
        strategy.tell(trial, world.think(trial))


def test_same_seed_and_same_calls_give_the_same_tree(world: Any, strategy_name: str) -> None:
    first, second = (world.strategy(strategy_name, seed=5, budget=BUDGET) for _ in range(2))
    for strategy in (first, second):
        world.drive(strategy, seed=6, abandon_share=0.1)
    assert world.snapshot(first.tree) == world.snapshot(second.tree)


def test_asking_many_is_asking_one_many_times(world: Any, strategy_name: str) -> None:
    at_once, one_by_one = (world.strategy(strategy_name, budget=BUDGET) for _ in range(2))
    for _ in range(6):
        many = at_once.ask(4)
        few = [trial for _ in range(4) for trial in one_by_one.ask()]
        assert [(t.trial_id, t.node.node_id) for t in many] == [(t.trial_id, t.node.node_id) for t in few]
        for left, right in zip(many, few, strict=True):
            at_once.tell(left, world.think(left))
            one_by_one.tell(right, world.think(right))
    assert world.snapshot(at_once.tree) == world.snapshot(one_by_one.tree)


def test_ask_then_abandon_leaves_the_tree_as_it_was(world: Any, strategy_name: str) -> None:
    strategy = world.strategy(strategy_name, budget=BUDGET, max_abandons=100)
    for _ in range(5):
        before = world.snapshot(strategy.tree)
        trials = strategy.ask(2)
        for trial in reversed(trials):
            strategy.abandon(trial)
        assert world.snapshot(strategy.tree) == before
        for trial in strategy.ask():
            strategy.tell(trial, world.think(trial))


def test_an_ever_failing_search_ends(world: Any, strategy_name: str) -> None:
    strategy = world.strategy(strategy_name)
    num_trials = 0
    while not strategy.is_done:
        for trial in strategy.ask(2):
            strategy.abandon(trial, cost=7)
            num_trials += 1
    assert strategy.stop_reason is StopReason.EXHAUSTED
    assert 3 <= num_trials <= 4
    assert (strategy.usage.num_simulations, strategy.usage.cost) == (0, 7 * num_trials)
    assert len(strategy.tree) == 1


def test_empty_tells_are_simulations_and_add_nothing(world: Any, strategy_name: str) -> None:
    strategy = world.strategy(strategy_name, budget=BUDGET)
    while not strategy.is_done:
        for trial in strategy.ask(3):
            strategy.tell(trial, [])
    assert strategy.usage.num_simulations == strategy.tree.root.visit_count > 0
    assert len(strategy.tree) == 1


def test_no_more_simulations_start_than_the_budget_allows(world: Any, strategy_name: str) -> None:
    strategy = world.strategy(strategy_name, budget=Budget(max_simulations=3))
    num_abandons = 0
    while not strategy.is_done:
        for trial in strategy.ask(10):
            assert strategy.usage.num_simulations + len(strategy.pending) <= 3
            if num_abandons < 2:
                num_abandons += 1
                strategy.abandon(trial)
            else:
                strategy.tell(trial, [Proposal(trial.trial_id, 0.1, prior=0.1)])
    assert strategy.usage.num_simulations == 3
    assert strategy.stop_reason is StopReason.SIMULATIONS


def test_spent_cost_stops_the_asking_and_pending_trials_may_still_be_told(world: Any, strategy_name: str) -> None:
    strategy = world.strategy(strategy_name, budget=Budget(max_cost=10))
    (trial,) = strategy.ask()
    strategy.tell(trial, [Proposal(2, 0.1)], cost=9)
    first, *others = strategy.ask(2)
    strategy.abandon(first, cost=1)
    assert strategy.stop_reason is StopReason.COST
    assert strategy.ask() == []
    assert strategy.is_done is (not others)
    for other in others:
        strategy.tell(other, [], cost=5)
    assert strategy.is_done
    assert strategy.usage.cost == 10 + 5 * len(others)


@pytest.mark.parametrize("method", ["tell", "abandon"])
def test_a_repeated_ticket_is_refused_and_changes_nothing(world: Any, strategy_name: str, method: str) -> None:
    strategy = world.strategy(strategy_name)
    (trial,) = strategy.ask()
    strategy.tell(trial, world.think(trial)[:1])
    before, usage = world.snapshot(strategy.tree), strategy.usage
    arguments: list[list[Proposal[int]]] = [[]] if method == "tell" else []
    with pytest.raises(UnknownTrialError, match="trial 0 is not pending") as caught:
        getattr(strategy, method)(trial, *arguments)
    assert caught.value.trial_id == 0
    assert (world.snapshot(strategy.tree), strategy.usage) == (before, usage)


def test_a_ticket_of_another_search_is_refused(world: Any, strategy_name: str) -> None:
    strategy, other = world.strategy(strategy_name), world.strategy(strategy_name)
    strategy.ask()
    with pytest.raises(UnknownTrialError):
        strategy.tell(other.ask()[0], [])
    assert len(strategy.pending) == 1


def test_bad_arguments_leave_the_trial_pending(world: Any, strategy_name: str) -> None:
    strategy = world.strategy(strategy_name)
    (trial,) = strategy.ask()
    too_many = [Proposal(0)] * (trial.num_proposals + 1)
    with pytest.raises(ValueError, match=f"proposals must be at most {trial.num_proposals}"):
        strategy.tell(trial, too_many)
    with pytest.raises(ValueError, match="cost must be"):
        strategy.tell(trial, [], cost=-1)
    with pytest.raises(ValueError, match="cost must be"):
        strategy.abandon(trial, cost=-1)
    with pytest.raises(ValueError, match="limit must be"):
        strategy.ask(0)
    assert strategy.pending == (trial,)
    assert len(strategy.tree) == 1


def test_states_are_opaque(strategy_name: str, world: Any) -> None:
    class Opaque:
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            raise AssertionError("a state was compared")

    strategy = world.strategy(strategy_name, budget=Budget(max_simulations=8))
    while not strategy.is_done:
        for trial in strategy.ask(2):
            strategy.tell(trial, [Proposal(Opaque(), 0.5) for _ in range(trial.num_proposals)])
    assert len(strategy.tree) > 1


def test_an_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(UnknownTrialError("no", trial_id=4)))
    assert (str(error), error.trial_id) == ("no", 4)
