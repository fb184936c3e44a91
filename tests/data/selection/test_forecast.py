"""What a run will come to, from a part of its problems: worked by hand, and held against worlds that are known."""

from collections.abc import Callable

import numpy as np
import pytest

from critic_engine.data.selection.forecast import (
    Forecast,
    ProblemFigures,
    Range,
    Sample,
    SampleRun,
    range_of_counts,
    sample_rows,
)


def sample_of(*tokens: int) -> Sample:
    return Sample(ProblemFigures(search_tokens=num) for num in tokens)


def forecast_of(sample: Sample, *, num_others: int, seed: int = 0) -> Forecast:
    forecast = sample.forecast(num_others=num_others, seed=seed)
    assert forecast is not None
    return forecast


def test_two_problems_speak_for_two_others() -> None:
    # The mean is 20, the deviation 10, the unit sqrt(2 * 2 / 2 + 2) = 2. Of the samples of a world half are 10 and 30,
    # and their others come to 20, 40 or 60: errors of -1, 0 and 1 times 10 * 2, an eighth of all at either end. The
    # other samples have no spread. So the others come to 40 - 20 to 40 + 20, beside the 40 that are known.
    assert forecast_of(sample_of(10, 30), num_others=2).search_tokens == Range(80.0, 60.0, 100.0)


def test_what_is_whole_is_known() -> None:
    assert forecast_of(sample_of(10, 30, 7), num_others=0).num_tokens == Range(47.0, 47.0, 47.0)


def test_problems_that_are_all_alike_leave_nothing_open() -> None:
    assert forecast_of(sample_of(10, 10, 10), num_others=7).num_tokens == Range(100.0, 100.0, 100.0)


def test_every_figure_is_foreseen_on_its_own_and_tokens_together() -> None:
    figures = ProblemFigures(search_tokens=5, finding_tokens=7, num_pairs=2, num_critiques=1)
    found = forecast_of(Sample([figures, figures]), num_others=8)
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
def test_interval_holds_about_nine_of_ten_sums_of_uneven_problems(num_others: int) -> None:
    rng = np.random.default_rng(5)
    num_held = 0
    for trial in range(100):
        tokens = [int(each) for each in rng.exponential(500, size=16 + num_others)]
        found = forecast_of(sample_of(*tokens[:16]), num_others=num_others, seed=trial).num_tokens
        num_held += found.low <= sum(tokens) <= found.high
    assert 0.83 <= num_held / 100 <= 0.97


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
def test_interval_of_counts_holds_about_nine_of_ten_sums_where_most_problems_have_none(
    world: Callable[..., np.ndarray], share: float, mean: float, num_others: int
) -> None:
    rng = np.random.default_rng(7)
    held = []
    for trial in range(300):
        counts = world(rng, 16 + num_others, share=share, mean=mean)
        found = range_of_counts(counts[:16], num_others=num_others, seed=trial)
        if found is not None:
            assert found.low <= found.estimate <= found.high
            held.append(found.low <= counts.sum() <= found.high)
    assert 0.84 <= np.mean(held) <= 0.99


def test_counts_that_are_few_leave_much_open_and_many_little() -> None:
    few = range_of_counts(np.array([0.0] * 15 + [1.0]), num_others=1000, seed=0)
    many = range_of_counts(np.array(([0.0] * 15 + [1.0]) * 100), num_others=1000, seed=0)
    assert few is not None
    assert many is not None
    assert few.estimate == pytest.approx(1 + 1000 / 16)
    assert few.low < 10
    assert few.high > 200
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


def sample_run(*tokens: int, usd: float = 0.0, max_tokens: int | None = None) -> SampleRun:
    return SampleRun(num_rows=10, sample=sample_of(*tokens), wall_s=4.0, usd=usd, max_tokens=max_tokens)


def test_seconds_dollars_and_share_go_by_tokens() -> None:
    outlook = sample_run(100, 100, usd=0.5, max_tokens=4000).outlook()
    assert outlook is not None
    assert outlook.forecast.num_tokens.estimate == 1000
    assert outlook.wall_s == Range(20.0, 20.0, 20.0)
    assert outlook.usd == Range(2.5, 2.5, 2.5)
    assert outlook.share_of_max_tokens == Range(0.25, 0.25, 0.25)
    assert outlook.fields()["usd"] == {"estimate": 2.5, "low": 2.5, "high": 2.5}


def test_what_is_not_known_is_no_number() -> None:
    outlook = sample_run(0, 0, usd=0.5).outlook()
    assert outlook is not None
    assert (outlook.wall_s, outlook.usd, outlook.share_of_max_tokens) == (None, None, None)
    without_prices = sample_run(100, 200).outlook()
    assert without_prices is not None
    assert without_prices.usd is None
    assert sample_run(100).outlook() is None
