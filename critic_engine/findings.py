"""What a labelled run finds in each problem's tree, piece by piece, each done once however often the run is stopped."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from critic_engine.store import Finding, RunStore
from critic_engine.types import Problem


class Ledger:
    """The findings of one problem. Work that is committed is not done again."""

    def __init__(self, store: RunStore, position: int, *, on_tokens: Callable[[int], None]) -> None:
        """Take the store, which problem, and who is told of the tokens of each piece once it is committed."""
        self._store = store
        self._position = position
        self._on_tokens = on_tokens
        self._in_flight: dict[str, asyncio.Lock] = {}

    async def once(self, name: str, work: Callable[[], Awaitable[Finding]]) -> Any:
        """Return the content of the finding ``name``, from the store if it is there, else by ``work``.

        Calls for one name wait for each other. A name sorts where the finding stands among the problem's.
        """
        async with self._in_flight.setdefault(name, asyncio.Lock()):
            found = self._store.finding(self._position, name)
            if found is None:
                found = await work()
                self._store.set_finding(self._position, name, found)
                self._on_tokens(found.num_tokens)
            return found.content


@dataclass(frozen=True, slots=True)
class HarvestTask:
    """One problem whose search has ended."""

    problem: Problem
    extras: Mapping[str, object]
    """The other columns of its row."""
    events: Sequence[Mapping[str, Any]]
    """The log of its search."""
    ledger: Ledger


class Harvest(Protocol):
    """Makes something of a tree."""

    async def __call__(self, task: HarvestTask) -> None:
        """Put into the ledger all that is to be found; a model's failure is a finding too.

        Raises:
            ReplicaLostError: a model is gone, and does not come back.
            ReplayError: the log is of another search.
        """
        ...
