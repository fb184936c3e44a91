"""A search worker runs episodes in a process of its own, and reports their events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from critic_engine.actors.model_host import portable
from critic_engine.config.engine import EngineConfig
from critic_engine.episode.episode import Commit, Episode
from critic_engine.errors import CriticEngineError
from critic_engine.models.metering import ModelFigures
from critic_engine.models.registry import ModelMakers, Models
from critic_engine.roles.checker import Checker
from critic_engine.roles.factory import make_roles
from critic_engine.run.problem_search import ProblemSearch, SearchLog, local_search
from critic_engine.types import Answer, Problem
from search import ReplayError, StopReason


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One search to continue from the end of its log."""

    search_id: int
    row_id: str
    problem: Problem
    log: SearchLog
    references: tuple[tuple[str, ...], ...] = ()
    """The problem's reference answers, in labelling mode only."""
    cut_reason: StopReason | None = None
    """The reason to end at once, if there is one."""


Report: TypeAlias = tuple[int, Commit | Answer | Exception]
"""A search's number, and a commit, its answer or the error that ended it. The last two end the search."""


class SearchWorker:
    """Runs episodes side by side. It stores nothing: its reports are all of its work."""

    def __init__(self, config: EngineConfig, open_models: Callable[[], ModelMakers], *, is_labelling: bool) -> None:
        """Take the configuration, and a function that opens the models in this process."""
        self._config = config
        self._open_models = open_models
        self._checker = Checker() if is_labelling else None
        self._models: Models | None = None
        self._searches: dict[int, tuple[Episode, asyncio.Task[None]]] = {}
        self._reports: list[Report] = []
        self._has_reports = asyncio.Event()

    async def ready(self) -> CriticEngineError | None:
        """Open the models, and return why one cannot be opened."""
        try:
            if self._models is None:
                self._models = Models(self._open_models())
                self._roles = make_roles(self._config, self._models, checker=self._checker)
            await self._models.load()
        except Exception as error:
            return portable(error)
        return None

    async def begin(self, item: WorkItem) -> None:
        """Begin a search; its progress is reported."""
        try:
            episode = self._open(item)
        except Exception as error:
            self._report(item.search_id, _portable(error))
            return
        self._searches[item.search_id] = episode, asyncio.create_task(self._search(item.search_id, episode))

    async def cut(self, search_id: int, reason: StopReason) -> None:
        """End a search with its best answer so far; one that has ended already stays as it is."""
        if search_id in self._searches:
            self._searches[search_id][0].cut(reason)

    async def cancel(self, search_id: int) -> None:
        """Drop a search; nothing more of it is reported."""
        # A task that is cancelled before its first step never comes to its own clearing up.
        if search_id in self._searches:
            self._searches.pop(search_id)[1].cancel()

    async def reports(self) -> tuple[list[Report], dict[str, ModelFigures]]:
        """Return the reports since the last call, as soon as there is one, and each model's counts since the start."""
        await self._has_reports.wait()
        self._has_reports.clear()
        reports, self._reports = self._reports, []
        return reports, {} if self._models is None else self._models.figures()

    async def check(self) -> None:
        """Do nothing, which shows that the worker answers."""

    async def aclose(self) -> None:
        """Drop all searches and close the models."""
        tasks = [task for _, task in self._searches.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._models is not None:
            await self._models.aclose()

    def _open(self, item: WorkItem) -> Episode:
        if self._checker is not None:
            for accepted in item.references:
                self._checker.add(item.problem.problem_id, accepted)
        task = ProblemSearch(
            item.row_id,
            item.problem,
            read_log=lambda: item.log,
            on_commit=lambda commit: self._report(item.search_id, commit),
        )
        episode = local_search(task, self._config, self._roles)
        if item.cut_reason is not None:
            episode.cut(item.cut_reason)
        return episode

    async def _search(self, search_id: int, episode: Episode) -> None:
        try:
            self._report(search_id, await episode.run())
        except Exception as error:
            self._report(search_id, _portable(error))
        finally:
            self._searches.pop(search_id, None)

    def _report(self, search_id: int, what: Commit | Answer | Exception) -> None:
        self._reports.append((search_id, what))
        self._has_reports.set()


def _portable(error: Exception) -> Exception:
    return error if isinstance(error, ReplayError) else portable(error)
