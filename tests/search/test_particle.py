from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy
import pytest

from search import Budget, Limits, ParticleFilter, ParticleOptions, Proposal, StopReason, Tree, decide

ODDS_3 = 0.75
ODDS_1 = 0.5


def filtered(*, seed: int = 0, max_simulations: int | None = None, **options: Any) -> ParticleFilter[str]:
    limits = Limits(Budget(max_simulations=max_simulations))
    rng = numpy.random.default_rng(seed)
    return ParticleFilter(ParticleOptions(**options), rng=rng, root="root", limits=limits)


def step(state: str, value: float | None = 0.5, *, answer: str | None = None) -> Proposal[str]:
    return Proposal(state, value, key=state, is_terminal=answer is not None, outcome=answer)


def tell_all(search: ParticleFilter[str], *proposals: Proposal[str]) -> list[str]:
    """Ask the whole step, tell one proposal to each trial in turn, and return the places asked at."""
    trials = search.ask(99)
    for trial, proposal in zip(trials, proposals, strict=True):
        search.tell(trial, [proposal])
    return [trial.node.state for trial in trials]


def asked(search: ParticleFilter[str]) -> Counter[str]:
    """Ask the whole step, and return how many trials are at each place."""
    return Counter(trial.node.state for trial in search.ask(99))


def votes(tree: Tree[str]) -> dict[str, float]:
    return {node.state: node.votes for node in tree.finished}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_particles", 1),
        ("resampling", "residual"),
        ("resample_below", 1.5),
        ("tempering", -1.0),
        ("tempering", float("nan")),
        ("num_rounds", 0),
        ("max_depth", 0),
        ("max_abandons", 0),
    ],
)
def test_an_option_out_of_range_names_itself(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{name} must"):
        ParticleOptions(**{name: value})  # type: ignore[arg-type]


class TestSteps:
    def test_all_particles_ask_for_their_step_at_once_and_wait_for_the_last(self) -> None:
        search = filtered(num_particles=3)
        first, *others = search.ask(99)
        assert [trial.num_proposals for trial in (first, *others)] == [1, 1, 1]
        for trial in others:
            search.tell(trial, [step("a")])
        assert search.ask() == []
        search.tell(first, [step("b")])
        assert asked(search) == {"a": 2, "b": 1}

    def test_particles_are_drawn_by_the_odds_of_their_values(self) -> None:
        search = filtered(num_particles=4)
        tell_all(search, step("a", 0.75), step("b", 0.5), step("c", 0.75), step("d", 0.5))
        # 3 : 1 : 3 : 1 of 4 are 1.5, 0.5, 1.5 and 0.5.
        drawn = asked(search)
        assert drawn["a"] in (1, 2)
        assert drawn["a"] + drawn["b"] == drawn["c"] + drawn["d"] == 2

    def test_equal_weights_leave_each_particle_where_it_is(self) -> None:
        search = filtered(num_particles=3)
        tell_all(search, step("a"), step("b"), step("c"))
        assert [trial.node.state for trial in search.ask(99)] == ["a", "b", "c"]

    @pytest.mark.parametrize(("share", "is_drawn"), [(0.0, False), (0.3, False), (0.35, True), (1.0, True)])
    def test_particles_are_drawn_when_the_effective_sample_size_is_low(self, share: float, is_drawn: bool) -> None:
        # Weights of 9 : 1/9 : 1/9 have an effective sample size of 1.025, which is 0.342 of 3.
        search = filtered(num_particles=3, resample_below=share)
        tell_all(search, step("a", 0.9), step("b", 0.1), step("c", 0.1))
        assert (asked(search) == {"a": 3}) is is_drawn

    def test_weights_build_up_while_no_particle_is_drawn(self) -> None:
        search = filtered(num_particles=2, resample_below=0.0)
        tell_all(search, step("a", ODDS_3), step("b", ODDS_1))
        tell_all(search, step("x", ODDS_3, answer="1"), step("y", ODDS_1, answer="2"))
        assert votes(search.tree) == pytest.approx({"x": 2 * 0.9, "y": 2 * 0.1})

    @pytest.mark.parametrize(("tempering", "expected"), [(0.0, 1.0), (0.5, 1.5), (1.0, 1.8), (2.0, 2 * 81 / 82)])
    def test_tempering_is_the_exponent_of_the_odds(self, tempering: float, expected: float) -> None:
        search = filtered(num_particles=2, tempering=tempering)
        tell_all(search, step("x", 0.9, answer="1"), step("y", 0.5, answer="2"))
        assert votes(search.tree)["x"] == pytest.approx(expected)

    def test_a_particle_without_a_value_keeps_its_share(self) -> None:
        search = filtered(num_particles=4)
        ends = [step("u", None, answer="1"), *(step(f"v{value}", value, answer="2") for value in (0.9, 0.1, 0.5))]
        tell_all(search, *ends)
        assert votes(search.tree)["u"] == pytest.approx(1.0)
        assert sum(votes(search.tree).values()) == pytest.approx(4.0)

    def test_without_any_value_each_particle_counts_as_one(self) -> None:
        search = filtered(num_particles=3)
        tell_all(search, step("u", None, answer="1"), step("v", None, answer="1"), step("w", None, answer="2"))
        assert votes(search.tree) == pytest.approx({"u": 1.0, "v": 1.0, "w": 1.0})

    def test_a_finished_particle_is_asked_nothing_and_weighed_with_each_step(self) -> None:
        search = filtered(num_particles=2, resample_below=0.0)
        tell_all(search, step("end", ODDS_3, answer="1"), step("a", ODDS_1))
        assert tell_all(search, step("b", ODDS_1, answer="2")) == ["a"]
        assert search.stop_reason is StopReason.EXHAUSTED
        assert votes(search.tree) == pytest.approx({"end": 1.8, "b": 0.2})

    def test_a_finished_particle_may_be_copied_over_one_that_goes_on(self) -> None:
        search = filtered(num_particles=2)
        tell_all(search, step("end", 1.0, answer="1"), step("a", 0.1))
        assert search.stop_reason is StopReason.EXHAUSTED or search.ask(9) == []
        assert votes(search.tree) == pytest.approx({"end": 2.0})

    def test_a_finished_path_that_is_dropped_has_no_vote(self) -> None:
        search = filtered(num_particles=2)
        tell_all(search, step("end", 0.0, answer="wrong"), step("a", 0.9))
        assert votes(search.tree) == {"end": 0.0}
        tell_all(search, step("x", 0.2, answer="right"), step("y", 0.2, answer="right"))
        decision = decide(search.tree, "majority")
        assert decision is not None
        assert (decision.node.outcome, decision.support, decision.num_paths) == ("right", 1.0, 2)


class TestEqualSteps:
    def test_particles_that_come_to_the_same_node_share_it_and_each_goes_on(self) -> None:
        search = filtered(num_particles=3)
        tell_all(search, step("same"), step("same"), step("other"))
        assert len(search.tree) == 3
        assert asked(search) == {"same": 2, "other": 1}

    def test_the_vote_of_a_finished_path_is_its_number_of_particles(self) -> None:
        search = filtered(num_particles=4)
        tell_all(search, step("x", answer="1"), step("x", answer="1"), step("y", answer="2"), step("x", answer="1"))
        assert votes(search.tree) == pytest.approx({"x": 3.0, "y": 1.0})
        decision = decide(search.tree, "majority")
        assert decision is not None
        assert (decision.node.state, decision.num_paths) == ("x", 2)
        assert decision.support == pytest.approx(0.75)


class TestFailures:
    def test_a_particle_whose_trial_failed_stays_where_it_is_and_asks_again(self) -> None:
        search = filtered(num_particles=2)
        failed, told = search.ask(9)
        search.tell(told, [step("a")])
        search.abandon(failed)
        (again,) = search.ask(9)
        assert again.node.state == "root"
        search.tell(again, [step("b")])
        assert asked(search) == {"a": 1, "b": 1}

    def test_particles_at_a_node_that_fails_too_often_die_and_the_others_take_their_place(self) -> None:
        search = filtered(num_particles=4, max_abandons=2)
        tell_all(search, step("bad"), step("bad"), step("good"), step("fine"))
        first, second, *others = search.ask(9)
        for trial in (first, second):
            search.abandon(trial)
        for index, trial in enumerate(others):
            search.tell(trial, [step(f"s{index}")])
        assert asked(search) == {"s0": 2, "s1": 2}

    def test_a_dead_end_ends_its_particle(self) -> None:
        search = filtered(num_particles=2)
        first, second = search.ask(9)
        search.tell(first, [])
        search.tell(second, [step("a")])
        assert asked(search) == {"a": 2}

    def test_particles_that_are_as_deep_as_allowed_die(self) -> None:
        search = filtered(num_particles=3, max_depth=2)
        tell_all(search, step("a"), step("b"), step("c"))
        tell_all(search, step("a1"), step("b1"), step("end", answer="1"))
        assert search.stop_reason is StopReason.EXHAUSTED
        assert votes(search.tree) == pytest.approx({"end": 3.0})

    def test_a_search_in_which_every_particle_dies_ends_without_an_answer(self) -> None:
        search = filtered(num_particles=2, max_depth=1)
        tell_all(search, step("a"), step("b"))
        assert search.stop_reason is StopReason.EXHAUSTED
        assert decide(search.tree, "majority") is None

    def test_a_search_that_is_cut_votes_with_what_is_finished(self) -> None:
        search = filtered(num_particles=3, max_simulations=2)
        first, second = search.ask(9)
        search.tell(second, [step("x", 0.9, answer="1")])
        search.tell(first, [step("y", 0.5, answer="2")])
        assert search.stop_reason is StopReason.SIMULATIONS
        # The third particle keeps its third, and these two divide the rest.
        assert votes(search.tree) == pytest.approx({"x": 1.8, "y": 0.2})


class TestRounds:
    def test_a_further_round_begins_at_the_root_and_follows_one_path_unasked(self) -> None:
        search = filtered(num_particles=3, num_rounds=2)
        tell_all(search, step("a"), step("a"), step("a"))
        tell_all(search, *[step("x", answer="1")] * 3)
        assert votes(search.tree) == pytest.approx({"x": 3.0})
        assert tell_all(search, step("b"), step("b")) == ["root"] * 2
        assert tell_all(search, step("y", answer="2"), step("y", answer="2")) == ["b"] * 2
        assert search.stop_reason is StopReason.EXHAUSTED
        assert votes(search.tree) == pytest.approx({"x": 4.0, "y": 2.0})

    def test_the_retained_path_is_not_dropped_and_may_be_copied(self) -> None:
        search = filtered(num_particles=3, num_rounds=2)
        tell_all(search, *[step("a", 0.9)] * 3)
        tell_all(search, *[step("x", 0.9, answer="1")] * 3)
        tell_all(search, step("b", 0.001), step("c", 0.001))
        assert asked(search) == {"a": 2}
        search = filtered(num_particles=3, num_rounds=2)
        tell_all(search, *[step("a", 0.001)] * 3)
        tell_all(search, *[step("x", 0.5, answer="1")] * 3)
        tell_all(search, step("b", 0.999), step("c", 0.999))
        assert asked(search) == {"b": 1, "c": 1}

    def test_a_retained_path_longer_than_all_others_is_followed_to_its_end(self) -> None:
        depth = 600
        search = filtered(num_particles=2, num_rounds=2, resample_below=0.0)
        for number in range(depth):
            tell_all(search, *[step(str(number))] * 2)
        tell_all(search, *[step("end", answer="1")] * 2)
        tell_all(search, step("short", answer="2"))
        assert search.stop_reason is StopReason.EXHAUSTED
        assert votes(search.tree) == pytest.approx({"end": 3.0, "short": 1.0})

    def test_where_no_path_was_finished_no_path_is_retained(self) -> None:
        search = filtered(num_particles=2, num_rounds=2, max_depth=1)
        tell_all(search, step("a"), step("b"))
        assert asked(search) == {"root": 2}

    def test_rounds_without_a_limit_go_on_until_the_budget_is_spent(self) -> None:
        search = filtered(num_particles=2, num_rounds=None, max_simulations=25)
        while not search.is_done:
            for trial in search.ask(2):
                search.tell(trial, [step(f"{trial.trial_id}", answer="1")])
        assert search.stop_reason is StopReason.SIMULATIONS
        assert len(search.tree.finished) == 25

    def test_a_root_that_fails_in_a_later_round_ends_the_search(self) -> None:
        search = filtered(num_particles=2, num_rounds=None, max_abandons=1)
        tell_all(search, *[step("x", answer="1")] * 2)
        search.abandon(search.ask()[0])
        assert search.stop_reason is StopReason.EXHAUSTED


def drive(search: ParticleFilter[str], seed: int, check: Callable[[], None]) -> None:
    """Run to the end with random steps, failures and order of tells."""
    draw = random.Random(seed)
    while not search.is_done:
        search.ask(draw.randint(1, 9))
        for trial in draw.sample(search.pending, draw.randint(0, len(search.pending))):
            assert not trial.node.is_terminal
            if draw.random() < 0.05:
                search.abandon(trial)
            else:
                answer = draw.choice("12") if draw.random() < 0.25 else None
                value = None if draw.random() < 0.1 else draw.choice((0.0, 1.0, draw.random(), draw.random()))
                search.tell(trial, [step(f"{draw.randrange(4)}{answer}", value, answer=answer)])
            check()


@pytest.mark.parametrize("num_rounds", [1, 3])
@pytest.mark.parametrize("resampling", ["systematic", "multinomial"])
def test_votes_are_the_particles_of_all_rounds_over_seeds(num_rounds: int, resampling: str) -> None:
    for seed in range(60):
        search = filtered(seed=seed, num_particles=6, num_rounds=num_rounds, resampling=resampling)

        def check(search: ParticleFilter[str] = search) -> None:
            total = sum(node.votes for node in search.tree.finished)
            assert -1e-9 <= total <= 6 * num_rounds + 1e-9
            assert all(node.votes >= 0 for node in search.tree.finished)
            assert len(search.pending) <= 6

        drive(search, seed, check)
        assert search.stop_reason is StopReason.EXHAUSTED
        assert sum(node.votes for node in search.tree.finished) == pytest.approx(6 * num_rounds)


def test_the_order_in_which_a_step_is_told_changes_no_vote() -> None:
    def finished(order: list[int]) -> dict[str, float]:
        search = filtered(seed=3, num_particles=5)
        for depth in range(3):
            trials = search.ask(9)
            for index in [each for each in order if each < len(trials)]:
                noise = random.Random(depth * 10 + index)
                search.tell(
                    trials[index], [step(f"{depth}{index}", noise.random(), answer="1" if depth == 2 else None)]
                )
        return votes(search.tree)

    assert finished([0, 1, 2, 3, 4]) == pytest.approx(finished([4, 2, 0, 3, 1]))
