import math
import random

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from critic_engine.statistics.paired import (
    clustered_difference,
    discordance,
    mean_differences,
    sign_flip_test,
)

Table = list[list[float]]


def discordant(num_ours: int, num_theirs: int, num_alike: int) -> tuple[Table, Table]:
    """Outcomes of one seed, with so many problems that only ours, only theirs and both got right."""
    ours = [[1.0]] * num_ours + [[0.0]] * num_theirs + [[1.0]] * num_alike
    theirs = [[0.0]] * num_ours + [[1.0]] * num_theirs + [[1.0]] * num_alike
    return ours, theirs


def drawn(num_problems: int, num_seeds: int, *, seed: int) -> tuple[Table, Table]:
    rng = random.Random(seed)

    def table(accuracy: float) -> Table:
        return [[float(rng.random() < accuracy) for _ in range(num_seeds)] for _ in range(num_problems)]

    return table(0.7), table(0.5)


@pytest.mark.parametrize(("num_ours", "num_theirs"), [(0, 0), (1, 0), (5, 5), (6, 0), (12, 3), (40, 61), (700, 500)])
def test_one_seed_gives_mcnemars_exact_p_value(num_ours: int, num_theirs: int) -> None:
    expected = mcnemar([[10, num_ours], [num_theirs, 4]], exact=True).pvalue if num_ours + num_theirs else 1.0
    assert sign_flip_test(*discordant(num_ours, num_theirs, 5)) == pytest.approx(min(1.0, expected), rel=1e-9)


def test_mcnemars_test_worked_by_hand() -> None:
    # All six problems that differ fall to one side: 2 / 2**6.
    assert sign_flip_test(*discordant(6, 0, 4)) == pytest.approx(1 / 32)
    # 5 to 1: 2 * (6 + 1) / 2**6.
    assert sign_flip_test(*discordant(5, 1, 4)) == pytest.approx(14 / 64)


def test_a_sign_flip_test_worked_by_hand() -> None:
    # Differences 3, 2 and -1 have the eight totals +-6, +-4, +-2 and 0 twice; four of them are at least 4 away from 0.
    ours: Table = [[1, 1, 1], [1, 1, 0], [0, 0, 0]]
    theirs: Table = [[0, 0, 0], [0, 0, 0], [1, 0, 0]]
    assert sign_flip_test(ours, theirs) == pytest.approx(4 / 8)


@pytest.mark.parametrize("outcomes", [(0.0, 1.0), (0.0, 0.5, 1.0), (0.0, 0.3, 2 / 3, 1.0)])
def test_several_seeds_give_the_p_value_of_all_sign_flips(outcomes: tuple[float, ...]) -> None:
    rng = random.Random(4)
    for _ in range(5):
        ours, theirs = ([[rng.choice(outcomes) for _ in range(3)] for _ in range(9)] for _ in range(2))
        differences = np.rint(60 * (np.sum(ours, axis=1) - np.sum(theirs, axis=1)))
        flips = np.asarray([[1 if flip >> place & 1 else -1 for place in range(9)] for flip in range(2**9)])
        expected = np.mean(np.abs(flips @ differences) >= abs(differences.sum()))
        assert sign_flip_test(ours, theirs) == pytest.approx(expected)
        sampled = stats.permutation_test(
            (differences, np.zeros(9)), lambda one, other: np.sum(one - other), permutation_type="samples"
        )
        assert sign_flip_test(ours, theirs) == pytest.approx(min(1.0, sampled.pvalue))


def test_a_sign_flip_test_is_the_same_from_either_side() -> None:
    ours, theirs = drawn(120, 3, seed=2)
    assert sign_flip_test(ours, theirs) == sign_flip_test(theirs, ours) < 1e-3


def test_a_sign_flip_test_of_many_problems_is_near_its_normal_limit() -> None:
    ours, theirs = drawn(1500, 4, seed=5)
    theirs = theirs[:40] + ours[40:]
    differences = np.sum(ours, axis=1) - np.sum(theirs, axis=1)
    score = (abs(differences.sum()) - 0.5) / np.sqrt((differences**2).sum())
    assert sign_flip_test(ours, theirs) == pytest.approx(2 * stats.norm.sf(score), rel=0.1)


def test_a_clustered_difference_agrees_with_scipys_bootstrap() -> None:
    ours, theirs = drawn(400, 3, seed=7)
    differences = mean_differences(ours, theirs)
    found = clustered_difference(ours, theirs, seed=1, num_resamples=40_000)
    size = discordance(differences).size
    expected = stats.bootstrap(
        ([*differences, size, -size],), np.mean, n_resamples=20_000, method="percentile", rng=3, batch=1_000
    ).confidence_interval
    assert found.estimate == pytest.approx(float(np.mean(ours) - np.mean(theirs)))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.002)


@pytest.mark.parametrize(("num_ours", "num_theirs", "num_alike"), [(30, 20, 150), (0, 0, 100), (3, 0, 97), (12, 9, 0)])
def test_a_clustered_difference_of_one_seed_is_near_bonett_and_prices_interval(
    num_ours: int, num_theirs: int, num_alike: int
) -> None:
    found = clustered_difference(*discordant(num_ours, num_theirs, num_alike), seed=1, num_resamples=50_000)
    num_all = num_ours + num_theirs + num_alike + 2
    one, other = (num_ours + 1) / num_all, (num_theirs + 1) / num_all
    half = 1.959964 * np.sqrt((one + other - (one - other) ** 2) / num_all)
    assert (found.low, found.high) == pytest.approx((one - other - half, one - other + half), abs=1.1 / num_all)


def test_methods_that_never_differed_have_an_interval_with_a_width() -> None:
    found = clustered_difference(*discordant(0, 0, 20), seed=1)
    assert found.estimate == 0
    assert found.low < -0.1
    assert found.high > 0.1


def test_a_clustered_difference_holds_its_estimate_and_stays_within_one() -> None:
    found = clustered_difference(*discordant(30, 0, 0), seed=1)
    assert found.estimate == found.high == 1
    assert 0.7 < found.low < 1


def test_a_clustered_difference_hangs_on_its_seed_alone() -> None:
    tables = drawn(50, 2, seed=1)
    assert clustered_difference(*tables, seed=3) == clustered_difference(*tables, seed=3)
    assert clustered_difference(*tables, seed=3) != clustered_difference(*tables, seed=4)


def test_seeds_that_always_agree_add_nothing_to_a_comparison() -> None:
    ours, theirs = drawn(80, 1, seed=1)
    thrice = [row * 3 for row in ours], [row * 3 for row in theirs]
    assert sign_flip_test(*thrice) == pytest.approx(sign_flip_test(ours, theirs))
    assert clustered_difference(*thrice, seed=1) == clustered_difference(ours, theirs, seed=1)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [([], []), ([[1.0]], []), ([[1.0]], [[1.0, 0.0]]), ([[]], [[]]), ([[1.2]], [[0.0]]), ([[0.0]], [[float("nan")]])],
)
def test_tables_that_do_not_match_are_refused(ours: Table, theirs: Table) -> None:
    with pytest.raises(ValueError, match="problem"):
        sign_flip_test(ours, theirs)
    with pytest.raises(ValueError, match="problem"):
        clustered_difference(ours, theirs, seed=1)


def test_interval_of_a_difference_is_nearly_the_normal_one() -> None:
    rng = random.Random(3)
    ours = [rng.random() < 0.8 for _ in range(1000)]
    theirs = [rng.random() < 0.6 for _ in range(1000)]
    interval = clustered_difference([[each] for each in ours], [[each] for each in theirs], seed=1)
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    deviation = math.sqrt(sum((d - interval.estimate) ** 2 for d in differences) / 1000 / 1000)
    assert interval.low == pytest.approx(interval.estimate - 1.96 * deviation, abs=0.004)
    assert interval.high == pytest.approx(interval.estimate + 1.96 * deviation, abs=0.004)
