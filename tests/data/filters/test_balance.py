"""Balance: how many rows stay is exact, and which ones depends on their keys alone."""

import random
from collections import Counter

import pytest

from critic_engine.data.filters.balance import Balance, Census, Stratum

ROWS: list[tuple[Stratum, str]] = [
    ((depth, outcome, "divergent"), f"{depth}-{outcome}-{number}")
    for (depth, outcome), num in {(1, "right"): 500, (1, "wrong"): 40, (2, "right"): 20, (2, None): 3}.items()
    for number in range(num)
]


def kept(rows: list[tuple[Stratum, str]], *, max_ratio: float | None, seed: int = 0) -> set[tuple[Stratum, str]]:
    census = Census(seed=seed)
    for stratum, key in rows:
        census.add(stratum, key)
    balance = Balance(census, max_ratio=max_ratio)
    return {(stratum, key) for stratum, key in rows if balance.keeps(stratum, key)}


def counts(rows: set[tuple[Stratum, str]]) -> list[int]:
    found = Counter(stratum for stratum, _ in rows)
    return [found[stratum] for stratum in dict.fromkeys(stratum for stratum, _ in ROWS)]


def test_strata_above_the_limit_keep_exactly_the_limit_and_others_every_row() -> None:
    assert counts(kept(ROWS, max_ratio=1)) == [20, 20, 20, 3]
    assert counts(kept(ROWS, max_ratio=1.54)) == [30, 30, 20, 3]
    assert counts(kept(ROWS, max_ratio=1.55)) == [31, 31, 20, 3]
    assert counts(kept(ROWS, max_ratio=10)) == [200, 40, 20, 3]


def test_balancing_twice_is_balancing_once() -> None:
    once = kept(ROWS, max_ratio=1.5)
    assert kept(sorted(once, key=str), max_ratio=1.5) == once


def test_choice_does_not_depend_on_the_order_of_rows() -> None:
    shuffled = random.Random(1).sample(ROWS, len(ROWS))
    assert kept(shuffled, max_ratio=2) == kept(ROWS, max_ratio=2)


def test_choice_within_a_stratum_does_not_depend_on_other_strata() -> None:
    others = [((stratum[0], stratum[1], "injection"), key) for stratum, key in ROWS]
    alone = kept(ROWS, max_ratio=2)
    assert {row for row in kept(ROWS + others, max_ratio=2) if row[0][2] == "divergent"} == alone


def test_larger_limit_keeps_what_a_smaller_one_keeps() -> None:
    assert kept(ROWS, max_ratio=1) < kept(ROWS, max_ratio=2) < kept(ROWS, max_ratio=5)


def test_another_seed_makes_another_choice_of_the_same_size() -> None:
    one, other = kept(ROWS, max_ratio=2, seed=1), kept(ROWS, max_ratio=2, seed=2)
    assert one != other
    assert counts(one) == counts(other)


def test_without_a_ratio_every_row_stays() -> None:
    assert kept(ROWS, max_ratio=None) == set(ROWS)


def test_rows_that_share_a_key_never_push_a_stratum_above_the_limit() -> None:
    rows: list[tuple[Stratum, str]] = [(("a",), "same")] * 10 + [(("b",), "1"), (("b",), "2"), (("c",), "3")]
    census = Census(seed=0)
    for stratum, key in rows:
        census.add(stratum, key)
    assert census.counts == {("a",): 10, ("b",): 2, ("c",): 1}
    balance = Balance(census, max_ratio=1)
    assert sum(balance.keeps(stratum, key) for stratum, key in rows if stratum == ("a",)) <= 2


def test_no_rows_at_all_are_in_balance() -> None:
    assert Balance(Census(seed=0), max_ratio=2).max_rows is None


def test_stratum_that_was_not_counted_is_refused() -> None:
    with pytest.raises(ValueError, match="not in the census"):
        Balance(Census(seed=0), max_ratio=None).keeps(("a",), "1")


@pytest.mark.parametrize("max_ratio", [0.9, 0, -1, float("inf"), float("nan")])
def test_ratio_below_one_is_refused(max_ratio: float) -> None:
    with pytest.raises(ValueError, match="max_ratio"):
        Balance(Census(seed=0), max_ratio=max_ratio)
