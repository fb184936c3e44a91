"""Routing requests to the replica of their session, or to the least loaded of several replicas."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from critic_engine.replicas.ring import Ring

_LOAD_BOUND = 1.25
_Key = TypeVar("_Key", bound=Hashable)


@dataclass(slots=True)
class _Load:
    limit: int
    num: int = 0
    is_alone: bool = False


class Router(Generic[_Key]):
    """Counts the requests in flight at each replica, and routes the next one to a replica with room.

    Requests of one session go to one replica, which then holds their prefix and images, unless it has more than 1.25
    times the mean load: then to the next one on the ring that has not. This is consistent hashing with bounded loads
    (Mirrokni, Thorup and Zadimoghaddam, 2018, arXiv 1608.01350), with the requests in flight as the load. A request
    without a session goes to the least loaded replica; among equals the turn goes round.
    """

    def __init__(self) -> None:
        """Begin without replicas."""
        self._loads: dict[_Key, _Load] = {}
        self._ring: Ring[_Key] = Ring()
        self._num_in_flight = 0
        # Those that anyone may join, by load; the first of a row has waited longest for its turn.
        self._rows: list[dict[_Key, None]] = []
        self._lowest = 0
        self._aside: _Key | None = None

    def __contains__(self, key: _Key) -> bool:
        """Whether ``key`` was added and not removed."""
        return key in self._loads

    @property
    def has_room(self) -> bool:
        """Whether a request that need not be alone can go somewhere now."""
        while self._lowest < len(self._rows) and not self._rows[self._lowest]:
            self._lowest += 1
        return self._lowest < len(self._rows)

    def add(self, key: _Key, limit: int, *, place: int = 0) -> None:
        """Let requests go to ``key``, at most ``limit`` (at least 1) at a time.

        Each replica has a ``place`` of its own, which decides about its sessions, and keeps it when it comes back.

        Raises:
            ValueError: it is there already.
        """
        if key in self._loads:
            raise ValueError(f"key is {key!r}, which was added before; remove it first")
        self._rows.extend({} for _ in range(limit - len(self._rows)))
        self._loads[key] = _Load(limit)
        self._ring.add(key, place)
        self._open(key)

    def remove(self, key: _Key) -> None:
        """Let no further request go to ``key``; requests in flight there are no longer counted."""
        self._shut(key)
        self._ring.remove(key)
        self._num_in_flight -= self._loads.pop(key).num
        if self._aside == key:
            self._aside = None

    def acquire(self, is_alone: bool, session: str = "") -> _Key | None:
        """Return the replica that takes one more request now, or None when there is none.

        Args:
            is_alone: Whether the request needs a replica to itself. While none is idle, the least loaded one is set
                aside: nothing new goes there until a request that must be alone does, or ``open_aside`` is called.
            session: What it has in common with the requests that shall go to the same replica; empty for none.
        """
        if is_alone:
            return self._acquire_alone()
        if not self.has_room:
            return None
        most = math.ceil(_LOAD_BOUND * (self._num_in_flight + 1) / len(self._loads))
        by_session = (key for key in self._open_ones(session) if self._loads[key].num < most)
        return self._take(next(by_session, next(iter(self._rows[self._lowest]))))

    def acquire_home(self, session: str) -> _Key | None:
        """Return the session's own replica, which takes one more request now, or None when it is full.

        A session that is empty is at home everywhere.
        """
        if not session:
            return self.acquire(False)
        home = next((key for key in self._ring.order(session) if self._is_joinable(key)), None)
        return None if home is None or not self._is_open(home) else self._take(home)

    def release(self, key: _Key) -> None:
        """Note that a request at ``key`` has ended; nothing happens where ``key`` was removed meanwhile."""
        load = self._loads.get(key)
        if load is None:
            return
        self._shut(key)
        load.num -= 1
        self._num_in_flight -= 1
        load.is_alone = False
        self._open(key)

    def open_aside(self) -> None:
        """Let anyone join the replica that was set aside: no request that must be alone waits any longer."""
        key, self._aside = self._aside, None
        if key is not None:
            self._open(key)

    def _acquire_alone(self) -> _Key | None:
        key = self._idle()
        if key is None:
            shared = [key for key, load in self._loads.items() if not load.is_alone]
            if self._aside is None and shared:
                self._aside = min(shared, key=lambda key: self._loads[key].num)
                self._shut(self._aside)
            return None
        self.open_aside()
        self._shut(key)
        self._loads[key].num = 1
        self._loads[key].is_alone = True
        self._num_in_flight += 1
        return key

    def _take(self, key: _Key) -> _Key:
        self._shut(key)
        self._loads[key].num += 1
        self._num_in_flight += 1
        self._open(key)
        return key

    def _open_ones(self, session: str) -> Iterator[_Key]:
        """Yield the replicas with room in the order of the session; none without a session."""
        return (key for key in self._ring.order(session) if self._is_open(key)) if session else iter(())

    def _is_joinable(self, key: _Key) -> bool:
        return key != self._aside and not self._loads[key].is_alone

    def _is_open(self, key: _Key) -> bool:
        load = self._loads[key]
        return self._is_joinable(key) and load.num < load.limit

    def _idle(self) -> _Key | None:
        if self._aside is not None and not self._loads[self._aside].num:
            return self._aside
        return next(iter(self._rows[0]), None) if self._rows else None

    def _open(self, key: _Key) -> None:
        if self._is_open(key):
            num = self._loads[key].num
            self._rows[num][key] = None
            self._lowest = min(self._lowest, num)

    def _shut(self, key: _Key) -> None:
        num = self._loads[key].num
        if num < len(self._rows):
            self._rows[num].pop(key, None)
