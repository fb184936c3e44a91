import random

import pytest
from statsmodels.stats.multitest import multipletests

from critic_engine.statistics.families import holm


def test_holm_worked_by_hand() -> None:
    # 3 * 0.01, 2 * 0.02 and 1 * 0.03 raised to the one before it.
    assert holm([0.03, 0.01, 0.02]) == pytest.approx((0.04, 0.03, 0.04))


@pytest.mark.parametrize("number", [1, 2, 28])
def test_holm_agrees_with_statsmodels(number: int) -> None:
    rng = random.Random(number)
    p_values = [rng.choice([rng.random(), rng.random() / 100, 0.05]) for _ in range(number)]
    assert holm(p_values) == pytest.approx(tuple(multipletests(p_values, method="holm")[1]))


def test_holm_of_nothing_is_nothing() -> None:
    assert holm([]) == ()


@pytest.mark.parametrize("p_value", [-0.1, 1.1, float("nan")])
def test_holm_refuses_impossible_p_values(p_value: float) -> None:
    with pytest.raises(ValueError, match=str(p_value)):
        holm([0.5, p_value])
