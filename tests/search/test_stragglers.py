"""One trial that is never told: who goes on without it, and who waits."""

from __future__ import annotations

import random
from typing import Any

import pytest

from search import Proposal, Strategy, Trial
from tests.search.worlds import STRATEGIES

WAITING = [name for name in STRATEGIES if name.startswith(("beam", "particle", "chain"))]


def tell_open(strategy: Strategy[int], trial: Trial[int]) -> None:
    """Tell proposals that may all be continued."""
    noise = random.Random(trial.trial_id)
    strategy.tell(trial, [Proposal(index, noise.random(), 0.2) for index in range(trial.num_proposals)])


@pytest.mark.parametrize("name", sorted(STRATEGIES.keys() - WAITING))
def test_one_trial_never_told_keeps_no_other_from_being_asked(world: Any, name: str) -> None:
    strategy = world.strategy(name)
    for _ in range(3):
        tell_open(strategy, strategy.ask()[0])
    (straggler,) = strategy.ask()
    for _ in range(12):
        (trial,) = strategy.ask()
        tell_open(strategy, trial)
    assert strategy.pending == (straggler,)
    assert strategy.stop_reason is None
    tell_open(strategy, straggler)
    assert strategy.usage.num_simulations == 16


@pytest.mark.parametrize("name", ["mcts_puct_widening", "mcts_uct", "ab_mcts_gaussian", "ab_mcts_beta"])
def test_the_very_first_trial_may_straggle_where_the_root_may_be_asked_twice_at_once(world: Any, name: str) -> None:
    strategy = world.strategy(name)
    (straggler,) = strategy.ask()
    for _ in range(20):
        (trial,) = strategy.ask()
        tell_open(strategy, trial)
    assert strategy.pending == (straggler,)


def test_a_subtree_of_dvts_waits_for_its_own_trial_only(world: Any) -> None:
    strategy = world.strategy("dvts")  # 4 subtrees, 5 steps deep
    straggler, *trials = strategy.ask(9)
    while trials:
        tell_open(strategy, trials.pop())
        trials += strategy.ask(9)
    assert strategy.usage.num_simulations == 3 * 5
    assert not strategy.is_done
    tell_open(strategy, straggler)
    while trials := strategy.ask():
        tell_open(strategy, trials[0])
    assert strategy.usage.num_simulations == 4 * 5


@pytest.mark.parametrize("name", ["beam_last", "beam_min", "beam_mean", "beam_product"])
def test_a_beam_waits_for_the_last_trial_of_its_depth(world: Any, name: str) -> None:
    strategy = world.strategy(name)
    straggler, *trials = strategy.ask(9)
    assert all(trial.node is strategy.tree.root for trial in (straggler, *trials))
    for trial in trials:
        tell_open(strategy, trial)
    assert strategy.ask() == []
    assert not strategy.is_done
    tell_open(strategy, straggler)
    assert [trial.node.depth for trial in strategy.ask(9)] == [1] * (len(trials) + 1)


def test_a_chain_waits_for_its_only_trial(world: Any) -> None:
    strategy = world.strategy("chain")
    assert len(strategy.ask(3)) == 1
    assert strategy.ask() == []
