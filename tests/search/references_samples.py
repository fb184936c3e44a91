"""What ``BestOfN`` and ``Chain`` must do, worked out anew from their whole event log at every step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from search import Asked, BestOfNOptions, ChainOptions, Event, StopReason
from tests.search.references import Past, Place, ask


class BestOfNReference:
    """``BestOfN``."""

    def __init__(self, options: BestOfNOptions, rng: numpy.random.Generator) -> None:
        """Draw nothing from ``rng``."""
        self.options = options

    def past(self, events: Sequence[Event[int]]) -> Past:
        """Return what ``events`` leave."""
        return Past(events, is_merging=False)

    def goal(self, past: Past) -> StopReason | None:
        """Return the reason to stop once every sample is told."""
        return StopReason.NUM_SAMPLES if len(past.told) >= self.options.num_samples else None

    def can_start(self, past: Past) -> bool:
        """Return whether a trial can start now."""
        num_started = len(past.told) + len(past.pending)
        return num_started < self.options.num_samples and past.root.num_abandons < self.options.max_abandons

    def next(self, past: Past) -> Asked:
        """Return the next trial, where one can start."""
        return ask(past.root, past, 1)


class ChainReference:
    """``Chain``."""

    def __init__(self, options: ChainOptions, rng: numpy.random.Generator) -> None:
        """Draw nothing from ``rng``."""
        self.options = options

    def past(self, events: Sequence[Event[int]]) -> Past:
        """Return what ``events`` leave."""
        return Past(events, is_merging=False)

    def goal(self, past: Past) -> StopReason | None:
        """Return the reason to stop once the first solution and every rewrite are told."""
        return StopReason.ROUNDS if len(past.told) == self.options.max_rounds + 1 else None

    def current(self, past: Past) -> Place:
        """Return the solution that stands: the newest, or with a gate the first of the highest value."""
        solutions = past.places[1:]
        if not self.options.is_gated or not solutions:
            return past.places[-1]
        known = [place for place in solutions if place.value is not None]
        return max(known, key=lambda place: place.value or 0.0, default=solutions[0])

    def can_start(self, past: Past) -> bool:
        """Return whether a trial can start now."""
        return not past.pending and self.current(past).num_abandons < self.options.max_abandons

    def next(self, past: Past) -> Asked:
        """Return the next trial, where one can start."""
        return ask(self.current(past), past, 1)
