"""Selection scores of one child, each formula once.

Both exploration terms hold a factor that all siblings share; ``*_scale`` gives it and ``*_score`` takes it, so that
it is worked out once a node and not once a child. Visit counts are N + O, told and pending together, as in WU-UCT
(Liu et al., 2020, arXiv 1810.11755); Q holds told trials only.
"""

from __future__ import annotations

import math


def puct_scale(exploration: float, parent_visit_count: int) -> float:
    """Return ``c * sqrt(N_parent)``, the shared factor of ``puct_score``."""
    return exploration * math.sqrt(parent_visit_count)


def puct_score(mean_value: float, prior: float, *, visit_count: int, scale: float) -> float:
    """Return ``Q + c * sqrt(N_parent) * P / (1 + N)``.

    AlphaGo Zero (Silver et al., 2017, Methods, "Select"), with a constant ``c``.

    Args:
        mean_value: Q, in [0, 1].
        prior: P, the reasoner's probability, in [0, 1].
        visit_count: N, trials through the child, pending ones included.
        scale: ``puct_scale`` of the parent.
    """
    return mean_value + scale * prior / (1 + visit_count)


def uct_scale(exploration: float, parent_visit_count: int) -> float:
    """Return ``c * sqrt(ln N_parent)``, the shared factor of ``uct_score``; ``N_parent`` is at least 1."""
    return exploration * math.sqrt(math.log(parent_visit_count))


def uct_score(mean_value: float, *, visit_count: int, scale: float) -> float:
    """Return ``Q + c * sqrt(ln N_parent) / sqrt(N)``; an unvisited child scores infinity.

    UCB1 on trees (Kocsis and Szepesvari, 2006), with any constant ``c``. A visit there
    brings one observation, so the evaluation that came with a node counts as its first.

    Args:
        mean_value: Q, in [0, 1].
        visit_count: N, trials through the child, pending ones included, and its own evaluation if it has one.
        scale: ``uct_scale`` of the parent, whose count is made up the same way.
    """
    if visit_count == 0:
        return math.inf
    return mean_value + scale / math.sqrt(visit_count)
