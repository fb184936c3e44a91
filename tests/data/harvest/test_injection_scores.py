import math
import random
from typing import Any

import pytest

from critic_engine.data.harvest.injection_scores import (
    DetectionScore,
    ScoredDetection,
    num_equal_steps,
    num_unranked,
    ranked_pairs,
)
from critic_engine.parsing.injections import InjectedError


def error(step: int | None, words: str = "wrong") -> InjectedError:
    return InjectedError(step, words)


def scored(words: str | None, num_matched: int, *, grade: int | None = None, num_found: int = 1) -> ScoredDetection:
    score = DetectionScore(num_errors=2, num_found=num_found, num_matched=num_matched, grade=grade)
    return ScoredDetection(detector="d", words=words, score=score)


def test_one_match_of_three_errors_and_two_found_is_a_quarter_and_a_grade_of_seven_adds_seven_tenths() -> None:
    counts = {"num_errors": 3, "num_found": 2, "num_matched": 1}
    assert float(DetectionScore(**counts, grade=None).exact) == 0.25
    assert float(DetectionScore(**counts, grade=7).exact) == 0.95


@pytest.mark.parametrize(
    ("num_errors", "num_found", "num_matched", "grade", "value"),
    [(2, 2, 2, None, 1.0), (2, 2, 2, 10, 2.0), (2, 0, 0, None, 0.0), (1, 3, 1, 0, 1 / 3), (5, 5, 0, 3, 0.3)],
)
def test_scores_worked_by_hand(
    num_errors: int, num_found: int, num_matched: int, grade: int | None, value: float
) -> None:
    score = DetectionScore(num_errors=num_errors, num_found=num_found, num_matched=num_matched, grade=grade)
    assert float(score.exact) == value


@pytest.mark.parametrize(
    "counts",
    [
        {"num_errors": 0, "num_found": 1, "num_matched": 0, "grade": None},
        {"num_errors": 1, "num_found": 1, "num_matched": 2, "grade": None},
        {"num_errors": 1, "num_found": 1, "num_matched": -1, "grade": None},
        {"num_errors": 1, "num_found": 1, "num_matched": 1, "grade": 11},
    ],
)
def test_counts_that_cannot_be_make_no_score(counts: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        DetectionScore(**counts)


def test_equal_steps_match_one_to_one_and_an_error_without_a_step_matches_none() -> None:
    assert num_equal_steps([error(1), error(2), error(3)], [error(2), error(4)]) == 1
    assert num_equal_steps([error(2)], [error(2, "a"), error(2, "b")]) == 1
    assert num_equal_steps([error(None), error(1)], [error(None), error(None)]) == 0


def test_every_ordered_pair_of_unequal_scores_is_a_preference() -> None:
    best, middle, worst = scored("a", 1), scored("b", 1, num_found=2), scored("c", 0)
    pairs = [(pair.chosen.words, pair.rejected.words, pair.margin) for pair in ranked_pairs([worst, best, middle])]
    assert pairs == [("a", "c", 0.5), ("a", "b", pytest.approx(1 / 6)), ("b", "c", pytest.approx(1 / 3))]


def test_equal_texts_equal_scores_and_failures_make_no_preference() -> None:
    assert ranked_pairs([scored("a", 1), scored("b", 1)]) == ()
    assert ranked_pairs([scored("a b", 1), scored(" a  b\n", 0)]) == ()
    assert ranked_pairs([scored("a", 1), ScoredDetection(detector="d", words="b", failure="no grade")]) == ()
    # 1/2 + 2/10 and 0 + 7/10, which as sums of floats differ.
    assert ranked_pairs([scored("a", 1, grade=2), scored("b", 0, grade=7)]) == ()


def test_the_same_two_texts_make_one_preference() -> None:
    assert len(ranked_pairs([scored("a", 1), scored("a", 1), scored("b", 0)])) == 1


def test_of_two_texts_that_were_scored_either_way_the_first_pair_stands_alone() -> None:
    detections = [scored("a", 1), scored("b", 0), scored("a", 0), scored("b", 1)]
    assert [(pair.chosen.words, pair.rejected.words) for pair in ranked_pairs(detections)] == [("a", "b")]


def test_pairs_that_are_no_preference_are_counted_by_their_reason() -> None:
    failed = ScoredDetection(detector="d", words="c", failure="no grade")
    assert num_unranked([scored("a", 1), scored("b", 1), failed]) == {"equal_scores": 1, "equal_texts": 0}
    assert num_unranked([scored("a b", 1), scored(" a  b\n", 1)]) == {"equal_scores": 0, "equal_texts": 1}
    # Both say "a", so that one of them is preferred to "b" in the name of both.
    assert num_unranked([scored("a", 1), scored("b", 0), scored("a", 1)]) == {"equal_scores": 0, "equal_texts": 2}
    assert num_unranked([]) == {"equal_scores": 0, "equal_texts": 0}


@pytest.mark.parametrize("seed", range(20))
def test_every_pair_of_scored_detections_is_a_preference_or_has_a_reason(seed: int) -> None:
    rng = random.Random(seed)
    detections = [
        scored(rng.choice("abcde"), rng.randrange(2), grade=rng.randrange(3)) for _ in range(rng.randrange(9))
    ]
    num_pairs = len(ranked_pairs(detections)) + sum(num_unranked(detections).values())
    assert num_pairs == math.comb(len(detections), 2)
    assert min(num_unranked(detections).values()) >= 0
