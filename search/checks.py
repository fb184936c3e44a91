"""Checks of arguments: each raises a ``ValueError`` that names the argument, its value and the allowed values."""

from __future__ import annotations

import math
from collections.abc import Collection


def check_at_least(name: str, value: float, minimum: float) -> None:
    """Raise unless ``value`` is finite and at least ``minimum``."""
    if not minimum <= value < math.inf:
        raise ValueError(f"{name} must be a finite number of at least {minimum}, got {value!r}")


def check_share(name: str, value: float) -> None:
    """Raise unless ``value`` lies in [0, 1]; NaN raises."""
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} must lie in [0, 1], got {value!r}")


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Raise unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(sorted(choices))}, got {value!r}")


def check_hashable(name: str, value: object) -> None:
    """Raise unless ``value`` can be hashed."""
    try:
        hash(value)
    except TypeError as error:
        raise ValueError(f"{name} must be hashable, got {value!r}") from error
