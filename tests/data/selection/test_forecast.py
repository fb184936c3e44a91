"""Forecasts from a part of a run's problems: worked by hand, and checked against simulated problems."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from critic_engine.data.selection.forecast import (
    Estimate,
    Forecast,
    ProblemFigures,
    Range,
    SampledProblems,
    sample_rows,
)


def sample_of(*tokens: int) -> SampledProblems:
    return SampledProblems(ProblemFigures(search_tokens=num) for num in tokens)


def forecast_of(sample: SampledProblems, *, num_others: int, seed: int = 0) -> Forecast:
    forecast = sample.forecast(num_others=num_others, seed=seed)
    assert forecast is not None
    return forecast


def test_two_problems_speak_for_two_others() -> None:
    # A quarter of the resamples holds 10 alone, a quarter 30 alone, and half of them both: two others drawn from these
    # come to 20 in a quarter and an eighth of all cases, to 60 in as many, else to 40. 40 are known.
    assert forecast_of(sample_of(10, 30), num_others=2).search_tokens == Range(80.0, 60.0, 100.0)


def test_bounds_are_the_quantiles_of_a_normal_sum_where_the_sample_is_large_and_even() -> None:
    # The others are 400 draws of 0 or 2: of mean 400, and of variance 400 + 400 * 400 / 400 by the error of the sample.
    found = forecast_of(sample_of(*[0, 2] * 200), num_others=400).search_tokens
    assert found.estimate == 800
    assert found.low == pytest.approx(800 - 1.645 * math.sqrt(800), abs=4)
    assert found.high == pytest.approx(800 + 1.645 * math.sqrt(800), abs=4)


def test_what_is_whole_is_known() -> None:
    assert forecast_of(sample_of(10, 30, 7), num_others=0).num_tokens == Range(47.0, 47.0, 47.0)


def test_problems_that_are_all_alike_leave_nothing_open() -> None:
    assert forecast_of(sample_of(10, 10, 10), num_others=7).num_tokens == Range(100.0, 100.0, 100.0)


def test_every_figure_is_foreseen_on_its_own_and_tokens_together() -> None:
    figures = ProblemFigures(search_tokens=5, finding_tokens=7, num_pairs=2, num_critiques=1)
    found = forecast_of(SampledProblems([figures, figures]), num_others=8)
    estimates = {name: bounds and bounds["estimate"] for name, bounds in found.fields().items()}
    assert estimates == {
        "num_tokens": 120,
        "search_tokens": 50,
        "finding_tokens": 70,
        "num_pairs": 20,
        "num_critiques": 10,
    }


@pytest.mark.parametrize("tokens", [(), (10,)])
def test_fewer_than_two_problems_foretell_nothing(tokens: tuple[int, ...]) -> None:
    assert sample_of(*tokens).forecast(num_others=5, seed=0) is None


def test_what_the_sample_has_none_of_is_not_known() -> None:
    found = forecast_of(sample_of(10, 30), num_others=5)
    assert (found.num_pairs, found.num_critiques) == (None, None)
    assert found.finding_tokens == Range(0.0, 0.0, 0.0)
    assert found.fields()["num_pairs"] is None


def test_no_bound_is_below_what_is_known() -> None:
    found = forecast_of(sample_of(0, 0, 0, 0, 0, 900), num_others=2).num_tokens
    assert found.low >= 900


def test_seed_decides() -> None:
    sample = sample_of(3, 50, 8, 120, 40)
    first, same, other = (forecast_of(sample, num_others=9, seed=seed) for seed in (1, 1, 2))
    assert first == same
    assert first != other


@pytest.mark.slow
@pytest.mark.parametrize("num_others", [20, 1000])
def test_interval_holds_most_sums_of_uneven_problems(num_others: int) -> None:
    """With 16 problems of exponential cost the 90 % interval holds about 85 % of the sums."""
    rng = np.random.default_rng(5)
    num_held = 0
    for trial in range(300):
        tokens = [int(each) for each in rng.exponential(500, size=16 + num_others)]
        found = forecast_of(sample_of(*tokens[:16]), num_others=num_others, seed=trial).num_tokens
        num_held += found.low <= sum(tokens) <= found.high
    assert 0.80 <= num_held / 300 <= 0.91


def clumps(rng: np.random.Generator, size: int, *, share: float, mean: float) -> np.ndarray:
    """Return counts of which ``share`` are not 0 but at least 1, skewed, with this ``mean``."""
    return np.where(rng.random(size) < share, rng.geometric(1 / mean, size), 0.0)


def poisson_of_gamma(rng: np.random.Generator, size: int, *, share: float, mean: float) -> np.ndarray:
    """Return counts of which ``share`` come of Poisson laws whose rates are spread about ``mean``."""
    return np.where(rng.random(size) < share, rng.poisson(rng.gamma(2.0, mean / 2, size)), 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("num_others", [44, 1000])
@pytest.mark.parametrize(
    ("world", "share", "mean"),
    [(clumps, 0.13, 1.5), (clumps, 0.12, 3.0), (clumps, 0.3, 4.0), (poisson_of_gamma, 0.4, 3.0)],
)
def test_interval_of_counts_holds_most_sums_where_most_problems_have_none(
    world: Callable[..., np.ndarray], share: float, mean: float, num_others: int
) -> None:
    """With 16 problems of rare and clumped counts the 90 % interval holds 79 % to 89 % of the sums."""
    rng = np.random.default_rng(7)
    held = []
    for trial in range(300):
        counts = world(rng, 16 + num_others, share=share, mean=mean)
        sample = SampledProblems(ProblemFigures(num_pairs=int(num)) for num in counts[:16])
        found = forecast_of(sample, num_others=num_others, seed=trial).num_pairs
        if found is not None:
            assert found.low <= found.high
            held.append(found.low <= counts.sum() <= found.high)
    assert 0.75 <= np.mean(held) <= 0.93


def test_counts_that_are_few_leave_much_open_and_many_little() -> None:
    few, many = (
        forecast_of(SampledProblems([ProblemFigures(num_pairs=num) for num in counts]), num_others=1000).num_pairs
        for counts in ([0] * 15 + [1], ([0] * 15 + [1]) * 100)
    )
    assert few is not None
    assert many is not None
    assert few.estimate == pytest.approx(1 + 1000 / 16)
    assert few.low == 1
    assert few.high > 150
    assert many.low > 100 + 40
    assert many.high < 100 + 85


def test_many_problems_narrow_the_interval() -> None:
    few, many = (forecast_of(sample_of(*range(0, 100, step)), num_others=5000) for step in (10, 1))
    widths = [found.num_tokens.high - found.num_tokens.low for found in (few, many)]
    assert widths[1] < widths[0] / 2


def test_what_is_left_is_never_less_than_nothing() -> None:
    assert Range(10.0, 5.0, 20.0).less(8) == Range(2.0, 0.0, 12.0)
    assert Range(10.0, 5.0, 20.0).times(0.5) == Range(5.0, 2.5, 10.0)


def test_cut_sample_holds_its_first_problems_alone() -> None:
    sample = sample_of(1, 2, 300)
    sample.cut(2)
    assert (len(sample), sample.num_tokens) == (2, 3)


def test_sample_is_drawn_from_the_whole_file_in_its_order() -> None:
    drawn = list(sample_rows(range(1000), num_rows=1000, size=50, seed=3))
    assert drawn == sorted(set(drawn))
    assert len(drawn) == 50
    assert drawn[0] < 100
    assert drawn[-1] > 900
    assert 350 < np.mean(drawn) < 650
    assert drawn == list(sample_rows(range(1000), num_rows=1000, size=50, seed=3))
    assert drawn != list(sample_rows(range(1000), num_rows=1000, size=50, seed=4))


def test_sample_keeps_to_the_first_rows_and_takes_all_where_they_are_few() -> None:
    assert max(sample_rows(range(1000), num_rows=20, size=5, seed=3)) < 20
    assert list(sample_rows("abcdefgh", num_rows=4, size=9, seed=0)) == list("abcd")


def sample_run(*tokens: int, usd: float = 0.0, max_tokens: int | None = None) -> Estimate:
    return Estimate(num_rows=10, sample=sample_of(*tokens), wall_s=4.0, usd=usd, max_tokens=max_tokens)


def test_seconds_dollars_and_share_go_by_tokens() -> None:
    found = sample_run(100, 100, usd=0.5, max_tokens=4000)
    forecast = found.forecast()
    assert forecast is not None
    assert forecast.num_tokens.estimate == 1000
    assert found.wall_s_of(forecast.num_tokens) == Range(20.0, 20.0, 20.0)
    assert found.usd_of(forecast.num_tokens) == Range(2.5, 2.5, 2.5)
    assert found.share_of_max_tokens(forecast.num_tokens) == Range(0.25, 0.25, 0.25)
    assert found.fields()["outlook"]["usd"] == {"estimate": 2.5, "low": 2.5, "high": 2.5}


def test_what_is_not_known_is_no_number() -> None:
    outlook = sample_run(0, 0, usd=0.5).fields()["outlook"]
    assert (outlook["wall_s"], outlook["usd"], outlook["share_of_max_tokens"]) == (None, None, None)
    assert sample_run(100, 200).fields()["outlook"]["usd"] is None
    assert sample_run(100).fields()["outlook"] is None
