"""Numbers as a report holds them."""

import math

from critic_engine.config.critic_card import Measured
from critic_engine.statistics.intervals import Interval


def measured(interval: Interval) -> Measured:
    """Return an interval with None in place of NaN."""
    estimate, low, high = (
        None if math.isnan(each) else significant(each) for each in (interval.estimate, interval.low, interval.high)
    )
    return Measured(estimate=estimate, low=low, high=high)


def significant(number: float) -> float:
    """Return a number with eight significant digits, so that the last bits of a sum do not show."""
    return float(f"{number:.8g}")
