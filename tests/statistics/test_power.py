from functools import cache

import numpy as np
import pytest

from critic_engine.statistics.paired import Discordance, sign_flip_test
from critic_engine.statistics.power import num_to_rule_out, num_to_show, smallest_difference


def test_num_to_show_worked_by_hand() -> None:
    # Connor (1987): (1.959964 * sqrt(0.25) + 0.841621 * sqrt(0.25 - 0.01))**2 / 0.01 = (0.979982 + 0.412308)**2 / 0.01.
    assert num_to_show(0.1, discordance=Discordance(0.25, 1.0)) == 194
    assert num_to_show(-0.1, discordance=Discordance(0.25, 1.0)) == 194
    assert num_to_show(0, discordance=Discordance(0.25, 1.0)) is None


@pytest.mark.parametrize("num_problems", [50, 200, 1_000, 20_000])
@pytest.mark.parametrize("discordance", [Discordance(0.4, 1.0), Discordance(0.5, 0.5)])
def test_the_smallest_difference_needs_just_the_number_of_problems(num_problems: int, discordance: Discordance) -> None:
    smallest = smallest_difference(num_problems, discordance=discordance)
    assert num_to_show(smallest, discordance=discordance) == pytest.approx(num_problems, abs=1)


@pytest.mark.parametrize(("num_problems", "share"), [(200, 0.3), (1_000, 0.1), (1_000, 0.01)])
def test_the_smallest_difference_is_found_four_times_in_five(num_problems: int, share: float) -> None:
    smallest = smallest_difference(num_problems, discordance=Discordance(share, 1.0))
    share = max(share, smallest)
    one, other = (share + smallest) / 2, (share - smallest) / 2

    @cache
    def p_value(won: int, lost: int) -> float:
        return sign_flip_test([[1.0]] * won + [[0.0]] * lost, [[0.0]] * won + [[1.0]] * lost)

    draws = np.random.default_rng(1).multinomial(num_problems, [one, other, 1 - share], size=1_000)
    # The exact test falls short of its level, so its power falls short too.
    assert 0.7 < np.mean([p_value(int(won), int(lost)) <= 0.05 for won, lost, _ in draws]) < 0.83


def test_a_harder_level_and_fewer_problems_show_less() -> None:
    discordance = Discordance(0.3, 1.0)
    assert smallest_difference(100, discordance=discordance) > smallest_difference(200, discordance=discordance)
    assert smallest_difference(100, discordance=discordance, level=0.01) > smallest_difference(
        100, discordance=discordance
    )


@pytest.mark.parametrize("num_problems", [1, 3, 5])
def test_a_handful_of_problems_shows_nothing(num_problems: int) -> None:
    assert smallest_difference(num_problems, discordance=Discordance(0.5, 1.0)) == 1


def test_num_to_rule_out_brings_the_interval_within_the_margin_four_times_in_five() -> None:
    discordance = Discordance(0.2, 1.0)
    number = num_to_rule_out(0.05, difference=0.0, discordance=discordance)
    assert number is not None
    draws = np.random.default_rng(1).multinomial(number, [0.1, 0.1, 0.8], size=4_000)
    means, shares = (draws[:, 0] - draws[:, 1]) / number, (draws[:, 0] + draws[:, 1]) / number
    halves = 1.96 * np.sqrt((shares - means**2) / number)
    assert np.mean(np.abs(means) + halves <= 0.05) == pytest.approx(0.8, abs=0.03)


def test_a_difference_beyond_the_margin_is_never_ruled_out() -> None:
    assert num_to_rule_out(0.02, difference=-0.02, discordance=Discordance(0.2, 1.0)) is None
