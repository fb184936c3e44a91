import math

import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM

from critic_engine.statistics.calibration import (
    calibration_error,
    clustered_auroc,
    clustered_calibration_error,
    reliability_bins,
)
from critic_engine.statistics.intervals import auroc
from critic_engine.statistics.scaling import BetaCalibration, PlattScaling

Groups = list[list[tuple[float, bool]]]


def drawn(num_problems: int, *, slope: float = 1.0, seed: int = 1, num_values: int = 5) -> Groups:
    """Values whose log-odds are ``slope`` times too large, with problems that are easier than others."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 0.8, (num_problems, 1)) + rng.normal(0, 1, (num_problems, num_values))
    is_right = rng.random(scores.shape) < 1 / (1 + np.exp(-scores))
    values = 1 / (1 + np.exp(-slope * scores))
    return [list(zip(*rows, strict=True)) for rows in zip(values.tolist(), is_right.tolist(), strict=True)]


def flat(groups: Groups) -> tuple[list[float], list[bool]]:
    return [value for group in groups for value, _ in group], [right for group in groups for _, right in group]


def test_the_calibration_error_worked_by_hand() -> None:
    # Two bins: 0.1 and 0.3 with none right, 0.6 and 0.8 with both right: (0.2 + 0.3) / 2.
    values, outcomes = [0.8, 0.1, 0.6, 0.3], [True, False, True, False]
    assert calibration_error(values, outcomes, 2) == pytest.approx(0.25)
    assert calibration_error(values, outcomes, 1) == pytest.approx(0.05)
    low, high = reliability_bins(values, outcomes, 2)
    assert (low.num, low.low, low.high, low.mean_value) == (2, 0.1, 0.3, pytest.approx(0.2))
    assert (high.num, high.low, high.high, high.mean_value) == (2, 0.6, 0.8, pytest.approx(0.7))
    assert (low.share_right.estimate, high.share_right.estimate) == (0, 1)
    assert 0 < low.share_right.high < 1


def test_bins_hold_as_many_values_and_the_error_is_their_mean_gap() -> None:
    values, outcomes = flat(drawn(100, slope=2.0))
    bins = reliability_bins(values, outcomes, 7)
    assert {one.num for one in bins} == {71, 72}
    gaps = sum(one.num * abs(one.mean_value - one.share_right.estimate) for one in bins) / 500
    assert calibration_error(values, outcomes, 7) == pytest.approx(gaps)


def test_equal_values_are_never_parted() -> None:
    assert calibration_error([0.5] * 10, [True] * 5 + [False] * 5) == 0
    bins = reliability_bins([0.0] * 60 + [1.0] * 40, [True] * 100)
    assert [(one.low, one.high, one.num) for one in bins] == [(0, 0, 60), (1, 1, 40)]
    assert len(reliability_bins([0.2, 0.4], [True, False], 10)) == 2


def test_platt_scaling_agrees_with_a_logistic_regression_of_its_targets() -> None:
    values, outcomes = flat(drawn(100, slope=2.5))
    found = PlattScaling.fit(values, outcomes)
    num_right = sum(outcomes)
    targets = np.where(outcomes, (num_right + 1) / (num_right + 2), 1 / (500 - num_right + 2))
    scores = np.log(values) - np.log1p(-np.asarray(values))
    columns = np.stack([np.ones(500), scores], axis=1)
    intercept, slope = GLM(targets, columns, family=Binomial()).fit().params
    assert (found.intercept, found.slope) == pytest.approx((intercept, slope), abs=1e-4)


def test_a_scaling_keeps_values_within_zero_and_one() -> None:
    # 0 and 1 stand for 1e-6 and 1 - 1e-6, log-odds of +-13.8.
    scaling = PlattScaling(0.5, 0.0)
    assert scaling.apply(1.0) == pytest.approx(1 / (1 + math.exp(-13.8155 / 2)))
    assert scaling.apply(0.0) == pytest.approx(1 - scaling.apply(1.0))
    assert PlattScaling(1.0, 0.0).apply(0.3) == pytest.approx(0.3)
    assert PlattScaling(100.0, 0.0).apply(0.0) == 0


def test_values_that_part_right_from_wrong_have_a_finite_scaling() -> None:
    scaling = PlattScaling.fit([0.0, 0.0, 1.0, 1.0], [False, False, True, True])
    assert scaling.apply(1.0) == pytest.approx(3 / 4, abs=1e-3)
    assert scaling.apply(0.0) == pytest.approx(1 / 4, abs=1e-3)


def test_a_constant_critic_is_scaled_to_the_share_right() -> None:
    for value in (0.0, 0.5, 0.9, 1.0):
        scaling = PlattScaling.fit([value] * 200, [True] * 140 + [False] * 60)
        assert scaling.apply(value) == pytest.approx(0.7, abs=0.01)


def test_an_inverted_critic_has_a_slope_below_zero() -> None:
    values, outcomes = flat(drawn(200))
    assert PlattScaling.fit(values, [not right for right in outcomes]).slope == pytest.approx(-1, abs=0.2)


def test_beta_calibration_recovers_its_own_curve_where_platt_scaling_cannot() -> None:
    rng = np.random.default_rng(3)
    values = rng.beta(0.3, 0.8, 4000)
    outcomes = (rng.random(4000) < 1 / (1 + np.exp(-(0.2 * np.log(values) - 1.5 * np.log1p(-values) - 0.3)))).tolist()
    found = BetaCalibration.fit(values[:2000].tolist(), outcomes[:2000])
    assert (found.a, found.b, found.c) == pytest.approx((0.2, 1.5, -0.3), abs=0.15)
    platt, held = PlattScaling.fit(values[:2000].tolist(), outcomes[:2000]), values[2000:].tolist()
    errors = [calibration_error(list(map(scaling.apply, held)), outcomes[2000:]) for scaling in (found, platt)]
    assert errors[0] < 0.04 < errors[1]


def test_beta_calibration_agrees_with_a_logistic_regression_of_its_targets() -> None:
    values, outcomes = flat(drawn(100, slope=2.5))
    found, num_right = BetaCalibration.fit(values, outcomes), sum(outcomes)
    targets = np.where(outcomes, (num_right + 1) / (num_right + 2), 1 / (500 - num_right + 2))
    columns = np.stack([np.log(values), -np.log1p(-np.asarray(values)), np.ones(500)], axis=1)
    assert (found.a, found.b, found.c) == pytest.approx(
        tuple(GLM(targets, columns, family=Binomial()).fit().params), abs=1e-3
    )


def test_beta_calibration_never_turns_the_order_around() -> None:
    values, outcomes = flat(drawn(200))
    found = BetaCalibration.fit(values, [not right for right in outcomes])
    assert (found.a, found.b) == (0, 0)
    assert found.apply(0.1) == pytest.approx(1 - sum(outcomes) / len(outcomes), abs=0.01)
    constant = BetaCalibration.fit([1.0] * 200, [True] * 140 + [False] * 60)
    assert constant.apply(1.0) == pytest.approx(0.7, abs=0.01)
    parting = BetaCalibration.fit([0.0, 0.0, 1.0, 1.0], [False, False, True, True])
    assert (parting.apply(0.0), parting.apply(1.0)) == pytest.approx((1 / 4, 3 / 4), abs=1e-3)


def test_a_scaling_of_one_half_is_calibrated_on_the_other() -> None:
    groups = drawn(400, slope=3.0)
    scaling = PlattScaling.fit(*flat(groups[::2]))
    assert scaling.slope == pytest.approx(1 / 3, abs=0.05)
    held = groups[1::2]
    before = clustered_calibration_error(held, seed=1)
    assert before.estimate > 0.1
    assert before.low > 0.05
    after = clustered_calibration_error(
        [[(scaling.apply(value), right) for value, right in group] for group in held], seed=1
    )
    assert after.estimate < 0.05
    assert after.low == 0


def test_a_clustered_calibration_error_is_that_of_all_values() -> None:
    groups = drawn(80, slope=2.0)
    found = clustered_calibration_error(groups, seed=1)
    assert found.estimate == pytest.approx(calibration_error(*flat(groups)))
    assert 0 < found.low < found.estimate < found.high < 1
    assert found == clustered_calibration_error([*groups, []], seed=1)


def test_few_problems_do_not_make_a_perfect_calibration_certain() -> None:
    found = clustered_calibration_error([[(1.0, True), (0.0, False)]] * 8, seed=1)
    assert (found.estimate, found.low) == (0, 0)
    assert found.high == pytest.approx(0.3244, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("slope", [1.0, 3.0])
def test_intervals_of_a_calibration_error_hold_the_truth(slope: float) -> None:
    truth = calibration_error(*flat(drawn(100_000, slope=slope, seed=0)))
    found = [clustered_calibration_error(drawn(100, slope=slope, seed=seed), seed=1) for seed in range(1, 301)]
    # The error has no interval that holds it just so often: a calibrated critic's is the least that it can be.
    assert 0.92 < np.mean([one.low <= truth <= one.high for one in found]) < 0.99


def test_a_clustered_auroc_is_that_of_all_values() -> None:
    groups = drawn(80)
    values, outcomes = flat(groups)
    found = clustered_auroc(groups, seed=1)
    right = [value for value, outcome in zip(values, outcomes, strict=True) if outcome]
    wrong = [value for value, outcome in zip(values, outcomes, strict=True) if not outcome]
    assert found.estimate == pytest.approx(mannwhitneyu(right, wrong).statistic / len(right) / len(wrong))
    assert found.low < found.estimate < found.high
    assert found == clustered_auroc([*groups, []], seed=1)


def test_the_interval_of_a_clustered_auroc_is_that_of_resampled_problems() -> None:
    groups = [[(round(value, 1), outcome) for value, outcome in group] for group in drawn(60)]
    rng = np.random.default_rng(5)
    resampled = [auroc(*flat([groups[index] for index in rng.integers(0, 60, 60).tolist()])) for _ in range(1_000)]
    found = clustered_auroc(groups, seed=1)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(resampled, [0.025, 0.975])), abs=0.01)


def test_values_that_hang_together_make_a_clustered_auroc_less_sure() -> None:
    groups = drawn(100, num_values=1)
    copied = [group * 5 for group in groups]
    assert clustered_auroc(copied, seed=1) == clustered_auroc(groups, seed=1)


def test_few_problems_do_not_make_a_perfect_auroc_certain() -> None:
    groups: Groups = [[(0.9, True), (0.2, False)] for _ in range(4)]
    found = clustered_auroc(groups, seed=1)
    # Two pairs of a right and a wrong outcome of different problems: Wilson's bound for 2 of 2.
    assert (found.estimate, found.high) == (1, 1)
    assert found.low == pytest.approx(0.3424, abs=1e-4)
    inverted = clustered_auroc([[(1 - value, right) for value, right in group] for group in groups], seed=1)
    assert (inverted.estimate, inverted.low) == (0, 0)
    assert inverted.high == pytest.approx(1 - found.low)


def test_an_auroc_of_one_kind_or_one_problem_has_no_interval() -> None:
    found = clustered_auroc([[(0.5, True)], [(0.7, True)]], seed=1)
    assert all(math.isnan(number) for number in (found.estimate, found.low, found.high))
    found = clustered_auroc([[(0.5, True), (0.2, False)]], seed=1)
    assert found.estimate == 1
    assert math.isnan(found.low)
    assert math.isnan(clustered_calibration_error([[(0.5, True), (0.2, False)]], seed=1).high)


@pytest.mark.parametrize(
    ("values", "outcomes"),
    [([], []), ([0.5], [True, False]), ([1.1], [True]), ([-0.1], [True]), ([math.nan], [True])],
)
def test_values_outside_zero_and_one_are_refused(values: list[float], outcomes: list[bool]) -> None:
    for function in (calibration_error, reliability_bins, PlattScaling.fit, BetaCalibration.fit):
        with pytest.raises(ValueError, match="value"):
            function(values, outcomes)  # type: ignore[operator]


def test_an_auroc_takes_scores_of_any_size_and_no_nan() -> None:
    groups = drawn(40)
    scaled = [[(20 * value - 7, right) for value, right in group] for group in groups]
    assert clustered_auroc(scaled, seed=1) == clustered_auroc(groups, seed=1)
    with pytest.raises(ValueError, match="1 of 2 values are NaN"):
        clustered_auroc([[(math.nan, True)], [(0.2, False)]], seed=1)
    with pytest.raises(ValueError, match="no problem has a value"):
        clustered_auroc([[], []], seed=1)


def test_impossible_options_are_refused() -> None:
    with pytest.raises(ValueError, match=r"a value is 1\.5"):
        clustered_calibration_error([[(1.5, True)], [(0.2, False)]], seed=1)
    with pytest.raises(ValueError, match="num_bins is 0"):
        calibration_error([0.5], [True], 0)
    with pytest.raises(ValueError, match="value is 2"):
        PlattScaling(1.0, 0.0).apply(2)
    with pytest.raises(ValueError, match="value is 2"):
        BetaCalibration(1.0, 1.0, 0.0).apply(2)
