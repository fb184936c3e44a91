"""Scores of detections of injected errors, and preferences between detections with unequal scores.

The score is that of Critic-V (arXiv 2411.18203, section on VEST): ``|G ∩ C| / |G ∪ C| + 0.1 * grade``, with G the
errors that were injected, C those that were found, and a grade from 0 to 10.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, permutations

from critic_engine.parsing.injections import MAX_GRADE, InjectedError, one_line


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionScore:
    """The score of one detection; without a grade it is the share of matches alone."""

    num_errors: int
    """Errors that were injected; at least 1."""
    num_found: int
    """Errors that were found, rightly or not."""
    num_matched: int
    """Injected errors that were found, matched one to one."""
    grade: int | None
    """From 0 to 10; None where there was no grader."""

    def __post_init__(self) -> None:
        """Refuse impossible counts and grades."""
        if self.num_errors < 1 or not 0 <= self.num_matched <= min(self.num_errors, self.num_found):
            raise ValueError(
                f"num_matched is {self.num_matched} of {self.num_errors} errors and {self.num_found} found; "
                "it must be 0 to the smaller of them, and there must be an error"
            )
        if self.grade is not None and not 0 <= self.grade <= MAX_GRADE:
            raise ValueError(f"grade is {self.grade}; it must be 0 to {MAX_GRADE}")

    @property
    def exact(self) -> Fraction:
        """The score, in [0, 2] with a grade, in [0, 1] without one; exact, so that equal scores compare equal."""
        share = Fraction(self.num_matched, self.num_errors + self.num_found - self.num_matched)
        return share if self.grade is None else share + Fraction(self.grade, MAX_GRADE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredDetection:
    """One detector's critique with its score; a failed detection has a failure and no score."""

    detector: str
    """The detector's name."""
    words: str | None = None
    """The critique as a critic writes it; None when nothing could be read."""
    errors: tuple[InjectedError, ...] = ()
    score: DetectionScore | None = None
    failure: str | None = None
    """Why there is no score, in one line."""


@dataclass(frozen=True, slots=True)
class RankedPair:
    """Two detections of the same solution with unequal scores."""

    chosen: ScoredDetection
    rejected: ScoredDetection
    margin: float
    """The difference of their scores; positive."""


def num_equal_steps(errors: Iterable[InjectedError], found: Iterable[InjectedError]) -> int:
    """Return how many errors match one to one by equal step numbers; an error without a step matches none."""
    matched = Counter(error.step for error in errors) & Counter(error.step for error in found)
    del matched[None]
    return matched.total()


def ranked_pairs(detections: Sequence[ScoredDetection]) -> tuple[RankedPair, ...]:
    """Return every ordered pair with ``score(chosen) > score(rejected)``, in the order of ``detections``.

    Detections without a score, with equal texts or with equal scores make no pair. Equal pairs of texts count once.
    """
    pairs: dict[frozenset[str], RankedPair] = {}
    for chosen, rejected in permutations(detections, 2):
        margin = _margin(chosen, rejected)
        texts = _texts(chosen, rejected)
        if margin is not None and margin > 0 and len(texts) > 1:
            pairs.setdefault(texts, RankedPair(chosen, rejected, float(margin)))
    return tuple(pairs.values())


def num_unranked(detections: Sequence[ScoredDetection]) -> Mapping[str, int]:
    """Return how many pairs of scored detections are no preference, by reason.

    ``equal_scores``: different texts of equal score. ``equal_texts``: the same text twice, or the texts of another
    pair. These and the preferences of ``ranked_pairs`` add up to all pairs of scored detections.
    """
    pairs = [pair for pair in combinations(detections, 2) if _margin(*pair) is not None]
    ranked = {_texts(pair.chosen, pair.rejected) for pair in ranked_pairs(detections)}
    equal = {texts for texts in (_texts(*pair) for pair in pairs) if len(texts) > 1} - ranked
    return {"equal_scores": len(equal), "equal_texts": len(pairs) - len(ranked) - len(equal)}


def _margin(one: ScoredDetection, other: ScoredDetection) -> Fraction | None:
    """Return the difference of the scores; None where one has no score or no words."""
    if one.score is None or other.score is None or one.words is None or other.words is None:
        return None
    return one.score.exact - other.score.exact


def _texts(one: ScoredDetection, other: ScoredDetection) -> frozenset[str]:
    """Return the two texts as a set: one text if they are equal."""
    return frozenset(one_line(each.words or "") for each in (one, other))
