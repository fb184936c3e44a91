"""Routing requests to the least loaded of several replicas."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)


@dataclass(slots=True)
class _Load:
    limit: int
    num: int = 0
    is_alone: bool = False


class Router(Generic[_Key]):
    """Counts the requests in flight at each replica, and routes the next one to the least loaded replica with room.

    Among equals the turn goes round, so that several routers over the same replicas spread their requests.
    """

    def __init__(self) -> None:
        """Begin without replicas."""
        self._loads: dict[_Key, _Load] = {}
        # Those that anyone may join, by load; the first of a row has waited longest for its turn.
        self._rows: list[dict[_Key, None]] = []
        self._lowest = 0
        self._aside: _Key | None = None

    def __contains__(self, key: _Key) -> bool:
        """Whether ``key`` was added and not removed."""
        return key in self._loads

    def add(self, key: _Key, limit: int) -> None:
        """Let requests go to ``key``, at most ``limit`` (at least 1) at a time.

        Raises:
            ValueError: it is there already.
        """
        if key in self._loads:
            raise ValueError(f"key is {key!r}, which was added before; remove it first")
        self._rows.extend({} for _ in range(limit - len(self._rows)))
        self._loads[key] = _Load(limit)
        self._open(key)

    def remove(self, key: _Key) -> None:
        """Let no further request go to ``key``; requests in flight there are no longer counted."""
        self._shut(key)
        del self._loads[key]
        if self._aside == key:
            self._aside = None

    def acquire(self, is_alone: bool) -> _Key | None:
        """Return the replica that takes one more request now, or None when there is none.

        Args:
            is_alone: Whether the request needs a replica to itself. While none is idle, the least loaded one is set
                aside: nothing new goes there until a request that must be alone does, or ``open_aside`` is called.
        """
        if is_alone:
            return self._acquire_alone()
        while self._lowest < len(self._rows) and not self._rows[self._lowest]:
            self._lowest += 1
        if self._lowest == len(self._rows):
            return None
        key = next(iter(self._rows[self._lowest]))
        self._shut(key)
        self._loads[key].num += 1
        self._open(key)
        return key

    def release(self, key: _Key) -> None:
        """Note that a request at ``key`` has ended; nothing happens where ``key`` was removed meanwhile."""
        load = self._loads.get(key)
        if load is None:
            return
        self._shut(key)
        load.num -= 1
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
        return key

    def _idle(self) -> _Key | None:
        if self._aside is not None and not self._loads[self._aside].num:
            return self._aside
        return next(iter(self._rows[0]), None) if self._rows else None

    def _open(self, key: _Key) -> None:
        load = self._loads[key]
        if key != self._aside and not load.is_alone and load.num < load.limit:
            self._rows[load.num][key] = None
            self._lowest = min(self._lowest, load.num)

    def _shut(self, key: _Key) -> None:
        num = self._loads[key].num
        if num < len(self._rows):
            self._rows[num].pop(key, None)
