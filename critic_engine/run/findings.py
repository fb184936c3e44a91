"""What a labelled run finds in each problem's tree, piece by piece, each done once however often the run is stopped."""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from critic_engine.run.database import from_json
from critic_engine.types import Problem

HARVEST_DONE = "done"
"""The finding that says that nothing more is to be found of a problem."""
HARVEST_ERROR = "error"
"""The finding that says which unexpected error kept a problem's other findings from being made; a resume tries anew."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One piece of what a labelled run makes of a problem's tree."""

    content: Any
    """What JSON can hold."""
    num_tokens: int = 0
    """Generated for it."""


@dataclass(frozen=True, slots=True)
class FailedHarvest:
    """A problem of whose tree nothing could be made."""

    position: int
    id: str
    """Of its row."""
    reason: str


class Findings:
    """The findings of a run, in its database; what one call writes is committed before it returns."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Take an open database; only that of a labelled run has a table for them."""
        self._connection = connection

    def add(self, position: int, name: str, finding: Finding) -> None:
        """Commit what was found in one problem's tree under ``name``, which must be new."""
        content = json.dumps(finding.content, separators=(",", ":"))
        with self._connection:
            values = (position, name, content, finding.num_tokens)
            self._connection.execute("INSERT INTO findings VALUES (?, ?, ?, ?)", values)

    def get(self, position: int, name: str) -> Finding | None:
        """Return one finding; None when there is none."""
        query = "SELECT finding, num_tokens FROM findings WHERE position = ? AND name = ?"
        found = self._connection.execute(query, (position, name)).fetchone()
        return None if found is None else Finding(from_json(found[0]), found[1])

    def of(self, position: int) -> dict[str, Finding]:
        """Return all findings of one problem by their names, in the order of these."""
        query = "SELECT name, finding, num_tokens FROM findings WHERE position = ? ORDER BY name"
        rows = self._connection.execute(query, (position,))
        return {name: Finding(from_json(content), num_tokens) for name, content, num_tokens in rows}

    def is_done(self, position: int) -> bool:
        """Return whether there is nothing more to find of one problem."""
        query = "SELECT 1 FROM findings WHERE position = ? AND name = ?"
        return self._connection.execute(query, (position, HARVEST_DONE)).fetchone() is not None

    def drop_error(self, position: int) -> None:
        """Forget why the findings of one problem could not be made; they are about to be made again."""
        with self._connection:
            self._connection.execute("DELETE FROM findings WHERE position = ? AND name = ?", (position, HARVEST_ERROR))

    def failed(self) -> list[FailedHarvest]:
        """Return the problems of whose trees nothing could be made, in the order of their rows."""
        query = "SELECT position, id, finding FROM findings JOIN problems USING (position) WHERE name = ? ORDER BY 1"
        rows = self._connection.execute(query, (HARVEST_ERROR,))
        return [FailedHarvest(position, row_id, from_json(reason)) for position, row_id, reason in rows]

    def num_tokens(self) -> int:
        """Return the tokens generated for all of them."""
        return int(self._connection.execute("SELECT COALESCE(SUM(num_tokens), 0) FROM findings").fetchone()[0])


class Ledger:
    """The findings of one problem. Work that is committed is not done again."""

    def __init__(self, findings: Findings, position: int, *, on_tokens: Callable[[int], None]) -> None:
        """Take those of the run, which problem, and who is told of the tokens of each piece once it is committed."""
        self._findings = findings
        self._position = position
        self._on_tokens = on_tokens
        self._in_flight: dict[str, asyncio.Lock] = {}

    async def once(self, name: str, work: Callable[[], Awaitable[Finding]]) -> Any:
        """Return the content of the finding ``name``, from the store if it is there, else by ``work``.

        Calls for one name wait for each other. A name says where it sorts among the problem's.
        """
        async with self._in_flight.setdefault(name, asyncio.Lock()):
            found = self._findings.get(self._position, name)
            if found is None:
                found = await work()
                self._findings.add(self._position, name, found)
                self._on_tokens(found.num_tokens)
            return found.content


@dataclass(frozen=True, slots=True)
class SearchedProblem:
    """One problem whose search has ended."""

    problem: Problem
    extras: Mapping[str, object]
    """The other columns of its row."""
    events: Sequence[Mapping[str, Any]]
    """The log of its search."""
    ledger: Ledger


class Harvest(Protocol):
    """Makes something of a tree."""

    async def __call__(self, task: SearchedProblem) -> None:
        """Put into the ledger all that is to be found; a model's failure is a finding too.

        Raises:
            ReplicaLostError: a model is gone, and does not come back.
            ReplayError: the log is of another search.
        """
        ...
