"""Figures in words, as tables and sentences show them."""

from critic_engine.config.critic_card import Measured
from critic_engine.evaluation.graded import Currency
from critic_engine.evaluation.report.comparison_report import MethodReport, Spending

UNKNOWN = "–"
_CURRENCIES = {
    "tokens": "generated tokens",
    "compute": "compute (generated tokens and weighted uncached prompt tokens)",
    "seconds": "seconds",
}


def measured_words(measured: Measured | None, *, sign: str = "") -> str:
    """Return an estimate and its interval, such as ``0.610 [0.581, 0.638]``; ``sign`` is ``+`` for a difference."""
    if measured is None or measured.estimate is None:
        return "unknown"
    estimate = f"{measured.estimate:{sign}.3f}"
    return estimate if measured.low is None or measured.high is None else f"{estimate} {interval_words(measured, sign)}"


def interval_words(measured: Measured | None, sign: str = "") -> str:
    """Return the interval alone; a dash if there is none."""
    if measured is None or measured.low is None or measured.high is None:
        return UNKNOWN
    return f"[{measured.low:{sign}.3f}, {measured.high:{sign}.3f}]"


def accuracy_words(method: MethodReport) -> tuple[str, str]:
    """Return a method's accuracy and its interval; ``none`` if it was told the reference answers."""
    if method.accuracy is None or method.accuracy.estimate is None:
        return ("none" if method.needs_reference else UNKNOWN), UNKNOWN
    return f"{method.accuracy.estimate:.3f}", interval_words(method.accuracy)


def spending_words(spending: Spending | None) -> str:
    """Return the mean spent and the budget, such as ``245 of 400``; ``no budget`` without one."""
    if spending is None:
        return "no budget"
    return f"{amount_words(spending.mean)} of {amount_words(spending.limit)}"


def p_value_words(p_value: float) -> str:
    """Return a p-value after its relation, such as ``= 0.031`` or ``< 0.001``."""
    return "< 0.001" if p_value < 0.001 else f"= {p_value:.3f}"


def amount_words(amount: float | None) -> str:
    """Return an amount with three digits or, from 100 up, to the whole and with separators; a dash if unknown."""
    if amount is None:
        return UNKNOWN
    if abs(amount) >= 1e7:
        return f"{amount:.3g}"
    return f"{amount:,.0f}" if abs(amount) >= 99.95 or not amount else f"{amount:#.3g}"


def counted(num: int, noun: str) -> str:
    """Return a number and what it counts, such as ``1 seed`` or ``1,200 problems``."""
    return f"{num:,} {noun}{'' if num == 1 else 's'}"


def currency_words(currency: Currency) -> str:
    """Return the unit of a budget in words."""
    return _CURRENCIES[currency]
