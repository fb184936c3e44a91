import random

import pytest

from critic_engine.statistics.families import holm
from critic_engine.statistics.paired import clustered_difference, sign_flip_test
from critic_engine.statistics.verdicts import PairVerdict, judge_pairs

Table = list[list[float]]


def outcomes(num_right: int, num_all: int) -> Table:
    return [[1.0]] * num_right + [[0.0]] * (num_all - num_right)


def the_pair(ours: Table, theirs: Table, *, margin: float = 0.02) -> PairVerdict:
    (pair,) = judge_pairs({"a": ours, "b": theirs}, seed=1, margin=margin)
    return pair


def test_a_pair_that_differs_clearly_is_better_or_worse() -> None:
    pair = the_pair(outcomes(80, 100), outcomes(60, 100))
    assert (pair.ours, pair.theirs, pair.verdict, pair.text) == ("a", "b", "better", "better")
    assert pair.difference.low > 0
    assert pair.num_needed is None
    pair = the_pair(outcomes(60, 100), outcomes(80, 100))
    assert (pair.verdict, pair.text) == ("worse", "worse")
    assert pair.difference.high < 0


def test_methods_that_hardly_differ_on_many_problems_have_no_difference_larger_than_the_interval() -> None:
    pair = the_pair(outcomes(1500, 2000), outcomes(1501, 2000))
    assert pair.verdict == "no_difference"
    largest = max(-pair.difference.low, pair.difference.high)
    assert pair.text == f"no difference larger than {largest:.3f}"
    assert largest < 0.02


def test_an_inconclusive_pair_says_how_many_problems_would_settle_it() -> None:
    ours, theirs = [[1.0]] * 10 + [[0.0]] * 6 + [[1.0]] * 84, [[0.0]] * 10 + [[1.0]] * 6 + [[1.0]] * 84
    pair = the_pair(ours, theirs)
    assert pair.verdict == "inconclusive"
    assert pair.num_needed is not None
    assert pair.num_needed > 500
    assert pair.text == f"inconclusive: {pair.num_needed:,} problems would be needed"


def test_the_number_of_problems_that_an_inconclusive_pair_needs_settles_it() -> None:
    # 7 problems in 100 to 2: with as many problems as it asks for, in the same shares, a difference is shown.
    ours, theirs = [[1.0]] * 7 + [[0.0]] * 2 + [[1.0]] * 91, [[0.0]] * 7 + [[1.0]] * 2 + [[1.0]] * 91
    pair = the_pair(ours, theirs)
    assert pair.verdict == "inconclusive"
    assert pair.num_needed is not None
    times = -(-pair.num_needed // 100)
    assert the_pair(ours * times, theirs * times).verdict == "better"


def test_no_difference_at_all_and_no_margin_has_no_number_that_would_settle_it() -> None:
    pair = the_pair(outcomes(30, 50), outcomes(30, 50), margin=0.0)
    assert (pair.verdict, pair.num_needed, pair.text) == ("inconclusive", None, "inconclusive")


@pytest.mark.parametrize("num_problems", [1, 2, 19])
def test_fewer_than_twenty_problems_conclude_nothing(num_problems: int) -> None:
    pair = the_pair(outcomes(num_problems, num_problems), outcomes(0, num_problems), margin=1.0)
    assert pair.verdict == "inconclusive"
    assert pair.text == (
        f"inconclusive: with fewer than 20 problems ({num_problems}), "
        "neither a difference nor its absence can be concluded"
    )
    assert the_pair(outcomes(20, 20), outcomes(0, 20)).verdict == "better"


def test_all_pairs_are_one_family() -> None:
    rng = random.Random(3)
    tables = {name: [[float(rng.random() < 0.6) for _ in range(3)] for _ in range(40)] for name in "abcd"}
    pairs = judge_pairs(tables, seed=5)
    assert [pair.ours + pair.theirs for pair in pairs] == ["ab", "ac", "ad", "bc", "bd", "cd"]
    p_values = [sign_flip_test(tables[pair.ours], tables[pair.theirs]) for pair in pairs]
    assert [pair.p_value for pair in pairs] == p_values
    assert tuple(pair.adjusted_p_value for pair in pairs) == holm(p_values)
    assert [pair.difference for pair in pairs] == [
        clustered_difference(tables[pair.ours], tables[pair.theirs], seed=5) for pair in pairs
    ]


def test_a_pair_that_alone_is_better_is_not_among_many_equals() -> None:
    ours, theirs = [[1.0]] * 60 + [[0.0]] * 40, [[1.0]] * 53 + [[0.0]] * 47
    assert the_pair(ours, theirs).verdict == "better"
    many = judge_pairs({"a": ours, "b": theirs, "c": theirs, "d": theirs, "e": theirs}, seed=1)
    assert many[0].p_value < 0.05 < many[0].adjusted_p_value
    assert many[0].difference.low > 0
    assert many[0].verdict == "inconclusive"
    assert many[0].num_needed is not None
    assert many[0].num_needed > 100
    assert many[0].smallest_effect > the_pair(ours, theirs).smallest_effect


def test_one_method_has_no_pair() -> None:
    assert judge_pairs({"a": outcomes(3, 30)}, seed=1) == ()


def test_tables_over_different_problems_and_impossible_options_are_refused() -> None:
    with pytest.raises(ValueError, match="3 and 4 problems"):
        judge_pairs({"a": outcomes(3, 3), "b": outcomes(3, 4)}, seed=1)
    with pytest.raises(ValueError, match=r"margin is -0\.1"):
        the_pair(outcomes(3, 30), outcomes(3, 30), margin=-0.1)
    with pytest.raises(ValueError, match="level 0"):
        judge_pairs({"a": outcomes(3, 30), "b": outcomes(3, 30)}, seed=1, level=0)


def test_the_pairs_asked_for_are_the_family() -> None:
    ours, theirs = [[1.0]] * 60 + [[0.0]] * 40, [[1.0]] * 53 + [[0.0]] * 47
    (pair,) = judge_pairs({"a": ours, "b": theirs, "c": theirs}, pairs=[("b", "a")], seed=1)
    assert (pair.ours, pair.theirs, pair.verdict) == ("b", "a", "worse")
    assert pair.adjusted_p_value == pair.p_value
