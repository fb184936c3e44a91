"""Records of a guided search on its models: the cost of judging, and whether priors foretell repeats."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

_SHARE_OF_JUDGING = 0.75
"""A place is judged once the steps since the last judged one have cost this share of a judgement."""
_NUM_EQUAL = 8
"""Equal values in a row, from the first on, after which a judge is taken to say the same of everything."""
_MAX_DEVIATION = 2.0
"""Standard deviations by which repeats may differ from what priors let expect, beside one repeat."""


@dataclass(slots=True)
class JudgingRecord:
    """Costs of drawing and judging so far, and whether values differ."""

    drawing_cost: int = 0
    num_drawn: int = 0
    judging_cost: int = 0
    num_judged: int = 0
    values: set[float] = field(default_factory=set)
    """The first two different values."""
    num_values: int = 0

    def observe(self, *, cost: int, judging_cost: int) -> None:
        """Count a step that was drawn, judged if ``judging_cost`` is above 0."""
        self.drawing_cost += cost - judging_cost
        self.num_drawn += 1
        if judging_cost:
            self.judging_cost += judging_cost
            self.num_judged += 1

    def observe_value(self, value: float) -> None:
        """Count a value."""
        self.num_values += 1
        if len(self.values) < 2:
            self.values.add(value)

    def is_due(self, num_steps: int) -> bool:
        """Return whether a place is to be judged that is so many steps behind the last judged one."""
        if self.num_values >= _NUM_EQUAL and len(self.values) == 1:
            return False
        if not self.num_judged:
            return True
        step, judgement = self.drawing_cost / self.num_drawn, self.judging_cost / self.num_judged
        return num_steps * step >= _SHARE_OF_JUDGING * judgement


@dataclass(slots=True)
class PriorRecord:
    """How often draws repeated a child, beside how often priors let it be expected."""

    num_repeats: int = 0
    expected: float = 0.0
    variance: float = 0.0

    def observe(self, mass: float, *, is_repeat: bool) -> None:
        """Count a draw at a node whose children's priors added up to ``mass``."""
        chance = min(mass, 1.0)
        self.num_repeats += is_repeat
        self.expected += chance
        self.variance += chance * (1 - chance)

    @property
    def is_credible(self) -> bool:
        """Whether repeats are about as many as priors let expect."""
        return abs(self.num_repeats - self.expected) <= 1 + _MAX_DEVIATION * math.sqrt(self.variance)
