"""The findings of a labelled run: results of one problem's tree, each stored once however often the run is stopped."""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any, Generic, TypeAlias, TypeVar

from pydantic import TypeAdapter, ValidationError

from critic_engine.episode.logged_usage import usage_fields
from critic_engine.errors import RunError
from critic_engine.run.database import from_json
from critic_engine.types import Problem, TokenUsage

_T = TypeVar("_T")
_adapter = lru_cache(maxsize=None)(TypeAdapter)


@dataclass(frozen=True, slots=True)
class Finding(Generic[_T]):
    """One result of a problem's tree, with its cost."""

    content: _T
    """A number, a text, a dataclass, or a tuple of these."""
    usage: TokenUsage = field(default_factory=TokenUsage)
    """Spent on it."""


@dataclass(frozen=True, slots=True)
class FindingKey(Generic[_T]):
    """The name of a finding and the type of its content.

    A name is a kind such as ``critique``, or a kind with parts such as ``critique/0001/00``. Names say how the findings
    of a problem are sorted.
    """

    name: str
    content_type: Any
    """The ``_T`` of this key: a dataclass, or any other type that pydantic can validate."""

    def at(self, *parts: str) -> "FindingKey[_T]":
        """Return the key of one finding of this kind."""
        return FindingKey("/".join((self.name, *parts)), self.content_type)

    def encode(self, content: _T) -> str:
        """Return the content as JSON, dataclasses as objects."""
        return json.dumps(content, separators=(",", ":"), default=asdict)

    def decode(self, text: str, *, position: int) -> _T:
        """Return the content that ``encode`` wrote for the problem at ``position``.

        Raises:
            sqlite3.DataError: the text is not JSON, for the database is damaged.
            RunError: the JSON does not have the shape of the content's type.
        """
        data = from_json(text)
        try:
            content: _T = _adapter(self.content_type).validate_python(data)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "content"
            wrong = f"the finding {self.name!r} of row {position + 1} cannot be read: {place}: {first['msg']}"
            raise RunError(f"{wrong}; put back a copy of run.sqlite") from error
        return content


HARVEST_DONE: FindingKey[bool] = FindingKey("done", bool)
"""Marks a problem whose findings are complete."""
HARVEST_ERROR: FindingKey[str] = FindingKey("error", str)
"""The unexpected error that stopped the harvest of a problem; a resume tries again."""


@dataclass(frozen=True, slots=True)
class ProblemFindings:
    """The findings of one problem. A content is decoded when it is asked for."""

    position: int
    stored: Mapping[str, Finding[str]] = field(default_factory=dict)
    """The findings by name, in the order of names, with their contents as JSON."""

    def __contains__(self, key: FindingKey[Any]) -> bool:
        """Return whether there is a finding of this key."""
        return key.name in self.stored

    def __getitem__(self, key: FindingKey[_T]) -> _T:
        """Return the content of one finding.

        Raises:
            RunError: there is no such finding, or it does not have the shape of its type.
        """
        if key not in self:
            raise RunError(f"row {self.position + 1} has no finding {key.name!r}; put back a copy of run.sqlite")
        return key.decode(self.stored[key.name].content, position=self.position)

    def get(self, key: FindingKey[_T]) -> _T | None:
        """Return the content of one finding; None when there is none."""
        stored = self.stored.get(key.name)
        return None if stored is None else key.decode(stored.content, position=self.position)

    def of_kind(self, kind: FindingKey[_T]) -> list[_T]:
        """Return the contents of all findings of a kind, in the order of their names."""
        return [self[FindingKey(name, kind.content_type)] for name in self.stored if _kind(name) == kind.name]

    def num_tokens(self) -> Counter[str]:
        """Return the tokens generated for the findings, by kind; kinds that took none are left out."""
        tokens: Counter[str] = Counter()
        for name, finding in self.stored.items():
            tokens[_kind(name)] += finding.usage.generated_tokens
        return +tokens


def _kind(name: str) -> str:
    return name.partition("/")[0]


@dataclass(frozen=True, slots=True)
class FailedHarvest:
    """An unexpected error in the harvest of one problem."""

    position: int
    id: str
    """The id of its row."""
    reason: str


@dataclass(frozen=True, slots=True)
class Findings:
    """The findings table of a run's database; each call commits before it returns."""

    connection: sqlite3.Connection
    """An open database; only that of a labelled run has the table."""

    def add(self, position: int, key: FindingKey[_T], finding: Finding[_T]) -> None:
        """Commit one finding of a problem; its key must be new."""
        with self.connection:
            usage = json.dumps(usage_fields(finding.usage), separators=(",", ":"))
            values = (position, key.name, key.encode(finding.content), finding.usage.generated_tokens, usage)
            self.connection.execute("INSERT INTO findings VALUES (?, ?, ?, ?, ?)", values)

    def get(self, position: int, key: FindingKey[_T]) -> Finding[_T] | None:
        """Return one finding; None when there is none."""
        query = "SELECT finding, num_tokens, usage FROM findings WHERE position = ? AND name = ?"
        found = self.connection.execute(query, (position, key.name)).fetchone()
        return None if found is None else Finding(key.decode(found[0], position=position), _usage(*found[1:]))

    def of(self, position: int) -> ProblemFindings:
        """Return all findings of one problem."""
        query = "SELECT name, finding, num_tokens, usage FROM findings WHERE position = ? ORDER BY name"
        rows = self.connection.execute(query, (position,))
        return ProblemFindings(position, {name: Finding(text, _usage(*spent)) for name, text, *spent in rows})

    def drop_error(self, position: int) -> None:
        """Delete the error of one problem's harvest, which is about to be tried again."""
        with self.connection:
            values = (position, HARVEST_ERROR.name)
            self.connection.execute("DELETE FROM findings WHERE position = ? AND name = ?", values)

    def failed(self) -> list[FailedHarvest]:
        """Return the failed harvests in the order of their rows."""
        query = "SELECT position, id, finding FROM findings JOIN problems USING (position) WHERE name = ? ORDER BY 1"
        rows = self.connection.execute(query, (HARVEST_ERROR.name,))
        return [
            FailedHarvest(position, row_id, HARVEST_ERROR.decode(reason, position=position))
            for position, row_id, reason in rows
        ]

    def num_tokens(self) -> int:
        """Return the tokens generated for all findings."""
        return int(self.connection.execute("SELECT COALESCE(SUM(num_tokens), 0) FROM findings").fetchone()[0])

    def usage(self) -> TokenUsage:
        """Return all that was spent on findings."""
        rows = self.connection.execute("SELECT num_tokens, usage FROM findings")
        return sum((_usage(*row) for row in rows), TokenUsage())


def _usage(num_tokens: int, fields: str) -> TokenUsage:
    return TokenUsage(generated_tokens=num_tokens, **from_json(fields))


@dataclass(frozen=True, slots=True)
class Ledger:
    """The findings of one problem while they are made. Work that is committed is not done again."""

    findings: Findings
    position: int
    on_usage: Callable[[TokenUsage], None]
    """Called with the usage of each committed finding."""
    _in_flight: dict[str, asyncio.Lock] = field(default_factory=dict, init=False)

    async def once(self, key: FindingKey[_T], work: Callable[[], Awaitable[Finding[_T]]]) -> _T:
        """Return the content of one finding: from the store if it is there, else by ``work``, which is then stored.

        Calls for one key wait for each other.
        """
        async with self._in_flight.setdefault(key.name, asyncio.Lock()):
            found = self.findings.get(self.position, key)
            if found is None:
                found = await work()
                self.findings.add(self.position, key, found)
                self.on_usage(found.usage)
            return found.content


@dataclass(frozen=True, slots=True)
class SearchedProblem:
    """One problem with its finished search."""

    problem: Problem
    extras: Mapping[str, object]
    """The other columns of its row."""
    events: Sequence[Mapping[str, Any]]
    """The log of its search, as JSON holds it."""
    ledger: Ledger


Harvest: TypeAlias = Callable[[SearchedProblem], Coroutine[Any, Any, None]]
"""Puts all findings of a problem into its ledger; a model's failure is recorded in one.

It raises ``ReplicaLostError`` if a model is lost for good, and ``ReplayError`` if the log is of another search.
"""
