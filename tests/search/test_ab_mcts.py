from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

from search import AbMcts, AbMctsOptions, Budget, Limits, Proposal, StopReason, Trial

PRIORS = ["gaussian", "beta"]


def ab_mcts(*, seed: int = 0, max_simulations: int = 60, **options: Any) -> AbMcts[int]:
    limits = Limits(Budget(max_simulations))
    return AbMcts(AbMctsOptions(**options), rng=numpy.random.default_rng(seed), root=0, limits=limits)


def run(search: AbMcts[int], think: Callable[[Trial[int]], Proposal[int]]) -> list[Trial[int]]:
    """Tell what ``think`` proposes to the end, and return all trials."""
    trials = []
    while not search.is_done:
        trials += search.ask()
        search.tell(trials[-1], [think(trials[-1])])
    return trials


@pytest.mark.parametrize(
    ("name", "value"), [("prior", "uniform"), ("num_arms", 0), ("max_depth", 0), ("max_abandons", 0)]
)
def test_an_option_out_of_range_names_itself(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{name} must"):
        AbMctsOptions(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("prior", PRIORS)
def test_it_goes_deeper_where_that_pays(prior: str) -> None:
    trials = run(ab_mcts(prior=prior), lambda trial: Proposal(1, min(1.0, 0.1 + 0.2 * trial.node.depth)))
    assert sum(trial.node.depth > 0 for trial in trials) > 45


@pytest.mark.parametrize("prior", PRIORS)
def test_it_goes_wider_where_that_pays(prior: str) -> None:
    trials = run(ab_mcts(prior=prior), lambda trial: Proposal(1, 0.0 if trial.node.depth else 0.9))
    assert sum(trial.node.depth == 0 for trial in trials) > 45


@pytest.mark.parametrize("prior", PRIORS)
def test_the_arm_that_brings_more_is_asked_more(prior: str) -> None:
    trials = run(ab_mcts(prior=prior, num_arms=3), lambda trial: Proposal(1, 0.9 if trial.arm == 2 else 0.1))
    assert {trial.arm for trial in trials} == {0, 1, 2}
    assert sum(trial.arm == 2 for trial in trials) > 35


def test_one_arm_is_arm_zero_and_each_trial_wants_one_proposal() -> None:
    trials = run(ab_mcts(), lambda trial: Proposal(1, 0.5))
    assert {(trial.arm, trial.num_proposals) for trial in trials} == {(0, 1)}


@pytest.mark.parametrize("is_terminal", [False, True])
def test_no_path_is_continued_beyond_max_depth_or_its_end(is_terminal: bool) -> None:
    search = ab_mcts(max_depth=None if is_terminal else 1)
    run(search, lambda trial: Proposal(1, 0.5, is_terminal=is_terminal))
    assert {node.depth for node in search.tree.nodes} == {0, 1}


def test_a_refining_search_continues_finished_paths() -> None:
    search = ab_mcts(is_refining=True)
    run(search, lambda trial: Proposal(1, 0.5, is_terminal=True))
    assert max(node.depth for node in search.tree.nodes) > 1


def test_an_unknown_value_is_no_evidence() -> None:
    """With nothing known of any arm, each goes on being drawn as often as the next."""
    trials = run(ab_mcts(num_arms=2, max_depth=1, max_simulations=400), lambda trial: Proposal(1))
    assert 150 < sum(trial.arm for trial in trials) < 250


def test_many_trials_in_flight_go_to_different_places() -> None:
    search = ab_mcts(seed=3)
    for value in (0.4, 0.5, 0.6):
        search.tell(search.ask()[0], [Proposal(1, value)])
    assert len({trial.node.node_id for trial in search.ask(20)}) > 2


def test_a_node_that_fails_too_often_is_left_out() -> None:
    search = ab_mcts(max_abandons=1)
    while not search.is_done:
        search.abandon(search.ask()[0])
    assert (search.stop_reason, search.usage.num_simulations) == (StopReason.EXHAUSTED, 0)


def test_values_met_again_count_for_the_arm_that_brought_them_and_once_for_the_child() -> None:
    search = ab_mcts(max_depth=1)
    for _ in range(3):
        search.tell(search.ask()[0], [Proposal(1, 0.5, key="same")])
    root = search.tree.root
    assert (root.value_count, root.children[0].value_count, len(root.children)) == (3, 1, 1)


@pytest.mark.parametrize("seed", range(50))
def test_numpy_draws_many_at_once_as_it_draws_them_one_by_one(seed: int) -> None:
    """The reference draws one by one, and the search all children of a node at once."""
    together, apart = numpy.random.default_rng(seed), numpy.random.default_rng(seed)
    degrees = [1.0, 2.0, 5.0, 1.0, 30.0]
    assert together.standard_t(degrees).tolist() == [apart.standard_t(degree) for degree in degrees]
    alphas, betas = [0.5, 2.3, 0.5, 7.0, 1.0, 0.9], [0.5, 0.6, 5.5, 0.9, 1.0, 0.8]
    draws = [apart.beta(alpha, beta) for alpha, beta in zip(alphas, betas, strict=True)]
    assert together.beta(alphas, betas).tolist() == draws
    assert together.random() == apart.random()
