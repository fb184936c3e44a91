import random
from itertools import combinations

import pytest

from critic_engine.statistics.sampling import majority_at_k, pass_at_k


@pytest.mark.parametrize(("num_samples", "num_right"), [(1, 0), (1, 1), (6, 0), (6, 2), (6, 5), (6, 6)])
def test_pass_at_k_counts_the_subsets_with_a_right_sample(num_samples: int, num_right: int) -> None:
    for k in range(1, num_samples + 1):
        subsets = list(combinations(range(num_samples), k))
        expected = sum(min(subset) < num_right for subset in subsets) / len(subsets)
        assert pass_at_k(num_samples, num_right, k) == pytest.approx(expected)


def test_pass_at_k_of_many_samples_stays_exact() -> None:
    # 1 - (1990 * 1989 * ... ) / (2000 * 1999 * ...), Chen et al. (2021), as a product.
    expected = 1.0
    for number in range(1991, 2001):
        expected *= 1 - 100 / number
    assert pass_at_k(2000, 10, 100) == pytest.approx(1 - expected)


@pytest.mark.parametrize(("num_samples", "num_right", "k"), [(3, 1, 4), (3, 1, 0), (3, 4, 1), (3, -1, 1), (0, 0, 1)])
def test_pass_at_k_refuses_impossible_counts(num_samples: int, num_right: int, k: int) -> None:
    with pytest.raises(ValueError, match=f"k is {k}"):
        pass_at_k(num_samples, num_right, k)


def test_the_majority_of_one_sample_is_the_share_right() -> None:
    found = majority_at_k(["7", "7", "8", None], [True, True, False, False], 1, seed=1)
    assert found == pytest.approx(2 / 4)


def test_the_majority_of_all_samples_is_the_most_frequent_answer() -> None:
    assert majority_at_k([1, 1, 2, 3, None, None, None], [True, True, *[False] * 5], 7, seed=1) == 1
    assert majority_at_k([1, 1, 2, 2, 2], [True, True, False, False, False], 5, seed=1) == 0


def test_answers_that_tie_share_the_credit() -> None:
    assert majority_at_k(["a", "b"], [True, False], 2, seed=1) == 0.5
    assert majority_at_k(["a", "b", "c", None], [False, True, False, False], 4, seed=1) == pytest.approx(1 / 3)


def test_samples_without_an_answer_cast_no_vote_and_are_not_right() -> None:
    assert majority_at_k([None, None, "a"], [False, False, True], 3, seed=1) == 1
    # One of the three pairs holds no answer.
    assert majority_at_k([None, None, "a"], [False, False, True], 2, seed=1) == pytest.approx(2 / 3)
    assert majority_at_k([None, None], [False, False], 2, seed=1) == 0


def test_a_class_with_an_unsure_sample_counts_with_its_share_that_is_right() -> None:
    assert majority_at_k(["a", "a"], [True, False], 2, seed=1) == 0.5


def test_drawn_subsets_agree_with_all_subsets() -> None:
    rng = random.Random(2)
    classes = [rng.choice(["a", "a", "b", "c", None]) for _ in range(18)]
    is_right = [name == "a" for name in classes]
    expected = 0.0
    subsets = list(combinations(classes, 6))
    for subset in subsets:
        votes = [subset.count(name) for name in "abc"]
        expected += (votes[0] == max(votes) > 0) / max(1, votes.count(max(votes))) / len(subsets)
    assert len(subsets) > 4_000
    assert majority_at_k(classes, is_right, 6, seed=1) == pytest.approx(expected, abs=0.025)
    assert majority_at_k(classes, is_right, 6, seed=1) == majority_at_k(classes, is_right, 6, seed=1)


@pytest.mark.parametrize(("classes", "is_right", "k"), [(["a"], [], 1), (["a"], [True], 2), (["a"], [True], 0)])
def test_a_majority_refuses_impossible_counts(classes: list[str], is_right: list[bool], k: int) -> None:
    with pytest.raises(ValueError, match=f"k is {k}"):
        majority_at_k(classes, is_right, k, seed=1)
