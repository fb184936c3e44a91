"""A cache of bounded size, from which the least recently used items go first."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

_Item = TypeVar("_Item")


class ByteCache(Generic[_Item]):
    """Keeps items by key, of ``max_bytes`` together at most. Use it from one thread only."""

    def __init__(self, max_bytes: int = 256 * 2**20) -> None:
        """Begin empty; an item larger than ``max_bytes`` is never kept."""
        self._max_bytes = max_bytes
        self._num_bytes = 0
        self._items: OrderedDict[str, tuple[_Item, int]] = OrderedDict()

    def get(self, key: str) -> _Item | None:
        """Return the item of ``key`` and count it as used, or None."""
        if key not in self._items:
            return None
        self._items.move_to_end(key)
        return self._items[key][0]

    def put(self, key: str, item: _Item, num_bytes: int) -> None:
        """Keep an item of that size in place of any other of ``key``; drop the least recently used beyond the limit."""
        self.remove(key)
        if num_bytes > self._max_bytes:
            return
        self._items[key] = (item, num_bytes)
        self._num_bytes += num_bytes
        while self._num_bytes > self._max_bytes:
            self.remove(next(iter(self._items)))

    def remove(self, key: str) -> None:
        """Drop the item of ``key``, if there is one."""
        _, num_bytes = self._items.pop(key, (None, 0))
        self._num_bytes -= num_bytes
