from __future__ import annotations

import numpy
import pytest

from search import BestOfN, BestOfNOptions, Budget, Limits, Proposal, StopReason, decide


def best_of(num_samples: int, **options: int) -> BestOfN[int]:
    return BestOfN(BestOfNOptions(num_samples, **options), rng=numpy.random.default_rng(0), root=0)


def test_num_samples_must_be_positive() -> None:
    with pytest.raises(ValueError, match="num_samples must be"):
        BestOfNOptions(0)


def test_all_samples_may_be_in_flight_at_once_and_each_wants_one_proposal() -> None:
    search = best_of(8)
    trials = search.ask(20)
    assert len(trials) == 8
    assert all(trial.node is search.tree.root and trial.num_proposals == 1 for trial in trials)


def test_it_is_done_after_num_samples_are_told() -> None:
    search = best_of(2)
    for trial in search.ask(2):
        search.tell(trial, [Proposal(1, 0.5, is_terminal=True)])
    assert search.stop_reason is StopReason.NUM_SAMPLES


def test_an_abandoned_sample_is_asked_again() -> None:
    search = best_of(2)
    failed, told = search.ask(2)
    search.abandon(failed)
    search.tell(told, [Proposal(1)])
    (again,) = search.ask(5)
    search.tell(again, [Proposal(2)])
    assert len(search.tree.root.children) == 2


def test_samples_with_equal_keys_are_each_one_vote() -> None:
    search = best_of(3)
    for trial, outcome in zip(search.ask(3), "aab", strict=True):
        search.tell(trial, [Proposal(0, key=outcome, outcome=outcome, is_terminal=True)])
    decision = decide(search.tree, "majority")
    assert decision is not None
    assert decision.node.outcome == "a"
    assert decision.support == pytest.approx(2 / 3)


def test_unfinished_solutions_stay_in_the_tree_unfinished() -> None:
    search = best_of(1)
    search.tell(search.ask()[0], [Proposal(1, 0.4)])
    assert len(search.tree) == 2
    assert not search.tree.finished


def test_the_budget_may_end_it_early() -> None:
    search: BestOfN[int] = BestOfN(
        BestOfNOptions(9), rng=numpy.random.default_rng(0), root=0, limits=Limits(Budget(max_cost=10))
    )
    search.tell(search.ask()[0], [Proposal(1)], cost=10)
    assert search.stop_reason is StopReason.COST
