"""A tree of token sequences with a model's states for them, of bounded size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# A tree that is full is cut to this share of its limit, so that the next batches find room.
_SHARE_KEPT = 0.9


@dataclass(eq=False)
class _Segment:
    """Some tokens in a row, which follow those of the segments above."""

    ids: list[int]
    states: torch.Tensor | None
    parent: _Segment | None
    children: dict[int, _Segment] = field(default_factory=dict)
    last_use: int = 0


class PrefixTree:
    """Keeps the states of token sequences; sequences that begin alike share them. Use it from one thread only.

    The states of a token depend on all tokens before it, and on the images that they stand for: sequences with other
    images have another ``key``, and share nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        """Begin empty. More than ``max_bytes`` are kept only until ``trim`` is called."""
        self._max_bytes = max_bytes
        self._roots: dict[str, _Segment] = {}
        self._num_bytes = 0
        self._num_uses = 0

    @property
    def num_bytes(self) -> int:
        """The bytes of all states that are kept."""
        return self._num_bytes

    def match(self, key: str, ids: Sequence[int]) -> list[torch.Tensor]:
        """Return the states of the longest beginning of ``ids`` that is known, in pieces: (tokens, features)."""
        found = []
        for segment, num_alike in self._path(key, ids):
            if segment.states is not None:
                found.append(segment.states[:num_alike])
        return found

    def insert(self, key: str, ids: Sequence[int], states: torch.Tensor) -> None:
        """Keep the states of the last tokens of ``ids``, as far as they are not kept yet.

        Args:
            key: Names the images.
            ids: The whole sequence.
            states: Shape (tokens, features). Nothing is kept if the tokens before them are unknown.
        """
        path = self._path(key, ids)
        num_known = sum(num_alike for _, num_alike in path)
        start = len(ids) - len(states)
        if num_known < start or num_known == len(ids):
            return
        last, num_alike = path[-1]
        if num_alike < len(last.ids):
            last = self._split(last, num_alike)
        # A copy: a view would keep the tensors of the whole batch.
        kept = states[num_known - start :].clone()
        rest = list(ids[num_known:])
        last.children[rest[0]] = _Segment(rest, kept, last, last_use=self._num_uses)
        self._num_bytes += kept.nbytes

    def trim(self) -> None:
        """Drop the ends of the sequences that were not used for longest, if more is kept than the limit."""
        if self._num_bytes <= self._max_bytes:
            return
        segments = [segment for root in self._roots.values() for segment in _below(root)]
        # A segment is used with those above it; of equal ones the lower stands later, and goes first.
        for segment in sorted(reversed(segments), key=lambda segment: segment.last_use):
            if self._num_bytes <= self._max_bytes * _SHARE_KEPT:
                break
            if segment.states is not None and segment.parent is not None:
                self._num_bytes -= segment.states.nbytes
                del segment.parent.children[segment.ids[0]]
        self._roots = {key: root for key, root in self._roots.items() if root.children}

    def clear(self) -> None:
        """Drop everything."""
        self._roots.clear()
        self._num_bytes = 0

    def _path(self, key: str, ids: Sequence[int]) -> list[tuple[_Segment, int]]:
        """Return the segments along ``ids`` from the root on, each with its number of tokens that are alike."""
        self._num_uses += 1
        segment = self._roots.setdefault(key, _Segment([], None, None))
        segment.last_use = self._num_uses
        path, place = [(segment, 0)], 0
        while place < len(ids) and (child := segment.children.get(ids[place])) is not None:
            num_alike = _num_alike(child.ids, ids, place)
            child.last_use = self._num_uses
            path.append((child, num_alike))
            place += num_alike
            if num_alike < len(child.ids):
                break
            segment = child
        return path

    def _split(self, segment: _Segment, num_first: int) -> _Segment:
        """Divide a segment in two, and return the first."""
        assert segment.states is not None
        assert segment.parent is not None
        first = _Segment(segment.ids[:num_first], segment.states[:num_first].clone(), segment.parent)
        first.last_use = segment.last_use
        segment.parent.children[first.ids[0]] = first
        segment.ids, segment.states = segment.ids[num_first:], segment.states[num_first:].clone()
        segment.parent, first.children = first, {segment.ids[0]: segment}
        return first


def _num_alike(segment_ids: list[int], ids: Sequence[int], start: int) -> int:
    num = min(len(segment_ids), len(ids) - start)
    if segment_ids[:num] == list(ids[start : start + num]):
        return num
    for place in range(num):
        if segment_ids[place] != ids[start + place]:
            return place
    return num


def _below(root: _Segment) -> list[_Segment]:
    """Return a segment and all below it, each before those below it."""
    found, waiting = [], [root]
    while waiting:
        segment = waiting.pop()
        found.append(segment)
        waiting.extend(segment.children.values())
    return found
