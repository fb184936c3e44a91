from __future__ import annotations

import math
from collections.abc import Callable

import numpy
import pytest

from search import NO_LIMITS, Budget, Limits, Mcts, MctsOptions, Proposal, StopOptions, StopReason, Trial


def mcts(*, limits: Limits | None = None, seed: int = 0, **options: object) -> Mcts[int]:
    return Mcts(
        MctsOptions(**options),  # type: ignore[arg-type]
        rng=numpy.random.default_rng(seed),
        root=0,
        limits=limits or Limits(Budget(max_simulations=100)),
    )


def steps(*values: float | None) -> list[Proposal[int]]:
    return [Proposal(index, value) for index, value in enumerate(values)]


def ends(*values: float | None) -> list[Proposal[int]]:
    return [Proposal(index, value, is_terminal=True) for index, value in enumerate(values)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("selection", "ucb"),
        ("backup", "median"),
        ("exploration", -0.1),
        ("exploration", math.nan),
        ("num_proposals", 0),
        ("max_proposals", 3),
        ("max_depth", 0),
        ("max_pending", 0),
        ("min_prior_left", 1.1),
        ("backup_rate", -0.1),
        ("max_abandons", 0),
    ],
)
def test_an_option_out_of_range_names_itself(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{name} must"):
        MctsOptions(**{name: value})  # type: ignore[arg-type]


def test_three_simulations_worked_by_hand() -> None:
    search = mcts(num_proposals=2, max_proposals=2, exploration=1.0)
    (trial,) = search.ask()
    assert trial.node is search.tree.root
    search.tell(trial, [Proposal(1, 0.6, 0.5), Proposal(2, 0.5, 0.5)])
    # N = 1, scale 1: 0.6 + 0.5 against 0.5 + 0.5
    (trial,) = search.ask()
    assert trial.node.state == 1
    search.tell(trial, [Proposal(3, 0.2, 0.5), Proposal(4, 0.4, 0.5)])
    # Q(1) = (0.6 + 0.3) / 2 = 0.45; N = 2: 0.45 + sqrt(2) * 0.5 / 2 = 0.80 against 0.5 + 0.71 = 1.21
    (trial,) = search.ask()
    assert trial.node.state == 2
    search.tell(trial, [Proposal(5, 1.0, 0.5), Proposal(6, None, 0.5)])
    first, second = search.tree.root.children
    assert first.search_value == pytest.approx(0.45)
    assert second.search_value == pytest.approx((0.5 + 1.0) / 2)
    assert search.tree.root.search_value == pytest.approx((0.55 + 0.3 + 1.0) / 3)
    assert [node.visit_count for node in search.tree.nodes] == [3, 1, 1, 0, 0, 0, 0]


def test_unknown_values_are_visits_but_no_observations() -> None:
    search = mcts()
    search.tell(search.ask()[0], steps(None, None, None, None))
    root = search.tree.root
    assert (root.visit_count, root.value_count, root.search_value) == (1, 0, None)


def test_max_backup_keeps_the_highest_value_of_the_subtree() -> None:
    search = mcts(backup="max", num_proposals=2, max_proposals=2)
    search.tell(search.ask()[0], steps(0.9, 0.1))
    search.tell(search.ask()[0], steps(0.2, 0.3))
    first = search.tree.root.children[0]
    assert (search.tree.root.search_value, first.search_value) == (0.9, 0.9)


def test_trials_in_flight_spread_over_the_children() -> None:
    search = mcts(num_proposals=3, max_proposals=3)
    search.tell(search.ask()[0], [Proposal(index, 0.5, 1 / 3) for index in range(3)])
    assert sorted(trial.node.state for trial in search.ask(3)) == [0, 1, 2]


def test_a_node_receives_no_more_than_max_proposals() -> None:
    search = mcts(num_proposals=4, max_proposals=10, max_pending=9)
    trials = search.ask(9)
    assert [trial.num_proposals for trial in trials] == [4, 4, 2]
    assert search.ask(1) == []
    assert not search.is_done


def test_no_more_than_max_pending_trials_ask_at_one_node_at_once() -> None:
    search = mcts(num_proposals=2, max_proposals=8, max_pending=3)
    trials = search.ask(9)
    assert [trial.node.node_id for trial in trials] == [0, 0, 0]
    search.abandon(trials[1])
    assert [trial.node.node_id for trial in search.ask(9)] == [0]


def test_a_blocked_search_goes_on_once_a_trial_is_told() -> None:
    search = mcts()
    (trial,) = search.ask(5)
    assert search.ask() == []
    search.tell(trial, steps(0.1, 0.2, 0.3, 0.4))
    assert len(search.ask(4)) == 4


def test_missing_proposals_use_up_the_node_so_that_the_search_ends() -> None:
    search = mcts(limits=NO_LIMITS)
    search.tell(search.ask()[0], [])
    assert search.is_done
    assert search.stop_reason is StopReason.EXHAUSTED
    assert search.usage.num_simulations == 1


def test_finished_paths_are_not_continued() -> None:
    search = mcts(num_proposals=2, max_proposals=2)
    search.tell(search.ask()[0], [*ends(1.0), *steps(0.0)])
    (trial,) = search.ask(5)
    assert not trial.node.is_terminal
    search.tell(trial, ends(0.5, 0.5))
    assert search.stop_reason is StopReason.EXHAUSTED
    assert not search.tree.root.is_open


def test_paths_end_at_max_depth_unfinished() -> None:
    search = mcts(max_depth=2, num_proposals=2, max_proposals=2, limits=NO_LIMITS)
    while not search.is_done:
        search.tell(search.ask()[0], steps(0.5, 0.5))
    assert search.usage.num_simulations == 3
    assert max(node.depth for node in search.tree.nodes) == 2
    assert not search.tree.finished


@pytest.mark.parametrize("selection", ["puct", "uct", "greedy_value"])
def test_a_tree_of_dead_ends_is_exhausted_after_every_proposal_was_told(selection: str) -> None:
    search = mcts(selection=selection, num_proposals=2, max_proposals=6, limits=NO_LIMITS)
    while not search.is_done:
        for trial in search.ask(2):
            search.tell(trial, ends(0.3, 0.6))
    assert search.stop_reason is StopReason.EXHAUSTED
    assert search.tree.root.num_told == 6


def test_greedy_value_follows_the_highest_value_and_never_widens() -> None:
    search = mcts(selection="greedy_value", num_proposals=2, max_proposals=8)
    search.tell(search.ask()[0], steps(0.2, 0.7))
    (trial,) = search.ask()
    assert trial.node.value == 0.7
    search.tell(trial, steps(0.6, 0.1))
    # Q(0.7) = (0.7 + 0.35) / 2 is still the highest
    assert search.ask()[0].node.value == 0.6


def test_greedy_value_expands_a_leaf_once_at_a_time() -> None:
    search = mcts(selection="greedy_value", num_proposals=2, max_proposals=8)
    assert len(search.ask(5)) == 1


def test_greedy_value_widens_only_above_exhausted_children() -> None:
    search = mcts(selection="greedy_value", num_proposals=2, max_proposals=4)
    search.tell(search.ask()[0], ends(0.2, 0.7))
    assert search.ask()[0].node is search.tree.root


def test_puct_widens_a_node_that_has_children() -> None:
    search = mcts(num_proposals=1, max_proposals=4)
    search.tell(search.ask()[0], [Proposal(1, 0.0, 0.1)])
    assert search.ask()[0].node is search.tree.root


def test_merged_proposals_count_towards_max_proposals() -> None:
    search = mcts(num_proposals=2, max_proposals=4, limits=NO_LIMITS, max_depth=1)
    for _ in range(2):
        search.tell(search.ask()[0], [Proposal(1, 0.5, key="same"), Proposal(2, 0.5, key="same")])
    assert (len(search.tree), search.tree.root.num_told) == (2, 4)
    assert search.stop_reason is StopReason.EXHAUSTED


def test_a_failing_node_is_given_up_and_the_others_go_on() -> None:
    search = mcts(num_proposals=2, max_proposals=2, max_abandons=2)
    search.tell(search.ask()[0], [Proposal(1, 0.9, 0.5), Proposal(2, 0.1, 0.5)])
    for _ in range(2):
        (trial,) = search.ask()
        assert trial.node.state == 1
        search.abandon(trial)
    assert not search.tree.root.children[0].is_open
    assert search.ask()[0].node.state == 2


def test_a_told_trial_forgives_the_abandoned_ones_before_it() -> None:
    search = mcts(num_proposals=1, max_proposals=9, max_pending=2, max_abandons=2, max_depth=1)
    for _ in range(4):
        failed, told = search.ask(2)
        search.abandon(failed)
        search.tell(told, ends(0.5))
    assert not search.is_done


@pytest.mark.parametrize("settle", [Mcts.abandon, lambda search, trial: search.tell(trial, ends(1.0))])
def test_a_stopped_search_is_done_once_nothing_is_pending(settle: Callable[[Mcts[int], Trial[int]], None]) -> None:
    search = mcts(limits=Limits(stop=StopOptions(value_threshold=0.5)), num_proposals=1, max_proposals=4, max_pending=2)
    first, second = search.ask(2)
    search.tell(first, ends(0.6))
    assert search.stop_reason is StopReason.VALUE_THRESHOLD
    assert not search.is_done
    assert search.ask() == []
    settle(search, second)
    assert search.is_done


def test_a_node_whose_children_hold_nearly_all_probability_receives_no_more() -> None:
    search = mcts(num_proposals=1, max_proposals=4, min_prior_left=0.1, limits=Limits(Budget(max_simulations=9)))
    search.tell(search.ask()[0], [Proposal(1, 0.1, 0.95)])
    assert not search.tree.root.is_expandable
    (trial,) = search.ask()
    assert trial.node.state == 1
    search.tell(trial, [Proposal(2, 0.1, 0.5)])
    assert trial.node.is_expandable


def test_a_tree_without_probability_left_is_exhausted() -> None:
    search = mcts(num_proposals=1, max_proposals=4, min_prior_left=0.1)
    search.tell(search.ask()[0], [Proposal(1, 0.5, 0.95, is_terminal=True)])
    assert search.stop_reason is StopReason.EXHAUSTED


def test_unknown_priors_leave_all_probability() -> None:
    search = mcts(num_proposals=1, max_proposals=3, max_depth=1, min_prior_left=0.9)
    for _ in range(3):
        search.tell(search.ask()[0], [Proposal(1, 0.5)])
    assert search.tree.root.num_told == 3


def test_priors_that_sum_to_more_than_one_shut_no_node() -> None:
    search = mcts(num_proposals=1, max_proposals=3, max_depth=1, limits=NO_LIMITS)
    for _ in range(3):
        assert search.tree.root.is_expandable
        search.tell(search.ask()[0], [Proposal(1, 0.5, 0.75)])
    assert (search.tree.root.num_told, search.tree.root.prior_mass) == (3, 2.25)
