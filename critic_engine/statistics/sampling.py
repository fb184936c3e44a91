"""Accuracy of drawing several samples of a problem: any right, and the vote."""

import math
from collections.abc import Hashable, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

_NUM_DRAWS = 4_000


def pass_at_k(num_samples: int, num_right: int, k: int) -> float:
    """Return the probability that at least one of ``k`` of a problem's samples is right, drawn without replacement.

    The unbiased estimate ``1 - C(n - c, k) / C(n, k)`` of Chen et al. (2021, arXiv 2107.03374, eq. 1). A sample that
    failed or whose grade is unsure counts among the samples and not among the right ones.

    Raises:
        ValueError: ``k`` lies outside [1, ``num_samples``], or ``num_right`` outside [0, ``num_samples``].
    """
    if not 1 <= k <= num_samples or not 0 <= num_right <= num_samples:
        raise ValueError(
            f"k is {k} and num_right {num_right} of {num_samples} samples; neither may exceed them, k >= 1"
        )
    return 1.0 - math.comb(num_samples - num_right, k) / math.comb(num_samples, k)


def majority_at_k(classes: Sequence[Hashable | None], is_right: Sequence[bool], k: int, *, seed: int) -> float:
    """Return the probability that the most frequent answer among ``k`` of a problem's samples is right.

    The samples are drawn without replacement: every subset where there are at most 4,000, else 4,000 of them drawn
    with ``seed``. Answers that tie share the credit (Wang et al., 2023, arXiv 2203.11171, with ties in expectation).

    Args:
        classes: for each sample, the class of answers that mean the same; None where it has no answer. It casts no
            vote, and ``k`` samples without an answer are not right.
        is_right: whether each sample is right; False where its grade is unsure. A class counts with the share of its
            samples that are right.
        k: the number of samples that vote, in [1, number of samples].
        seed: of the subsets.

    Raises:
        ValueError: ``classes`` and ``is_right`` are not as many, or ``k`` lies outside its range.
    """
    if len(classes) != len(is_right) or not 1 <= k <= len(classes):
        raise ValueError(
            f"classes and is_right hold {len(classes)} and {len(is_right)} samples and k is {k}; "
            "they must be as many, and k at least 1 and at most that"
        )
    names = [name for name in dict.fromkeys(classes) if name is not None]
    if not names:
        return 0.0
    members = np.asarray([[found == name for name in names] for found in classes], dtype=np.int64)
    credits = members.T @ np.asarray(is_right, dtype=float) / members.sum(axis=0)
    votes = _votes(members, k, seed=seed)
    is_first = (votes == votes.max(axis=1, keepdims=True)) & (votes > 0)
    return float(np.mean(is_first @ credits / np.maximum(1, is_first.sum(axis=1))))


def _votes(members: NDArray[np.int64], k: int, *, seed: int) -> NDArray[np.int64]:
    """Return each class's votes, (subsets of ``k`` samples, classes), of ``members``, (samples, classes)."""
    if math.comb(len(members), k) <= _NUM_DRAWS:
        subsets = np.asarray(list(combinations(range(len(members)), k)))
        votes: NDArray[np.int64] = members[subsets].sum(axis=1)
        return votes
    sizes = members.sum(axis=0)
    with_none = [*sizes, len(members) - sizes.sum()]
    rng = np.random.default_rng(seed)
    return rng.multivariate_hypergeometric(with_none, k, size=_NUM_DRAWS, method="marginals")[:, :-1]
