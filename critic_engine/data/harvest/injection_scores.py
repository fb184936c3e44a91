"""How well a list of found errors meets the list of those that are there, and the pairs that unequal scores make.

The score is that of Critic-V (arXiv 2411.18203, section on VEST): ``|G ∩ C| / |G ∪ C| + 0.1 * grade``, with G the
errors that were put in, C those that were found, and a grade from 0 to 10.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, permutations
from typing import Any

from critic_engine.parsing.injections import MAX_GRADE, InjectedError, one_line


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionScore:
    """The score of one detection. Where nobody grades, it is the share of matches alone."""

    num_errors: int
    """Errors that were put in; at least 1."""
    num_found: int
    """Errors that were found, rightly or not."""
    num_matched: int
    """Those of the first that are among the second, one to one."""
    grade: int | None
    """From 0 to 10; None where there was no grader."""

    def __post_init__(self) -> None:
        """Refuse counts that cannot be."""
        if self.num_errors < 1 or not 0 <= self.num_matched <= min(self.num_errors, self.num_found):
            raise ValueError(
                f"num_matched is {self.num_matched} of {self.num_errors} errors and {self.num_found} found; "
                "it must be 0 to the smaller of them, and there must be an error"
            )
        if self.grade is not None and not 0 <= self.grade <= MAX_GRADE:
            raise ValueError(f"grade is {self.grade}; it must be 0 to {MAX_GRADE}")

    @property
    def exact(self) -> Fraction:
        """The score without a rounding error, so that equal ones are told from unequal ones."""
        share = Fraction(self.num_matched, self.num_errors + self.num_found - self.num_matched)
        return share if self.grade is None else share + Fraction(self.grade, MAX_GRADE)

    @property
    def value(self) -> float:
        """The score: in [0, 2] with a grade, in [0, 1] without one."""
        return float(self.exact)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredDetection:
    """What one detector said, and how good it is. One that failed has a reason, and no score."""

    detector: str
    """The detector's name."""
    words: str | None = None
    """What a critic would have said; None when there is nothing that could be read."""
    errors: tuple[InjectedError, ...] = ()
    score: DetectionScore | None = None
    failure: str | None = None
    """Why there is no score, in one line."""

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "ScoredDetection":
        """Return the detection that ``dataclasses.asdict`` made ``fields`` of, through JSON or not."""
        errors = tuple(InjectedError(**error) for error in fields["errors"])
        score = None if fields["score"] is None else DetectionScore(**fields["score"])
        return cls(**{**fields, "errors": errors, "score": score})


@dataclass(frozen=True, slots=True)
class RankedPair:
    """Two detections of the same solution, one better than the other."""

    chosen: ScoredDetection
    rejected: ScoredDetection
    margin: float
    """The difference of their scores; positive."""


def num_equal_steps(errors: Iterable[InjectedError], found: Iterable[InjectedError]) -> int:
    """Return how many of the two match one to one when equal steps do, and an error without a step matches none."""
    matched = _steps(errors) & _steps(found)
    return matched.total()


def ranked_pairs(detections: Sequence[ScoredDetection]) -> tuple[RankedPair, ...]:
    """Return every ordered pair with ``score(chosen) > score(rejected)``, in the order of ``detections``.

    Detections without a score are in none, equal texts and equal scores make none, and a pair of texts is there once.
    """
    pairs: dict[frozenset[str], RankedPair] = {}
    for chosen, rejected in permutations(detections, 2):
        margin = _margin(chosen, rejected)
        texts = _texts(chosen, rejected)
        if margin is not None and margin > 0 and len(texts) > 1:
            pairs.setdefault(texts, RankedPair(chosen, rejected, float(margin)))
    return tuple(pairs.values())


def num_unranked(detections: Sequence[ScoredDetection]) -> Mapping[str, int]:
    """Return how many pairs of detections that have a score are no preference, by reason.

    ``equal_scores``: they say different things. ``equal_texts``: they say the same, or what another pair says. With
    the preferences of ``ranked_pairs`` they are all pairs.
    """
    pairs = [pair for pair in combinations(detections, 2) if _margin(*pair) is not None]
    ranked = {_texts(pair.chosen, pair.rejected) for pair in ranked_pairs(detections)}
    equal = {texts for texts in (_texts(*pair) for pair in pairs) if len(texts) > 1} - ranked
    return {"equal_scores": len(equal), "equal_texts": len(pairs) - len(ranked) - len(equal)}


def _margin(one: ScoredDetection, other: ScoredDetection) -> Fraction | None:
    """Return how much better the first is; None where one has no score, or no words."""
    if one.score is None or other.score is None or one.words is None or other.words is None:
        return None
    return one.score.exact - other.score.exact


def _texts(one: ScoredDetection, other: ScoredDetection) -> frozenset[str]:
    """Return what the two say: one text when they say the same."""
    return frozenset(one_line(each.words or "") for each in (one, other))


def _steps(errors: Iterable[InjectedError]) -> Counter[int]:
    return Counter(error.step for error in errors if error.step is not None)
