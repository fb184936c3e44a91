import math
import random

import pytest

from critic_engine.evaluation.metrics import auroc, paired_difference, share


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


def test_paired_difference_is_zero_wide_when_every_problem_differs_alike() -> None:
    interval = paired_difference([True] * 20, [False] * 20, seed=1)
    assert (interval.estimate, interval.low, interval.high) == (1.0, 1.0, 1.0)


def test_paired_difference_covers_the_normal_interval() -> None:
    rng = random.Random(3)
    ours = [rng.random() < 0.8 for _ in range(1000)]
    theirs = [rng.random() < 0.6 for _ in range(1000)]
    interval = paired_difference(ours, theirs, seed=1)
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    deviation = math.sqrt(sum((d - interval.estimate) ** 2 for d in differences) / 1000 / 1000)
    assert interval.low == pytest.approx(interval.estimate - 1.96 * deviation, abs=0.004)
    assert interval.high == pytest.approx(interval.estimate + 1.96 * deviation, abs=0.004)


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
