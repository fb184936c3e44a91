"""Balancing kinds of rows by thinning out the most frequent ones."""

import math
from array import array
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from critic_engine.seeds import derive_seed

Stratum: TypeAlias = tuple[str | int | None, ...]
"""The kind by which a row is counted, such as (depth, outcome, source)."""


class Census:
    """The first pass over the rows: how many there are of each stratum, and 8 bytes of each row."""

    def __init__(self, *, seed: int) -> None:
        """Start without rows; another ``seed`` makes another choice of those to keep."""
        self._seed = seed
        self._ranks: dict[Stratum, array[int]] = {}

    @property
    def counts(self) -> Mapping[Stratum, int]:
        """The number of rows of each stratum, in order of appearance."""
        return {stratum: len(ranks) for stratum, ranks in self._ranks.items()}

    def add(self, stratum: Stratum, key: str) -> None:
        """Count a row; ``key`` is unique in its stratum."""
        self._ranks.setdefault(stratum, array("Q")).append(self.rank(key))

    def rank(self, key: str) -> int:
        """Return a row's place among all, as a number in [0, 2**63): a seeded hash of its key and of nothing else."""
        return derive_seed(self._seed, "balance", key)

    def smallest_dropped(self, max_rows: int) -> Mapping[Stratum, int]:
        """Return, of each stratum with more rows than ``max_rows``, the smallest rank that is not among its first."""
        return {
            stratum: int(np.partition(np.frombuffer(ranks, dtype=np.uint64), max_rows)[max_rows])
            for stratum, ranks in self._ranks.items()
            if len(ranks) > max_rows
        }


class Balance:
    """Says which rows to keep so that no stratum has more than ``max_ratio`` times the rows of the median one.

    The median and not the smallest stratum is the measure: one rare kind would throw away nearly all of the rest. Of an
    even number of strata it is the lower of the two in the middle. No stratum below the limit loses a row, so the
    median is the same afterwards.

    The number kept is exact: the limit, rounded down, in each stratum that had more. Rows that share a key in their
    stratum stay or go together, so there it may be less, never more. Which rows stay depends on their keys, the seed
    and the limit: neither on the order of the rows, nor on the other strata but through the limit.
    """

    def __init__(self, census: Census, *, max_ratio: float | None) -> None:
        """Take the finished ``census``; ``max_ratio`` is at least 1, or None to keep every row."""
        if max_ratio is not None and not 1 <= max_ratio < math.inf:
            raise ValueError(f"max_ratio is {max_ratio}; it must be a number of at least 1, or None to keep every row")
        counts = census.counts
        self._rank = census.rank
        self._known = frozenset(counts)
        self.max_rows: int | None = None
        """The most rows that a stratum keeps; None when every row is kept."""
        self._ends: Mapping[Stratum, int] = {}
        if max_ratio is not None and counts:
            self.max_rows = math.floor(max_ratio * sorted(counts.values())[(len(counts) - 1) // 2])
            self._ends = census.smallest_dropped(self.max_rows)

    def keeps(self, stratum: Stratum, key: str) -> bool:
        """Return whether the row stays."""
        if stratum not in self._known:
            raise ValueError(f"stratum {stratum!r} is not in the census; count every row before asking for one")
        end = self._ends.get(stratum)
        return end is None or self._rank(key) < end
