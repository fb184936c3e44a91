from __future__ import annotations

import pytest

from search import Budget, StopReason, Usage


@pytest.mark.parametrize("name", ["max_simulations", "max_cost"])
@pytest.mark.parametrize("limit", [0, -1])
def test_a_budget_that_allows_nothing_is_refused(name: str, limit: int) -> None:
    with pytest.raises(ValueError, match=f"{name} must be .* at least 1, got {limit}"):
        Budget(**{name: limit})


def test_no_limit_is_never_reached() -> None:
    assert Budget().allows(10**9)
    assert Budget().stop_reason(Usage(10**9, 10**9)) is None


def test_limits_are_reached_exactly() -> None:
    budget = Budget(max_simulations=3, max_cost=100)
    assert [budget.allows(num_started) for num_started in (2, 3)] == [True, False]
    assert budget.stop_reason(Usage(2, 99)) is None
    assert budget.stop_reason(Usage(3, 0)) is StopReason.SIMULATIONS
    assert budget.stop_reason(Usage(0, 100)) is StopReason.COST


def test_a_stop_reason_is_its_name() -> None:
    assert str(StopReason.COST) == "cost"
    assert f"{StopReason.VALUE_THRESHOLD}" == "value_threshold"
