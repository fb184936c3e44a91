"""Checks that reject unreliable reference paths and divergence points.

A right answer may follow from wrong steps. A wrong path that is paired with such a path parts from it at a step that is
not wrong, and a model trained on the pair learns to blame that step.
"""

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

from critic_engine.config.collect import PairsConfig
from critic_engine.data.harvest.pairs import Pair
from critic_engine.data.harvest.paths import FinishedPath
from critic_engine.episode.node_state import NodeState
from search import Tree, path_log_prior

PairFault: TypeAlias = Literal[
    "little_support", "critic_unreadable", "reference_doubted", "chosen_doubted", "rejected_believed"
]
"""Why a pair is not believed to part at an error of the wrong path."""


def best_first(
    tree: Tree[NodeState], paths: Sequence[FinishedPath], values: Sequence[float | None], options: PairsConfig
) -> list[tuple[FinishedPath, float | None]]:
    """Return right paths with their values, the highest product of value and mean probability first.

    The mean is geometric over the steps of a path, so that values count in long paths too. Doubted paths come last.
    Where the probability of one path is unknown, or rounds to 0, all are sorted by value alone.
    """

    def order(number: int) -> tuple[bool, float]:
        value = values[number]
        log_value = math.log(value) if value else -math.inf
        return (reference_fault(value, options) is not None, -(log_value + log_means[number]))

    found = [path_log_prior(tree, path.node) for path in paths]
    log_priors = [log for log in found if log is not None and log > -math.inf]
    log_means = [0.0] * len(paths)
    if len(log_priors) == len(paths):
        log_means = [log / len(path.steps) for log, path in zip(log_priors, paths, strict=True)]
    return [(paths[number], values[number]) for number in sorted(range(len(paths)), key=order)]


def reference_fault(value: float | None, options: PairsConfig) -> PairFault | None:
    """Return the fault of a reference path by the critic's value of it; None when it has none."""
    if value is None:
        return "critic_unreadable"
    return "reference_doubted" if value < options.min_reference_value else None


def support_fault(pair: Pair, options: PairsConfig) -> PairFault | None:
    """Return ``little_support`` where too few right draws begin with the chosen side's first own step.

    Where no two draws are equal, as in free text, their number says nothing, and the result is None.
    """
    support = pair.support
    if support is None or support.most_alike < 2:
        return None
    is_little = support.num_alike < options.min_support or support.share < options.min_share
    return "little_support" if is_little else None


def parting_steps(pair: Pair) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the steps of either side that a critic checks: up to the first own step, the chosen side first."""
    return pair.shared + pair.chosen.steps[:1], pair.shared + pair.rejected.steps[:1]


def divergence_fault(chosen: float | None, rejected: float | None, options: PairsConfig) -> PairFault | None:
    """Return the fault of a pair by the critic's values of its ``parting_steps``; None when it has none."""
    if chosen is None or rejected is None:
        return "critic_unreadable"
    if chosen < options.min_chosen_value:
        return "chosen_doubted"
    return "rejected_believed" if rejected > options.max_rejected_value else None
