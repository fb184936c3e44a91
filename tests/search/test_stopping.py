"""Reasons to stop, over all strategies; ``test_formulas`` works out windows, agreement and patience by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy
import pytest

from search import Budget, Limits, Mcts, MctsOptions, Proposal, StopOptions, StopReason, Strategy, Trial
from search.stopping import Lead
from tests.search.references import agreement

Think = Callable[[Trial[int]], list[Proposal[int]]]


def run(strategy: Strategy[int], think: Think) -> tuple[StopReason | None, int]:
    """Tell what ``think`` proposes, one trial at a time, to the end; return why it ended and after how many trials."""
    while not strategy.is_done:
        trial = strategy.ask()[0]
        strategy.tell(trial, think(trial))
    return strategy.stop_reason, strategy.usage.num_simulations


def all_finished(trial: Trial[int]) -> list[Proposal[int]]:
    """Return finished paths of one answer and value."""
    return [Proposal(index, 0.5, is_terminal=True, outcome="a") for index in range(trial.num_proposals)]


def one_finished(trial: Trial[int]) -> list[Proposal[int]]:
    """Return one finished path, in the first trial; all else goes on and has no value."""
    return [
        Proposal(index, 0.5, is_terminal=True) if trial.trial_id == index == 0 else Proposal(index)
        for index in range(trial.num_proposals)
    ]


def rolled_out(trial: Trial[int]) -> list[Proposal[int]]:
    """Return one unfinished path with four rollouts, all of one answer and of the highest value."""
    rollouts = tuple(Proposal(index, 1.0, is_terminal=True, outcome="a") for index in range(4))
    return [Proposal(trial.trial_id, 0.5, rollouts=rollouts)]


@pytest.mark.parametrize("num_second", range(61))
def test_the_kept_lead_settles_where_the_exact_probability_does(num_second: int) -> None:
    """Whatever the order in which the two counts grew: the second early or late."""
    early = Lead()
    for num_first in range(num_second, 61):
        early.advance(num_first, num_second)
        late = Lead()
        late.advance(num_first, 0)
        late.advance(num_first, num_second)
        exact = agreement(["first"] * num_first + ["second"] * num_second)
        for threshold in (0.6, 0.75, 0.9, 0.95, 0.99, 0.999999):
            assert (early.probability >= threshold) is (exact >= Fraction(threshold))
        assert early.probability == late.probability


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("value_threshold", 1.1),
        ("value_threshold", math.nan),
        ("num_finished", 0),
        ("agreement", 0.5),
        ("agreement", 1.0),
        ("agreement", math.nan),
        ("window", 1),
        ("patience", 0),
    ],
)
def test_an_option_out_of_range_names_itself(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must"):
        StopOptions(**{name: value})  # type: ignore[arg-type]


def test_a_finished_value_that_reaches_the_threshold_stops(world: Any, strategy_name: str) -> None:
    strategy = world.strategy(strategy_name, stop=StopOptions(value_threshold=0.5))
    assert run(strategy, all_finished) == (StopReason.VALUE_THRESHOLD, 1)


def test_an_unfinished_value_reaches_no_threshold(world: Any, strategy_name: str) -> None:
    strategy = world.strategy(strategy_name, budget=Budget(3), stop=StopOptions(value_threshold=0.5))
    assert run(strategy, lambda trial: [Proposal(trial.trial_id, 1.0)]) == (StopReason.SIMULATIONS, 3)


def test_enough_finished_paths_stop(world: Any, strategy_name: str) -> None:
    strategy = world.strategy(strategy_name, stop=StopOptions(num_finished=3))
    reason, num_simulations = run(strategy, all_finished)
    assert reason is StopReason.NUM_FINISHED
    assert num_simulations <= 3 <= len(strategy.tree.finished)


def test_one_answer_again_and_again_is_agreement(world: Any, strategy_name: str) -> None:
    for stop in (StopOptions(agreement=0.9), StopOptions(window=3)):
        strategy = world.strategy(strategy_name, stop=stop)
        reason, num_simulations = run(strategy, all_finished)
        assert reason is StopReason.AGREEMENT
        assert num_simulations <= 3


def test_paths_without_an_answer_never_agree(world: Any, strategy_name: str) -> None:
    strategy = world.strategy(strategy_name, budget=Budget(9), stop=StopOptions(agreement=0.6, window=2))
    reason, _ = run(strategy, lambda trial: [Proposal(0, is_terminal=True)] * trial.num_proposals)
    assert reason is not StopReason.AGREEMENT


def test_a_search_that_gets_no_better_loses_patience(world: Any, strategy_name: str) -> None:
    strategy = world.strategy(strategy_name, budget=Budget(9), stop=StopOptions(patience=2))
    assert run(strategy, one_finished) == (StopReason.PATIENCE, 3)


def test_rollouts_count_for_agreement(world: Any, strategy_name: str) -> None:
    for stop in (StopOptions(agreement=0.9), StopOptions(window=4)):
        strategy = world.strategy(strategy_name, stop=stop)
        assert run(strategy, rolled_out) == (StopReason.AGREEMENT, 1)


def test_several_windows_may_end_within_one_trial(world: Any) -> None:
    for answers, is_settled in (("aabc", True), ("abbc", False)):
        rollouts = tuple(Proposal(0, is_terminal=True, outcome=answer) for answer in answers)
        strategy = world.strategy("mcts_puct", budget=Budget(9), stop=StopOptions(window=2))
        strategy.tell(strategy.ask()[0], [Proposal(1, rollouts=rollouts)])
        assert (strategy.stop_reason is StopReason.AGREEMENT) is is_settled


def test_rollouts_are_no_finished_paths_of_the_search_and_reach_no_threshold(world: Any, strategy_name: str) -> None:
    stop = StopOptions(value_threshold=0.9, num_finished=1, patience=1)
    strategy = world.strategy(strategy_name, budget=Budget(4), stop=stop)
    assert run(strategy, rolled_out) == (StopReason.SIMULATIONS, 4)
    assert len(strategy.tree.rollouts) == 16


def test_after_the_stop_pending_trials_may_still_be_told(world: Any, strategy_name: str) -> None:
    strategy = world.strategy(strategy_name, stop=StopOptions(value_threshold=0.5))
    first, *others = strategy.ask(3)
    strategy.tell(first, all_finished(first))
    assert strategy.stop_reason is StopReason.VALUE_THRESHOLD
    assert strategy.ask(5) == []
    for trial in others:
        strategy.tell(trial, all_finished(trial))
    assert strategy.is_done
    assert strategy.usage.num_simulations == 1 + len(others)


def test_a_better_finished_path_renews_the_patience(world: Any) -> None:
    strategy = world.strategy("best_of_n", stop=StopOptions(patience=2))
    values = [0.1, 0.1, 0.2, 0.1, 0.3, 0.3, 0.3]
    result = run(strategy, lambda trial: [Proposal(0, values[trial.trial_id], is_terminal=True)])
    assert result == (StopReason.PATIENCE, 7)


def test_a_finished_path_that_is_met_again_counts_once(world: Any) -> None:
    strategy = world.strategy("mcts_puct_widening", stop=StopOptions(num_finished=2, agreement=0.8, window=2))
    same = Proposal(0, is_terminal=True, key="same", outcome="a")
    for _ in range(3):
        trial = strategy.ask()[0]
        strategy.tell(trial, [same] * trial.num_proposals)
    assert strategy.stop_reason is None
    trial = strategy.ask()[0]
    strategy.tell(trial, [Proposal(0, is_terminal=True, key="other", outcome="a")])
    assert strategy.stop_reason is StopReason.NUM_FINISHED


def test_a_value_that_becomes_known_later_may_reach_the_threshold(world: Any) -> None:
    strategy = world.strategy("mcts_puct_widening", stop=StopOptions(value_threshold=0.9))
    for value in (None, 0.95):
        assert strategy.stop_reason is None
        strategy.tell(strategy.ask()[0], [Proposal(0, value, is_terminal=True, key="same")])
    assert strategy.stop_reason is StopReason.VALUE_THRESHOLD


def test_of_several_reasons_the_first_in_order_is_given(world: Any) -> None:
    everything = {"value_threshold": 0.5, "num_finished": 2, "agreement": 0.7}
    expected = [StopReason.VALUE_THRESHOLD, StopReason.NUM_FINISHED, StopReason.AGREEMENT, StopReason.SIMULATIONS]
    for reason in expected:
        strategy = world.strategy("mcts_puct", budget=Budget(1), stop=StopOptions(**everything))
        assert run(strategy, all_finished) == (reason, 1)
        everything = dict(list(everything.items())[1:])


def test_the_caller_may_stop_any_search(world: Any, strategy_name: str) -> None:
    strategy = world.strategy(strategy_name)
    trial = strategy.ask()[0]
    strategy.stop(StopReason.RUN_SECONDS)
    strategy.stop(StopReason.COST)
    assert (strategy.stop_reason, strategy.is_done, strategy.ask()) == (StopReason.RUN_SECONDS, False, [])
    strategy.tell(trial, all_finished(trial))
    assert (strategy.stop_reason, strategy.is_done) == (StopReason.RUN_SECONDS, True)


@pytest.mark.parametrize(
    ("values", "num_trials"),
    [([1.0, 1.0], 2), ([0.0, 0.0], 2), ([1.0, 0.0], 5), ([None, 1.0], 4), ([0.5, 1.0], 5), ([None, None], 5)],
)
def test_a_search_ends_once_enough_paths_are_all_right_or_all_wrong(
    values: list[float | None], num_trials: int
) -> None:
    def think(trial: Trial[int]) -> list[Proposal[int]]:
        rollouts = tuple(Proposal(index, value, is_terminal=True) for index, value in enumerate(values))
        return [Proposal(trial.trial_id, 0.5, rollouts=rollouts)]

    limits = Limits(Budget(max_simulations=5), StopOptions(one_sided=4))
    strategy = Mcts(MctsOptions(), rng=numpy.random.default_rng(0), root=0, limits=limits)
    reason, num_told = run(strategy, think)
    assert num_told == num_trials
    assert (reason is StopReason.ONE_SIDED) is (num_trials < 5)
