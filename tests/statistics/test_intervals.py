import math
import random

import pytest
from statsmodels.stats.proportion import proportion_confint

from critic_engine.statistics.intervals import (
    auroc,
    clustered_mean,
    clustered_share,
    difference,
    share,
)


def test_share_matches_wilson_worked_by_hand() -> None:
    interval = share(8, 10)
    assert interval.estimate == 0.8
    # Wilson (1927): centre (0.8 + 0.19207) / 1.38415, half width 1.95996 * sqrt(0.016 + 0.0096036) / 1.38415.
    assert interval.low == pytest.approx(0.49016, abs=1e-4)
    assert interval.high == pytest.approx(0.94332, abs=1e-4)


@pytest.mark.parametrize(("num_right", "num_all"), [(-1, 3), (4, 3), (0, 0)])
def test_share_refuses_impossible_counts(num_right: int, num_all: int) -> None:
    with pytest.raises(ValueError, match=str(num_right)):
        share(num_right, num_all)


def test_auroc_equals_counting_all_pairs() -> None:
    rng = random.Random(5)
    values = [rng.randrange(8) / 8 for _ in range(60)]
    outcomes = [rng.random() < 0.4 + value / 4 for value in values]
    pairs = [
        (value > other) + (value == other) / 2
        for value, outcome in zip(values, outcomes, strict=True)
        if outcome
        for other, wrong in zip(values, outcomes, strict=True)
        if not wrong
    ]
    assert auroc(values, outcomes) == pytest.approx(sum(pairs) / len(pairs))


def test_auroc_of_one_kind_only_is_not_a_number() -> None:
    assert math.isnan(auroc([0.1, 0.9], [True, True]))


@pytest.mark.parametrize(
    ("ours", "theirs", "low", "high"),
    [
        # Newcombe (1998), table II, method 10.
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((10, 10), (0, 10), 0.6075, 1.0),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
    ],
)
def test_a_difference_of_shares_has_the_published_interval(
    ours: tuple[int, int], theirs: tuple[int, int], low: float, high: float
) -> None:
    found = difference(ours, theirs)
    assert found.estimate == pytest.approx(ours[0] / ours[1] - theirs[0] / theirs[1])
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
    other = difference(theirs, ours)
    assert (other.low, other.high) == pytest.approx((-found.high, -found.low))


def test_a_difference_refuses_impossible_counts() -> None:
    with pytest.raises(ValueError, match="num_right is 3 of 2"):
        difference((1, 2), (3, 2))
    with pytest.raises(ValueError, match="num_right is 0 of 0"):
        difference((0, 0), (1, 2))


def test_a_clustered_mean_weighs_values_and_not_groups() -> None:
    found = clustered_mean([[1.0, 1.0, 1.0], [], [0.0]], seed=1)
    assert found.estimate == 0.75
    assert (found.low, found.high) == (0.0, 1.0)


def test_a_clustered_mean_without_a_value_is_not_a_number() -> None:
    for groups in ([], [[]], [[], []]):
        found = clustered_mean(groups, seed=1)
        assert all(math.isnan(number) for number in (found.estimate, found.low, found.high))


def test_values_that_hang_together_make_a_clustered_mean_less_sure() -> None:
    rng = random.Random(7)
    apart = [[rng.gauss(0, 1)] for _ in range(400)]
    alike = [[value] * 10 for (value,) in apart]
    one, other = clustered_mean(apart, seed=2), clustered_mean(alike, seed=2)
    assert (other.low, other.high) == pytest.approx((one.low, one.high))
    values = [value for (value,) in apart]
    deviation = math.sqrt(sum((value - one.estimate) ** 2 for value in values)) / 400
    assert one.low == pytest.approx(one.estimate - 1.96 * deviation, abs=0.01)
    assert one.high == pytest.approx(one.estimate + 1.96 * deviation, abs=0.01)


def test_a_clustered_mean_hangs_on_its_seed_alone() -> None:
    groups = [[float(number % 7)] for number in range(50)]
    assert clustered_mean(groups, seed=3) == clustered_mean(groups, seed=3) != clustered_mean(groups, seed=4)


@pytest.mark.parametrize(("num_right", "num_all"), [(0, 9), (3, 7), (180, 200), (1000, 1000)])
def test_a_clustered_share_of_one_seed_is_wilsons_interval(num_right: int, num_all: int) -> None:
    found = clustered_share([[1.0]] * num_right + [[0.0]] * (num_all - num_right))
    low, high = proportion_confint(num_right, num_all, method="wilson")
    assert (found.estimate, found.low, found.high) == pytest.approx((num_right / num_all, low, high), abs=1e-12)
    assert found == share(num_right, num_all)


def test_a_clustered_share_worked_by_hand() -> None:
    # 4 problems of 2 seeds with 2, 2, 1 and 0 right: p = 5/8; the squares of y - 2p are 9/16, 9/16, 1/16 and 25/16,
    # in all 44/16; deff = 2.75 / (15/64 * 8) = 22/15. t(7) = 2.364624 and t(3) = 3.182446, so 8 * 15/22 * 0.552076
    # = 3.0113 outcomes, fewer than the 4 problems; so it is 4.
    found = clustered_share([[1, 1], [1, 1], [1, 0], [0, 0]])
    low, high = proportion_confint(4 * 5 / 8, 4, method="wilson")
    assert (found.estimate, found.low, found.high) == pytest.approx((5 / 8, low, high))
    # 40 problems of the same kinds: deff is as before; t(79) = 1.990450 and t(39) = 2.022691.
    found = clustered_share([[1, 1], [1, 1], [1, 0], [0, 0]] * 10)
    effective = 80 * 15 / 22 * (1.990450 / 2.022691) ** 2
    low, high = proportion_confint(effective * 5 / 8, effective, method="wilson")
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-6)


def test_seeds_that_always_agree_add_nothing_to_a_clustered_share() -> None:
    assert clustered_share([[1, 1, 1]] * 30 + [[0, 0, 0]] * 20) == share(30, 50)
    assert clustered_share([[1, 1, 1]] * 50) == share(50, 50)
    assert clustered_share([[0, 0, 0]] * 50) == share(0, 50)


def test_problems_that_never_differ_make_every_outcome_of_a_clustered_share_count() -> None:
    assert clustered_share([[1, 0]] * 50) == share(50, 100)


def test_the_seeds_of_one_problem_count_once_in_a_clustered_share() -> None:
    found = clustered_share([[1, 0, 1, 1]])
    assert found.estimate == 0.75
    assert found.high - found.low > share(1, 1).high - share(1, 1).low


def test_problems_with_fewer_seeds_weigh_less_in_a_clustered_share() -> None:
    found = clustered_share([[1, 1, 1], [0]] * 20)
    assert found.estimate == 0.75
    assert found.low > 0.5


@pytest.mark.parametrize("outcomes", [[], [[1.0], []], [[1.0, 1.5]], [[-0.1]], [[math.nan]]])
def test_a_clustered_share_refuses_missing_and_impossible_outcomes(outcomes: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="outcome"):
        clustered_share(outcomes)
