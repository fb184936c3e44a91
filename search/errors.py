"""The errors that cross the package boundary.

SearchError
├── UnknownTrialError   a ticket that is not pending: never asked, or already told or abandoned
└── ReplayError         an event log that does not belong to the strategy it is replayed on
"""

from __future__ import annotations


class SearchError(Exception):
    """Base of every error that this package raises on purpose, ``ValueError`` for a bad argument apart."""


class UnknownTrialError(SearchError):
    """A trial was told or abandoned while not pending."""

    def __init__(self, message: str, *, trial_id: int | None = None) -> None:
        """Keep the number of the refused ticket as ``trial_id``."""
        super().__init__(message)
        self.trial_id = trial_id


class ReplayError(SearchError):
    """An event log cannot be read, or the strategy does not follow it."""

    def __init__(self, message: str, *, event_index: int | None = None) -> None:
        """Keep the place of the first event that does not fit as ``event_index``, counted from 0."""
        super().__init__(message)
        self.event_index = event_index
