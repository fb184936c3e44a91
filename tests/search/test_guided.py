"""Guided sampling, worked by hand, and what holds for any seed."""

from __future__ import annotations

import random
from typing import Any

import numpy
import pytest

from search import Budget, Guided, GuidedOptions, Limits, Proposal, StopReason, decide


def guided(seed: int = 0, *, budget: Budget | None = None, **options: Any) -> Guided[str]:
    limits = Limits() if budget is None else Limits(budget)
    return Guided(GuidedOptions(**options), rng=numpy.random.default_rng(seed), root="", limits=limits)


def draw(search: Guided[str], state: str, value: float | None, **fields: Any) -> str:
    """Tell the next trial one step, and return the place at which it was asked."""
    (trial,) = search.ask()
    search.tell(trial, [Proposal(state, value, **{"key": state, **fields})])
    return trial.node.state


def test_path_goes_on_with_the_first_step_whose_gain_is_usual() -> None:
    search = guided(max_draws=3)
    # Nothing is usual yet: the first step is taken, with a gain of 0.1 from 0.5.
    assert draw(search, "a", 0.6) == ""
    # -0.2, of the gains -0.2 and 0.1, whose median is 0.1: drawn again. Then 0.2.
    assert draw(search, "a1", 0.4) == "a"
    assert draw(search, "a2", 0.8) == "a"
    # -0.1, -0.15 and -0.3 are below the median of the gains by then; the third draw is the last, and the best goes on.
    assert draw(search, "a2x", 0.7) == "a2"
    assert draw(search, "a2y", 0.65) == "a2"
    assert draw(search, "a2z", 0.5) == "a2"
    assert draw(search, "end", 0.9, is_terminal=True, outcome="7") == "a2x"
    # The path is finished, and another begins.
    assert draw(search, "b", 0.9) == ""


def test_quantile_0_samples_plainly() -> None:
    search = guided(accept_quantile=0.0)
    assert [draw(search, state, value) for state, value in (("a", 0.9), ("ab", 0.1), ("abc", 0.0))] == ["", "a", "ab"]


def test_critic_whose_values_are_all_alike_leaves_plain_sampling() -> None:
    search = guided(max_draws=6)
    places = [draw(search, "x" * (depth + 1), 0.5) for depth in range(5)]
    assert places == ["x" * depth for depth in range(5)]


def test_search_without_values_samples_plainly() -> None:
    search = guided(max_draws=6)
    assert [draw(search, "x" * (depth + 1), None) for depth in range(5)] == ["x" * depth for depth in range(5)]


def test_unknown_value_is_drawn_again_where_others_are_known() -> None:
    search = guided(max_draws=2)
    draw(search, "a", 0.6)
    assert draw(search, "unread", None) == "a"
    assert draw(search, "worse", 0.1) == "a"
    assert draw(search, "next", 0.9) == "worse"


def test_draw_whose_outcome_is_known_costs_nothing() -> None:
    search = guided(accept_quantile=0.0, min_prior_left=0.05)
    draw(search, "a", 0.5, prior=0.97, is_terminal=True, outcome="7")
    # The one child holds all but 0.03 of the root's mass: every further path is free, until the search gives up.
    assert search.stop_reason is StopReason.EXHAUSTED
    assert [node.votes > 100 for node in search.tree.finished] == [True]


def test_draws_that_only_repeat_raise_the_chance_that_the_next_one_does() -> None:
    search = guided(accept_quantile=0.0)
    num_asked = 0
    while search.stop_reason is None:
        draw(search, "a", 0.5, prior=0.8, is_terminal=True, outcome="a")
        num_asked += 1
    # (2 * 0.8 + n) / (2 + n) is above 0.95 from n = 7 on: nothing more is asked, and the search ends.
    assert (num_asked, search.stop_reason) == (8, StopReason.EXHAUSTED)


@pytest.mark.parametrize(
    ("prior", "name"),
    [pytest.param(0.01, "a", id="it repeats far more often"), pytest.param(0.9, None, id="it never repeats")],
)
def test_priors_that_do_not_foretell_repeats_are_not_used(prior: float, name: str | None) -> None:
    search = guided(accept_quantile=0.0)
    for number in range(60):
        step = name or f"other {number}"
        draw(search, step, 0.5, prior=prior if number == 0 or name else 0.0, is_terminal=True, outcome=step)
    before = sum(node.votes for node in search.tree.finished)
    for number in range(60, 100):
        draw(search, f"other {number}", 0.5, prior=0.0, is_terminal=True, outcome=f"other {number}")
    # Each further path is asked for: none is free.
    assert sum(node.votes for node in search.tree.finished) == before + 40


def test_two_repeats_at_a_place_end_its_draws() -> None:
    search = guided(max_draws=6, accept_quantile=1.0)
    draw(search, "a", 0.6)
    assert draw(search, "a1", 0.3) == "a"
    assert draw(search, "a1", 0.3) == "a"
    assert draw(search, "a1", 0.3) == "a"
    assert draw(search, "end", 0.9) == "a1"


def test_search_that_has_finished_no_path_late_in_its_budget_takes_first_draws() -> None:
    search = guided(max_draws=6, budget=Budget(max_cost=100))
    for state, value, cost in (("a", 0.6, 10), ("a1", 0.3, 60), ("a2", 0.2, 10)):
        (trial,) = search.ask()
        search.tell(trial, [Proposal(state, value, key=state)], cost=cost)
    # 80 of 100 are spent: the better of the two goes on, and then each first one.
    assert draw(search, "b", 0.1) == "a1"
    assert draw(search, "c", 0.0) == "b"


def test_dear_judge_is_asked_after_as_many_steps_as_cost_about_as_much() -> None:
    search = guided(max_draws=2)
    judged = []
    for number in range(9):
        (trial,) = search.ask()
        judged.append(trial.is_judged)
        value, judging_cost = (0.5, 40) if trial.is_judged else (None, 0)
        search.tell(trial, [Proposal(f"s{number}", value)], cost=10 + judging_cost, judging_cost=judging_cost)
    # 3 steps of 10 reach 0.75 of 40. The first is judged, for nothing is known of costs before it.
    assert judged == [True, False, False, True, False, False, True, False, False]


def test_draw_of_several_steps_begins_again_where_the_last_judged_one_ended() -> None:
    search = guided(max_draws=2)

    def tell(value: float, state: str) -> str:
        (trial,) = search.ask()
        known, judging_cost = (value, 20) if trial.is_judged else (None, 0)
        search.tell(trial, [Proposal(state, known, key=state)], cost=10 + judging_cost, judging_cost=judging_cost)
        return trial.node.state

    assert [tell(0.6, "a"), tell(0.0, "b"), tell(0.1, "c")] == ["", "a", "b"]
    assert [tell(0.0, "d"), tell(0.9, "e"), tell(0.0, "f")] == ["a", "d", "e"]


def tell_dear(search: Guided[str], state: str, value: float, *, judging_cost: int, is_terminal: bool = False) -> str:
    """Tell the next trial one step of cost 10, judged if that is asked for, and return the place of the trial."""
    (trial,) = search.ask()
    is_judged = trial.is_judged or is_terminal
    judging_cost = judging_cost if is_judged else 0
    step = Proposal(state, value if is_judged else None, key=state, is_terminal=is_terminal)
    search.tell(trial, [step], cost=10 + judging_cost, judging_cost=judging_cost)
    return trial.node.state


def test_haste_goes_on_with_a_draw_that_is_under_way() -> None:
    search = guided(budget=Budget(max_cost=100))
    steps = (("a", 0.5), ("ab", 0.5), ("abc", 0.1), ("ax", 0.5))
    assert [tell_dear(search, *step, judging_cost=20) for step in steps] == ["", "a", "ab", "a"]
    assert search.usage.cost == 80
    assert tell_dear(search, "axy", 0.2, judging_cost=20) == "ax"


def test_draw_that_comes_to_the_depth_limit_leaves_the_draws_before_it() -> None:
    search = guided(max_draws=2, max_depth=3)
    tell_dear(search, "a", 0.5, judging_cost=40)
    tell_dear(search, "ab", 0.5, judging_cost=40)
    tell_dear(search, "abc", 0.1, judging_cost=40, is_terminal=True)
    (finished,) = search.tree.finished
    assert finished.votes == 0
    assert [tell_dear(search, state, 0.5, judging_cost=40) for state in ("ax", "axy")] == ["a", "ax"]
    assert finished.votes == 1


def test_judge_that_says_the_same_of_everything_is_asked_of_finished_paths_alone() -> None:
    search = guided(max_draws=6)
    for number in range(20):
        (trial,) = search.ask()
        assert trial.is_judged == (number < 8)
        value, judging_cost = (0.5, 5) if trial.is_judged else (None, 0)
        search.tell(trial, [Proposal(f"s{number}", value)], cost=10 + judging_cost, judging_cost=judging_cost)
    (trial,) = search.ask()
    search.tell(trial, [Proposal("end", 0.2, is_terminal=True)], cost=15, judging_cost=5)
    # A finished path had another value: the judge is asked again.
    assert search.ask()[0].is_judged


def test_finished_step_that_was_rejected_has_no_vote() -> None:
    search = guided(max_draws=2)
    draw(search, "a", 0.6)
    draw(search, "bad", 0.1, is_terminal=True, outcome="bad")
    draw(search, "good", 0.9, is_terminal=True, outcome="good")
    assert {node.outcome: node.votes for node in search.tree.finished} == {"bad": 0, "good": 1}


def test_finished_path_that_is_drawn_again_votes_again() -> None:
    search = guided(accept_quantile=0.0)
    for outcome in ("a", "b", "b"):
        draw(search, outcome, 0.5, is_terminal=True, outcome=outcome)
    decision = decide(search.tree, "majority")
    assert decision is not None
    assert (decision.node.outcome, decision.support) == ("b", 2 / 3)


def test_steps_that_fail_are_drawn_again_and_a_place_that_fails_is_left() -> None:
    search = guided(max_draws=6, max_abandons=2)
    draw(search, "a", 0.5)
    for _ in range(2):
        (trial,) = search.ask()
        assert trial.node.state == "a"
        search.abandon(trial)
    (trial,) = search.ask()
    assert trial.node.state == ""
    for _ in range(2):
        search.abandon(trial)
        trials = search.ask()
        if not trials:
            break
        (trial,) = trials
    assert search.stop_reason is StopReason.EXHAUSTED


def test_paths_that_wait_make_room_for_others_and_the_oldest_goes_first() -> None:
    search = guided(accept_quantile=0.0)
    first, second = search.ask(2)
    assert (first.node.state, second.node.state) == ("", "")
    search.tell(second, [Proposal("b", 0.5)])
    search.tell(first, [Proposal("a", 0.5)])
    assert [trial.node.state for trial in search.ask(3)] == ["a", "b", ""]


@pytest.mark.parametrize("seed", range(20))
def test_every_path_is_finished_before_one_trial_at_a_time_begins_another(seed: int) -> None:
    rng = random.Random(seed)
    search = guided(seed, budget=Budget(max_simulations=200), max_draws=rng.randint(1, 5), accept_quantile=rng.random())
    depth, num_begun = 0, 0
    while trials := search.ask():
        (trial,) = trials
        num_begun += trial.node.depth == 0 and depth != 0
        depth = trial.node.depth
        name = f"{trial.trial_id}"
        search.tell(trial, [Proposal(name, rng.random(), 1e-9, trial.node.depth == 3, name, name)])
    # Each path has 4 steps, and the last one may be cut.
    votes = sum(node.votes for node in search.tree.finished if node.node_id in reached(search))
    assert votes >= num_begun


def reached(search: Guided[str]) -> set[int]:
    return {node.node_id for node in search.tree.finished}
