import pytest

from bench.coverage import (
    FAMILIES,
    SHARES,
    World,
    auroc_coverage,
    difference_coverage,
    false_better_rate,
    share_coverage,
)

# The sizes of the bench are those at which 95 % can be reached: with one seed and few problems, or hardly any on which
# two methods differ, the counts are too few for any interval to hold the truth just so often.


@pytest.mark.parametrize("world", [World(500, 1, 0.6), World(100, 3, 0.7)])
def test_intervals_of_accuracy_hold_the_truth(world: World) -> None:
    assert 0.935 < share_coverage(world, num_draws=1_000, seed=1) < 0.965


def test_intervals_of_a_difference_hold_the_truth() -> None:
    # Two standard errors of 600 draws around 0.95.
    assert 0.93 < difference_coverage(World(100, 1, 0.6), num_draws=600, seed=2) < 0.97


def test_equal_methods_are_seldom_called_better() -> None:
    assert false_better_rate(World(100, 1, 0.7), num_methods=8, num_draws=60, seed=1) <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("world", SHARES)
def test_intervals_of_accuracy_hold_the_truth_in_ten_thousand_draws(world: World) -> None:
    assert 0.94 < share_coverage(world, num_draws=10_000, seed=1) < 0.96


@pytest.mark.slow
def test_intervals_of_an_auroc_hold_the_truth() -> None:
    # Three standard errors of 300 draws around 0.95.
    assert 0.91 < auroc_coverage(0.7, 1.0, num_problems=100, num_draws=300, seed=1) < 0.985


@pytest.mark.slow
@pytest.mark.parametrize("world", FAMILIES)
def test_equal_methods_are_seldom_called_better_in_many_draws(world: World) -> None:
    assert false_better_rate(world, num_methods=8, num_draws=200, seed=1) <= 0.05
