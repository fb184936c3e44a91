from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy
import pytest

from search.particle_weights import effective_sample_size, indices_at, log_odds, resample, reweighted


class Fixed:
    """Gives the numbers it was made with, as ``numpy.random.Generator.random`` does."""

    def __init__(self, *numbers: float) -> None:
        self.numbers = list(numbers)

    def random(self, size: int | None = None) -> Any:
        return self.numbers.pop(0) if size is None else numpy.array([self.numbers.pop(0) for _ in range(size)])


@pytest.mark.parametrize(("value", "expected"), [(0.5, 0.0), (0.9, math.log(9)), (0.1, -math.log(9))])
def test_log_odds_of_a_value(value: float, expected: float) -> None:
    assert log_odds(value) == pytest.approx(expected)


def test_log_odds_of_a_certain_value_are_finite() -> None:
    assert log_odds(1.0) == pytest.approx(math.log(1e7), rel=1e-6)
    assert log_odds(0.0) == pytest.approx(-log_odds(1.0))


@pytest.mark.parametrize(
    ("weights", "factors", "expected"),
    [
        ([0.5, 0.5], [3.0, 1.0], [0.75, 0.25]),
        ([0.25, 0.75], [3.0, 1.0], [0.5, 0.5]),
        ([1, 1, 2], [1.0, 3.0, None], [0.125, 0.375, 0.5]),
        ([1, 1, 2], [None, None, None], [0.25, 0.25, 0.5]),
        ([1, 1, 2], [None, None, 5.0], [0.25, 0.25, 0.5]),
        ([0, 1, 1], [9.0, 1.0, 1.0], [0.0, 0.5, 0.5]),
        ([0, 0], [1.0, None], [0.0, 0.0]),
    ],
)
def test_an_unknown_factor_leaves_a_share_as_it_was(
    weights: list[float], factors: list[float | None], expected: list[float]
) -> None:
    logs = [None if factor is None else math.log(factor) for factor in factors]
    assert reweighted(weights, logs) == pytest.approx(expected)


def test_weights_of_huge_factors_are_finite() -> None:
    assert reweighted([0.5, 0.5], [2000.0, 1999.0]) == pytest.approx([math.e / (1 + math.e), 1 / (1 + math.e)])


@pytest.mark.parametrize(
    ("weights", "expected"), [([0.25] * 4, 4), ([1, 0, 0], 1), ([0.5, 0.25, 0.25], 8 / 3), ([0, 0], 0), ([3, 3], 2)]
)
def test_effective_sample_size(weights: list[float], expected: float) -> None:
    assert effective_sample_size(weights) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (0.0, [0, 0, 1, 3]),  # 0, 0.25, 0.5, 0.75 along 0.5, 0.7, 0.7, 1
        (0.5, [0, 0, 1, 3]),  # 0.125, 0.375, 0.625, 0.875
        (0.9, [0, 0, 3, 3]),  # 0.225, 0.475, 0.725, 0.975
    ],
)
def test_systematic_resampling_takes_even_distances_from_its_start(start: float, expected: list[int]) -> None:
    rng: Any = Fixed(start)
    assert resample("systematic", [0.5, 0.2, 0.0, 0.3], 4, rng) == expected


def test_multinomial_resampling_draws_each_alone() -> None:
    rng: Any = Fixed(0.95, 0.1, 0.69, 0.2)
    assert resample("multinomial", [0.5, 0.2, 0.0, 0.3], 4, rng) == [0, 0, 1, 3]


def test_a_position_that_rounds_up_to_the_end_is_the_last_index_with_a_weight() -> None:
    assert indices_at([0.3, 0.7, 0.0], [1.0 - 2**-53]) == [1]
    assert indices_at([0.0, 1e-300, 0.0], [0.0, 0.999]) == [1, 1]


@pytest.mark.parametrize("rule", ["systematic", "multinomial"])
def test_an_index_comes_as_often_as_its_weight_says_on_average(rule: Any) -> None:
    weights, number, num_seeds = [0.05, 0.4, 0.0, 0.25, 0.3], 6, 4000
    counts = Counter(
        index for seed in range(num_seeds) for index in resample(rule, weights, number, numpy.random.default_rng(seed))
    )
    for index, weight in enumerate(weights):
        # Five standard errors of the mean of binomial counts, which systematic ones are below.
        error = 5 * math.sqrt(number * weight * (1 - weight) / num_seeds)
        assert counts[index] / num_seeds == pytest.approx(number * weight, abs=error)


def test_systematic_counts_are_the_expected_ones_rounded_up_or_down() -> None:
    for seed in range(300):
        rng = numpy.random.default_rng(seed)
        weights = rng.dirichlet(numpy.full(7, 0.5)).tolist()
        counts = Counter(resample("systematic", weights, 10, rng))
        assert sum(counts.values()) == 10
        for index, weight in enumerate(weights):
            assert math.floor(10 * weight - 1e-9) <= counts[index] <= math.ceil(10 * weight + 1e-9)
