"""The arithmetic of a plan, worked by hand, and what it warns of."""

import dataclasses
import re

import pytest

from critic_engine.run.search_plan import DrawCost, Wordings
from critic_engine.types import TokenUsage
from tests.run.plans import PLAN


def test_budget_buys_solutions_expansions_and_paths() -> None:
    assert PLAN.num_solutions == 10
    assert PLAN.expansion_tokens == 50
    assert (PLAN.num_expansions, PLAN.num_simulations, PLAN.num_paths) == (36, 36, 6)
    assert PLAN.warnings == ()


def test_simulation_of_several_draws_takes_as_many_expansions() -> None:
    plan = dataclasses.replace(PLAN, num_proposals=4)
    assert (plan.num_simulations, plan.num_expansions) == (9, 36)


def test_limit_of_simulations_holds_where_it_is_lower() -> None:
    assert dataclasses.replace(PLAN, max_simulations=12).num_expansions == 12
    assert dataclasses.replace(PLAN, max_simulations=12, max_tokens=None).num_paths == 2
    assert dataclasses.replace(PLAN, max_simulations=1000).num_simulations == 36


def test_nothing_is_said_of_what_is_not_known() -> None:
    plan = dataclasses.replace(PLAN, max_tokens=None)
    assert (plan.num_solutions, plan.num_simulations, plan.num_expansions, plan.num_paths) == (None,) * 4
    assert plan.warnings == ()
    assert dataclasses.replace(PLAN, draw=None).num_expansions is None
    assert dataclasses.replace(PLAN, steps_per_solution=None).num_paths is None


def test_each_expansion_of_a_method_of_whole_solutions_is_a_path() -> None:
    plan = dataclasses.replace(PLAN, kind="solution", draw=PLAN.solution)
    assert plan.num_paths == plan.num_expansions == 9


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"max_tokens": 539}, "fewer than 3 whole solutions, .* or at least to 541"),
        (
            {"max_tokens": 839, "solution": DrawCost(8, 180.0, 100.0, 0.0, 280.0)},
            "raise it at least to 841",
        ),
        ({"max_tokens": 899}, "with its evaluations the budget finishes fewer than 3 paths"),
        ({"num_unfinished": 3}, "3 of 8 whole solutions have no answer"),
        ({"solution": None}, "no whole solution could be drawn"),
        ({"wordings": Wordings(False, None, None, 0.0)}, "no log-probabilities"),
        ({"num_unvalued": 8}, "no evaluation gave a value"),
    ],
)
def test_what_is_amiss_is_warned_of(changes: dict[str, object], warning: str) -> None:
    (found,) = dataclasses.replace(PLAN, **changes).warnings  # type: ignore[arg-type]
    assert re.search(warning, found)


def test_mean_cost_counts_what_the_budget_counts() -> None:
    usage = TokenUsage(prompt_tokens=100, generated_tokens=30, cached_tokens=60)
    assert DrawCost.mean(usage, 2, budget_tokens=50) == DrawCost(2, 15.0, 50.0, 30.0, 25.0)
    assert DrawCost.mean(usage, 0, budget_tokens=0) is None
