"""Where the shipped pocket models lie."""

from __future__ import annotations

from pathlib import Path

_WEIGHTS = Path(__file__).parent / "weights"
REASONER = _WEIGHTS / "reasoner"
CRITIC = _WEIGHTS / "critic"
