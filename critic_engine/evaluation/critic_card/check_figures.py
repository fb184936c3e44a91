"""The figures of checked solutions: flips of the verdict, the lift of the words, and agreement with rollouts."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from critic_engine.config.critic_card import CardFlips, CardLift, CardRollouts, Measured
from critic_engine.data.harvest.critique_lift import DrawCounts
from critic_engine.evaluation.critic_card.judgement_log import CriticJudgement, JudgedSolution, RewriteOutcomes
from critic_engine.evaluation.critic_card.outcome_figures import measured
from critic_engine.statistics.calibration import clustered_auroc
from critic_engine.statistics.intervals import Interval, clustered_share
from critic_engine.statistics.paired import clustered_difference
from critic_engine.statistics.resampling import resampled_counts

_NUM_RESAMPLES = 2_000
_GREEDY = ("greedy", "greedy again")

JudgementPair = tuple[CriticJudgement, CriticJudgement]


def flips_of(judged: Sequence[JudgedSolution], *, temperature: float | None) -> tuple[CardFlips, ...]:
    """Return how often verdicts changed, by the kind of the second judgement, in the order of the rows."""
    pairs: dict[str, list[JudgementPair]] = {}
    for row in judged:
        found = {each.kind: each.judgement for each in row.repeats}
        if all(kind in found for kind in _GREEDY):
            pairs.setdefault("greedy", []).append((found[_GREEDY[0]], found[_GREEDY[1]]))
        for kind, judgement in found.items():
            if kind not in _GREEDY:
                pairs.setdefault(kind, []).append((row.judgement, judgement))
    return tuple(
        _flips(kind, found, temperature=0.0 if kind == "greedy" else temperature) for kind, found in pairs.items()
    )


def _flips(kind: str, pairs: Sequence[JudgementPair], *, temperature: float | None) -> CardFlips:
    read = [pair for pair in pairs if pair[0].verdict is not None and pair[1].verdict is not None]
    changes = [abs(one.value - other.value) for one, other in read if one.value is not None and other.value is not None]
    flips = [[float(one.verdict != other.verdict)] for one, other in read]
    return CardFlips(
        kind=kind,
        temperature=temperature,
        num=len(read),
        num_unreadable=len(pairs) - len(read),
        flip_share=measured(clustered_share(flips)) if flips else Measured(estimate=None),
        mean_change=math.fsum(changes) / len(changes) if changes else None,
    )


def lift_of(judged: Sequence[JudgedSolution], *, seed: int) -> CardLift | None:
    """Return the lift of the critic's words; None if no solution has outcomes with and without them."""
    used = [(row, row.rewrites) for row in judged if row.rewrites is not None and _is_known(row.rewrites)]
    if not used:
        return None
    return CardLift(
        num=len(used),
        rewritten=measured(clustered_share([_outcomes(each.rewritten) for _, each in used])),
        fresh=measured(clustered_share([_outcomes(each.fresh) for _, each in used])),
        lift=_lift((each for _, each in used), seed=seed),
        lift_if_wrong=_lift((each for row, each in used if not row.is_answer_right), seed=seed),
        lift_if_right=_lift((each for row, each in used if row.is_answer_right), seed=seed),
    )


def _is_known(outcomes: RewriteOutcomes) -> bool:
    return outcomes.rewritten.num_known > 0 and outcomes.fresh.num_known > 0


def _outcomes(counts: DrawCounts) -> list[float]:
    return [1.0] * counts.num_right + [0.0] * counts.num_wrong


def _lift(outcomes: Iterable[RewriteOutcomes], *, seed: int) -> Measured:
    shares = [(_share(each.rewritten), _share(each.fresh)) for each in outcomes]
    if not shares:
        return Measured(estimate=None)
    return measured(clustered_difference([[one] for one, _ in shares], [[other] for _, other in shares], seed=seed))


def _share(counts: DrawCounts) -> float:
    return counts.num_right / counts.num_known


def rollouts_of(judged: Sequence[JudgedSolution], *, num_rollouts: int, seed: int) -> CardRollouts | None:
    """Return the agreement with rollouts; None if no intermediate step has a value and a share."""
    groups = [
        [
            (place.value, place.rollout_share)
            for place in row.places
            if place.value is not None and place.rollout_share is not None
        ]
        for row in judged
    ]
    groups = [group for group in groups if group]
    if not groups:
        return None
    halves = [[(value, share >= 0.5) for value, share in group] for group in groups]
    return CardRollouts(
        num=sum(map(len, groups)),
        num_rollouts=num_rollouts,
        rank_correlation=measured(_rank_correlation(groups, seed=seed)),
        auroc=measured(clustered_auroc(halves, seed=seed)),
    )


def _rank_correlation(groups: Sequence[Sequence[tuple[float, float]]], *, seed: int) -> Interval:
    """Return Spearman's rank correlation, with its percentile bootstrap interval over whole problems.

    In resamples, ranks stay those of all numbers. NaN if all values or all shares are equal; the interval is NaN with
    fewer than two problems.
    """
    flat = np.asarray([pair for group in groups for pair in group])
    ranks = np.stack([_ranks(flat[:, 0]), _ranks(flat[:, 1])])
    problems = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    estimate = float(_correlations(np.ones((1, len(flat))), ranks)[0])
    if math.isnan(estimate) or len(groups) < 2:
        return Interval(estimate, math.nan, math.nan)
    even = np.full(len(groups), 1 / len(groups))
    draws = resampled_counts(even, len(groups), seed=seed, num_resamples=_NUM_RESAMPLES, width=len(flat))
    found = np.concatenate([_correlations(counts[:, problems].astype(float), ranks) for counts in draws])
    low, high = np.nanquantile(found, [0.025, 0.975])
    return Interval(estimate, float(low), float(high))


def _ranks(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks from 1, the mean rank for equal numbers."""
    _, places, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    ends = counts.cumsum()
    ranks: NDArray[np.float64] = (ends - (counts - 1) / 2)[places]
    return ranks


def _correlations(weights: NDArray[np.float64], pairs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weighted correlation of two rows of numbers for each row of weights; NaN where one does not vary."""
    totals = weights.sum(axis=1)
    one, other = pairs
    means = weights @ pairs.T / totals[:, None]
    products = weights @ np.stack([one * other, one * one, other * other]).T / totals[:, None]
    covariance = products[:, 0] - means[:, 0] * means[:, 1]
    variances = np.maximum(products[:, 1:] - means**2, 0.0)
    scale = np.sqrt(variances[:, 0] * variances[:, 1])
    return np.where(scale > 1e-9, covariance / np.where(scale > 1e-9, scale, 1.0), math.nan)
