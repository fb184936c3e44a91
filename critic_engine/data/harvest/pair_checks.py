"""What speaks against a right path that wrong ones are set against, and against the place where a pair parts.

Right answers come of wrong steps too. A wrong path that is set against such a right one parts from it where nothing is
wrong with it, and whoever learns from the two learns to blame that.
"""

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

from critic_engine.config.collect import PairsConfig
from critic_engine.data.harvest.pairs import Pair
from critic_engine.data.harvest.paths import FinishedPath
from critic_engine.episode.node_state import NodeState
from search import Tree, path_log_prior

Doubt: TypeAlias = Literal[
    "little_support", "critic_unreadable", "reference_doubted", "chosen_doubted", "rejected_believed"
]
"""Why it is not believed of a pair that it parts where the wrong path goes wrong."""


def best_first(
    tree: Tree[NodeState], paths: Sequence[FinishedPath], values: Sequence[float | None], options: PairsConfig
) -> list[tuple[FinishedPath, float | None]]:
    """Return right paths with the critic's value of each, the highest product of value and mean probability first.

    The mean is the geometric one over the steps of a path, so that values count in long ones too. Doubted paths come
    last; where one's probability is unknown, or too small to tell, values alone count.
    """

    def order(number: int) -> tuple[bool, float]:
        value = values[number]
        log_value = math.log(value) if value else -math.inf
        return (doubt_of_reference(value, options) is not None, -(log_value + log_means[number]))

    found = [path_log_prior(tree, path.node) for path in paths]
    log_priors = [log for log in found if log is not None and log > -math.inf]
    log_means = [0.0] * len(paths)
    if len(log_priors) == len(paths):
        log_means = [log / len(path.steps) for log, path in zip(log_priors, paths, strict=True)]
    return [(paths[number], values[number]) for number in sorted(range(len(paths)), key=order)]


def doubt_of_reference(value: float | None, options: PairsConfig) -> Doubt | None:
    """Return what the critic's value of a whole right path says against it."""
    if value is None:
        return "critic_unreadable"
    return "reference_doubted" if value < options.min_reference_value else None


def doubt_of_support(pair: Pair, options: PairsConfig) -> Doubt | None:
    """Return ``little_support`` where the reasoner seldom comes out right by the chosen side's first own step.

    Where no two draws say the same there, as in free text, how often a step is drawn says nothing.
    """
    support = pair.support
    if support is None or support.most_alike < 2:
        return None
    is_little = support.num_alike < options.min_support or support.share < options.min_share
    return "little_support" if is_little else None


def parting_steps(pair: Pair) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what a critic looks at of a pair: the chosen and the rejected side up to their first own steps."""
    return pair.shared + pair.chosen.steps[:1], pair.shared + pair.rejected.steps[:1]


def doubt_of_parting(chosen: float | None, rejected: float | None, options: PairsConfig) -> Doubt | None:
    """Return what the critic's values of the ``parting_steps`` say against a pair."""
    if chosen is None or rejected is None:
        return "critic_unreadable"
    if chosen < options.min_chosen_value:
        return "chosen_doubted"
    return "rejected_believed" if rejected > options.max_rejected_value else None
