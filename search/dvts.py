"""Diverse verifier tree search: independent subtrees, each of which goes on from its best place alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy

from search.beam import Beam, BeamDepth, BeamOptions
from search.checks import check_at_least
from search.decision import Aggregation
from search.strategy import MAX_ABANDONS, NO_LIMITS, Limits
from search.tree import Node, S


@dataclass(frozen=True, slots=True)
class DvtsOptions:
    """Options of ``Dvts``."""

    num_subtrees: int = 4
    """Searches that do not compete with one another; where two come to the same place, they share its node."""
    branching: int = 4
    """Proposals asked for at each place."""
    aggregation: Aggregation = "last"
    """How the values along a path are joined into the value that ranks it."""
    max_depth: int | None = None
    """Steps from the root at which a path is not continued; None is no limit."""
    max_abandons: int = MAX_ABANDONS
    """Abandons in a row after which a node is not asked again."""
    num_rounds: int | None = 1
    """Searches from the root, one after another, all of whose finished paths vote; None is no limit."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_at_least("num_subtrees", self.num_subtrees, 1)
        self.as_beam()

    def as_beam(self) -> BeamOptions:
        """Return the options of one subtree: a beam of width 1."""
        return BeamOptions(
            1, self.branching, self.aggregation, self.max_depth, self.max_abandons, num_rounds=self.num_rounds
        )


class Dvts(Beam[S]):
    """DVTS (search-and-learn, Beeching et al., 2024): beams of width 1 side by side, greedy within each.

    A subtree ends when the best place of a depth is a finished path, and then the finished paths of that depth vote.
    Those that it went past, as an unfinished path was better, do not.
    """

    def __init__(
        self, options: DvtsOptions, *, rng: numpy.random.Generator, root: S, limits: Limits = NO_LIMITS
    ) -> None:
        """Start all subtrees at ``root``."""
        super().__init__(options.as_beam(), rng=rng, root=root, limits=limits, num_beams=options.num_subtrees)

    def _ends_at(self, beam: BeamDepth[S], best: Node[S]) -> bool:
        if not best.is_terminal:
            self._add_votes(beam.drawn, -1.0)
        return best.is_terminal
