"""The value and the verdict against one outcome, with intervals over whole problems."""

import math
import random
from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

from critic_engine.config.critic_card import CardBeta, CardBin, CardOutcome, CardScaling, Measured
from critic_engine.evaluation.critic_card.judgement_log import JudgedSolution
from critic_engine.seeds import derive_seed
from critic_engine.statistics.calibration import (
    clustered_auroc,
    clustered_calibration_error,
    reliability_bins,
)
from critic_engine.statistics.intervals import Interval, clustered_mean, clustered_share
from critic_engine.statistics.scaling import BetaCalibration, PlattScaling

_T = TypeVar("_T")
Outcome: TypeAlias = Callable[[JudgedSolution], bool]
Pair: TypeAlias = tuple[float, bool]
"""A value and an outcome."""

_NUM_BINS = 10
_FEWEST_BINS = 5
_MIN_PER_BIN = 20
_MIN_PROBLEMS = 20


def measured(interval: Interval) -> Measured:
    """Return the interval as a card holds it, with None for what cannot be told."""
    return Measured(estimate=_known(interval.estimate), low=_known(interval.low), high=_known(interval.high))


def grouped(rows: Sequence[JudgedSolution], figure: Callable[[JudgedSolution], _T]) -> list[list[_T]]:
    """Return a figure of each solution, once for each time it was drawn, in a list a problem."""
    groups: dict[str, list[_T]] = {}
    for row in rows:
        groups.setdefault(row.problem_id, []).extend([figure(row)] * row.num_drawn)
    return list(groups.values())


def measured_share(rows: Sequence[JudgedSolution], outcome: Outcome) -> Measured:
    """Return the share of solutions with an outcome; no estimate without solutions."""
    return (
        measured(clustered_share(grouped(rows, lambda row: float(outcome(row))))) if rows else Measured(estimate=None)
    )


def auroc_of(rows: Sequence[JudgedSolution], outcome: Outcome, *, seed: int) -> Measured:
    """Return the AUROC of the values; no estimate without values, or if all outcomes are equal."""
    pairs = _pairs(rows, outcome)
    return measured(clustered_auroc(pairs, seed=seed)) if pairs else Measured(estimate=None)


def outcome_figures(readable: Sequence[JudgedSolution], outcome: Outcome, *, seed: int) -> CardOutcome | None:
    """Return the figures of solutions with a readable judgement; None without any.

    Those of the value are of the solutions that have one, those of the verdict of all.
    """
    if not readable:
        return None
    pairs = _pairs(readable, outcome)
    flat = [pair for group in pairs for pair in group]
    right, wrong = ([row for row in readable if outcome(row) is is_right] for is_right in (True, False))
    return CardOutcome(
        num=len(flat),
        base_rate=measured_share(readable, outcome),
        calibration_error=_calibration_error(pairs, seed=seed),
        bins=_bins(flat),
        scaling=_scaling(pairs, seed=seed),
        mean_value_if_right=_mean_value(right, seed=seed),
        mean_value_if_wrong=_mean_value(wrong, seed=seed),
        yes_if_right=measured_share(right, _says_yes),
        yes_if_wrong=measured_share(wrong, _says_yes),
        yes_share=measured_share(readable, _says_yes),
    )


def _pairs(rows: Sequence[JudgedSolution], outcome: Outcome) -> list[list[Pair]]:
    valued = [row for row in rows if row.judgement.value is not None]
    return grouped(valued, lambda row: (row.judgement.value or 0.0, outcome(row)))


def _says_yes(row: JudgedSolution) -> bool:
    return row.judgement.verdict == "right"


def _mean_value(rows: Sequence[JudgedSolution], *, seed: int) -> Measured:
    valued = [row for row in rows if row.judgement.value is not None]
    return measured(clustered_mean(grouped(valued, lambda row: row.judgement.value or 0.0), seed=seed))


def _calibration_error(pairs: Sequence[Sequence[Pair]], *, seed: int) -> Measured:
    if not pairs:
        return Measured(estimate=None)
    num_bins = _num_bins(sum(map(len, pairs)))
    return measured(clustered_calibration_error(pairs, seed=seed, num_bins=num_bins))


def _bins(pairs: Sequence[Pair]) -> tuple[CardBin, ...]:
    if not pairs:
        return ()
    values, outcomes = zip(*pairs, strict=True)
    found = reliability_bins(values, outcomes, _num_bins(len(pairs)))
    return tuple(
        CardBin(num=bin_.num, low=bin_.low, high=bin_.high, mean_value=bin_.mean_value,
                share_right=measured(bin_.share_right))
        for bin_ in found
    )  # fmt: skip


def _scaling(pairs: Sequence[Sequence[Pair]], *, seed: int) -> CardScaling | None:
    """Return the scalings fitted on one half of the problems, chosen by the seed, and their errors on the other."""
    shuffled = list(pairs)
    random.Random(derive_seed(seed, "scaling")).shuffle(shuffled)
    fitted, held = shuffled[: len(shuffled) // 2], shuffled[len(shuffled) // 2 :]
    flat, flat_held = ([pair for group in half for pair in group] for half in (fitted, held))
    if len(pairs) < _MIN_PROBLEMS or any(len({is_right for _, is_right in half}) < 2 for half in (flat, flat_held)):
        return None
    values, outcomes = zip(*flat, strict=True)
    platt, beta = PlattScaling.fit(values, outcomes), BetaCalibration.fit(values, outcomes)
    return CardScaling(
        slope=platt.slope,
        intercept=platt.intercept,
        num_fitted=len(flat),
        num_held=len(flat_held),
        error_before=_calibration_error(held, seed=seed),
        error_after=_error_after(platt.apply, held, seed=seed),
        num_held_bins=_num_bins(len(flat_held)),
        beta=CardBeta(a=beta.a, b=beta.b, c=beta.c, error_after=_error_after(beta.apply, held, seed=seed)),
    )


def _error_after(scale: Callable[[float], float], held: Sequence[Sequence[Pair]], *, seed: int) -> Measured:
    return _calibration_error([[(scale(value), is_right) for value, is_right in group] for group in held], seed=seed)


def _num_bins(num: int) -> int:
    """Return ten bins, or down to five to leave 20 values in each, for an error is above 0 by chance."""
    return max(_FEWEST_BINS, min(_NUM_BINS, num // _MIN_PER_BIN))


def _known(number: float) -> float | None:
    return None if math.isnan(number) else number
