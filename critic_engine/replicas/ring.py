"""A ring of replicas by consistent hashing."""

from __future__ import annotations

import bisect
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

from critic_engine.seeds import derive_seed

_Key = TypeVar("_Key", bound=Hashable)
_NUM_POINTS = 128


class Ring(Generic[_Key]):
    """Orders replicas by session: the same order in every process that gives them the same places.

    Consistent hashing (Karger et al., 1997): each replica has 128 points on a circle, and a session goes to the replica
    of the next point. A replica that leaves gives its sessions to others; all other sessions stay where they are.
    """

    def __init__(self) -> None:
        """Begin without replicas."""
        self._places: dict[_Key, int] = {}
        # Sorted when they are needed: replicas come and go several at a time.
        self._points: list[tuple[int, int, _Key]] | None = None

    def add(self, key: _Key, place: int) -> None:
        """Add the replica ``key``. A replica that comes back under the same ``place`` gets its sessions back."""
        self._places[key] = place
        self._points = None

    def remove(self, key: _Key) -> None:
        """Remove a replica."""
        del self._places[key]
        self._points = None

    def order(self, session: str) -> Iterator[_Key]:
        """Yield all replicas, beginning with the one that the session belongs to."""
        if len(self._places) < 2:
            yield from self._places
            return
        if self._points is None:
            points = [
                (derive_seed(place, number), place, key)
                for key, place in self._places.items()
                for number in range(_NUM_POINTS)
            ]
            self._points = sorted(points, key=lambda point: point[:2])
        points, seen = self._points, set[_Key]()
        start = bisect.bisect(points, derive_seed(session), key=lambda point: point[0])
        for index in range(start, start + len(points)):
            key = points[index % len(points)][2]
            if key not in seen:
                seen.add(key)
                yield key
            if len(seen) == len(self._places):
                return
