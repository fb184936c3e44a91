"""Stop early, when more finished paths are unlikely to change the answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from search.budget import StopReason
from search.checks import check_at_least, check_share
from search.tree import Node, S


@dataclass(frozen=True, slots=True)
class StopOptions:
    """Reasons to stop before the budget is spent; None never stops. A path counts once told, rollouts included."""

    value_threshold: float | None = None
    """The value of a finished path, rollouts apart, that is good enough."""
    num_finished: int | None = None
    """Number of finished paths, rollouts apart, that is enough."""
    agreement: float | None = None
    """Probability, above 0.5 and below 1, that the commonest answer would stay ahead of the next, at which it is
    settled: Adaptive-Consistency (Aggarwal et al., 2023, arXiv 2305.11860), who use 0.95."""
    window: int | None = None
    """Finished paths in a row, counted off in groups of this many, whose unanimous answer is settled: ESC (Li et al.,
    2024, arXiv 2401.10480). A path without an answer agrees with none."""
    patience: int | None = None
    """Simulations in a row, after the first finished path with a value, that brought no better one, rollouts apart."""
    one_sided: int | None = None
    """Number of paths with a known value, at least 2, after which the search ends if each value is 1, or each 0: for
    trees that are searched for right and wrong paths that diverge."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.value_threshold is not None:
            check_share("value_threshold", self.value_threshold)
        if self.agreement is not None and not 0.5 < self.agreement < 1.0:
            raise ValueError(f"agreement must lie in (0.5, 1), got {self.agreement!r}")
        for name, minimum in (("num_finished", 1), ("window", 2), ("patience", 1), ("one_sided", 2)):
            if (number := getattr(self, name)) is not None:
                check_at_least(name, number, minimum)


NEVER = StopOptions()
"""Options of a search that goes on to its end."""


class Lead:
    """Probability that the commonest answer is truly commoner than the next, kept up to date as the counts grow.

    ``P(p > 1/2)`` for ``p ~ Beta(num_first + 1, num_second + 1)``, the posterior of the share of the first among the
    two under a uniform prior (Adaptive-Consistency, arXiv 2305.11860, section 3), which equals
    ``P(Binomial(num_first + num_second + 1, 1/2) > num_second)``.
    """

    def __init__(self) -> None:
        """Start with no answer and one toss."""
        self._num_tosses = 1
        self._num_second = 0
        self._ways = 1  # of the 2 ** num_tosses, those with num_second heads
        self._num_behind = 1  # those with so many or fewer

    def advance(self, num_first: int, num_second: int) -> None:
        """Move on to these counts, neither of which is lower than before; each one more is one step."""
        while self._num_tosses < num_first + num_second + 1:
            self._num_tosses += 1
            self._num_behind += self._num_behind - self._ways
            self._ways = self._ways * self._num_tosses // (self._num_tosses - self._num_second)
        while self._num_second < num_second:
            self._ways = self._ways * (self._num_tosses - self._num_second) // (self._num_second + 1)
            self._num_second += 1
            self._num_behind += self._ways

    @property
    def probability(self) -> float:
        """The probability, rounded from the exact one."""
        return 1.0 - self._num_behind / (1 << self._num_tosses)


class StopRecord:
    """Running counts of the paths told so far, for the reasons to stop; a new path looks at no earlier one."""

    def __init__(self, options: StopOptions) -> None:
        """Start with no path."""
        self._options = options
        self._num_finished = 0
        self._best_value: float | None = None
        self._num_without_gain = 0
        self._counts: Counter[Hashable] = Counter()
        self._first: Hashable = None
        self._num_first = 0
        self._num_second = 0
        self._lead = Lead()
        self._window: list[Hashable | None] = []
        self._is_unanimous = False
        self._num_valued = 0
        self._num_one = 0
        self._num_zero = 0

    def observe(self, places: Iterable[Node[S]], rollouts: Iterable[Node[S]], *, first_new_id: int) -> None:
        """Count one told trial: the nodes of its proposals, merged ones included, and its new rollouts.

        Nodes with a ``node_id`` below ``first_new_id`` were counted when new; their value may be known only now.
        """
        best_before = self._best_value
        if best_before is not None:
            self._num_without_gain += 1
        finished = {place.node_id: place for place in places if place.is_terminal}
        for place in finished.values():
            self._observe_value(place.value)
        new = [place for place in finished.values() if place.node_id >= first_new_id]
        self._num_finished += len(new)
        for path in (*new, *rollouts):
            self._count(path.outcome)
            self._count_side(path.value)
        if self._best_value != best_before:
            self._num_without_gain = 0

    def reason(self) -> StopReason | None:
        """Return the first reason that holds, or None."""
        options = self._options
        best, threshold = self._best_value, options.value_threshold
        if threshold is not None and best is not None and best >= threshold:
            return StopReason.VALUE_THRESHOLD
        if options.num_finished is not None and self._num_finished >= options.num_finished:
            return StopReason.NUM_FINISHED
        if self._is_unanimous or self._is_settled():
            return StopReason.AGREEMENT
        if options.patience is not None and self._num_without_gain >= options.patience:
            return StopReason.PATIENCE
        if options.one_sided is not None and self._num_valued >= options.one_sided and self._is_one_sided:
            return StopReason.ONE_SIDED
        return None

    @property
    def _is_one_sided(self) -> bool:
        return self._num_valued in (self._num_one, self._num_zero)

    def _observe_value(self, value: float | None) -> None:
        if value is not None and (self._best_value is None or value > self._best_value):
            self._best_value = value

    def _count_side(self, value: float | None) -> None:
        self._num_valued += value is not None
        self._num_one += value == 1
        self._num_zero += value == 0

    def _count(self, outcome: Hashable | None) -> None:
        if self._options.window is not None:
            self._window.append(outcome)
            if len(self._window) == self._options.window:
                self._is_unanimous = self._is_unanimous or (outcome is not None and len(set(self._window)) == 1)
                self._window.clear()
        if outcome is None:
            return
        self._counts[outcome] = count = self._counts[outcome] + 1
        if outcome == self._first:
            self._num_first = count
        elif count > self._num_first:
            self._first, self._num_first, self._num_second = outcome, count, self._num_first
        else:
            self._num_second = max(self._num_second, count)

    def _is_settled(self) -> bool:
        if self._options.agreement is None:
            return False
        self._lead.advance(self._num_first, self._num_second)
        return self._lead.probability >= self._options.agreement
