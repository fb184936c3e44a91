"""The rows that a model works on, of which further ones may join while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

More: TypeAlias = Callable[[int, Callable[[Any], bool]], list[Any]]
"""Takes at most so many rows that wait, in their order, up to the first that may not join."""


class RowFeed:
    """Gives rows to a model and takes what comes of them. Rows and outcomes are of the model's own types."""

    def __init__(
        self,
        rows: Sequence[Any],
        settle: Callable[[Any, Any], None],
        *,
        is_closing: threading.Event,
        more: More = lambda num, may_join: [],
    ) -> None:
        """Begin with ``rows``.

        Args:
            rows: The batch.
            settle: Called with a row and its outcome.
            is_closing: Asks to end early.
            more: Gives rows that join the batch.
        """
        self.rows = list(rows)
        """The batch to begin with."""
        self.unsettled: list[Any] = list(rows)
        """The rows that were given and have no outcome yet."""
        self.is_closing = is_closing
        self._settle = settle
        self._more = more

    def more(self, num: int, may_join: Callable[[Any], bool]) -> list[Any]:
        """Return at most ``num`` further rows, those that have waited longest, up to the first that may not join."""
        joined = self._more(num, may_join) if num > 0 else []
        self.unsettled += joined
        return joined

    def settle(self, row: Any, outcome: Any) -> None:
        """Take the outcome of a row."""
        self.unsettled = [each for each in self.unsettled if each is not row]
        self._settle(row, outcome)

    def part(self, rows: Sequence[Any]) -> RowFeed:
        """Return a feed of some of its rows, which none join."""
        return RowFeed(rows, self.settle, is_closing=self.is_closing)
