"""What ``AbMcts`` must do, worked out anew from its whole event log at every step."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy

from search import AbMctsOptions, Asked, Event
from tests.search.references import Past, Place, ask


class AbMctsReference:
    """``AbMcts``, with one scalar draw an arm from the list of all values that it has brought."""

    def __init__(self, options: AbMctsOptions, rng: numpy.random.Generator) -> None:
        """Draw from ``rng``."""
        self.options, self.rng = options, rng

    def past(self, events: Sequence[Event[int]]) -> Past:
        """Return what ``events`` leave."""
        return Past(events, is_merging=True)

    def goal(self, past: Past) -> None:
        """Return None: there is none."""

    def can_start(self, past: Past) -> bool:
        """Return whether a trial can start now."""
        return self.is_open(past.root)

    def next(self, past: Past) -> Asked:
        """Return the next trial, where one can start."""
        place = past.root
        while (child := self.choose(place)) is not None:
            place = child
        arms = range(self.options.num_arms)
        draws = [0.0] if len(arms) == 1 else [self.draw(past.by_arm.get(arm, [])) for arm in arms]
        return ask(place, past, 1, draws.index(max(draws)))

    def may_ask(self, place: Place) -> bool:
        """Return whether more proposals may be asked for at ``place``."""
        options = self.options
        is_ended = place.is_terminal and not options.is_refining
        is_deepest = options.max_depth is not None and place.depth >= options.max_depth
        return not is_ended and not is_deepest and place.num_abandons < options.max_abandons

    def is_open(self, place: Place) -> bool:
        """Return whether a trial can start at ``place`` or below it."""
        return self.may_ask(place) or any(self.is_open(child) for child in place.children)

    def choose(self, place: Place) -> Place | None:
        """Return the child to go on to, or None to ask at ``place``."""
        children = [child for child in place.children if self.is_open(child)]
        if not children:
            return None
        if self.may_ask(place):
            wider = self.draw(place.brought)
            deeper = self.draw([value for child in place.children for below in child.below for value in below.brought])
            if wider >= deeper:
                return None
        draws = [self.draw(values_at_and_below(child)) for child in children]
        return children[draws.index(max(draws))]

    def draw(self, values: Sequence[float]) -> float:
        """Return one draw from what ``values`` let believe of their mean."""
        n, total = len(values), math.fsum(values)
        if self.options.prior == "beta":
            return float(self.rng.beta(0.5 + total, 0.5 + math.fsum(1 - value for value in values)))
        mean = total / n if n else 0.0
        scatter = math.fsum((value - mean) ** 2 for value in values)
        variance = (1 * 0.1 + scatter + n * mean**2 / (1 + n)) / (1 + n)
        return float(n * mean / (1 + n) + math.sqrt(variance / (1 + n)) * self.rng.standard_t(1 + n))


def values_at_and_below(place: Place) -> list[float]:
    """Return the own value of ``place``, and all that trials at it and below it have brought."""
    own = [] if place.value is None else [place.value]
    return own + [value for below in place.below for value in below.brought]
