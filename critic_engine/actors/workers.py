"""Searches that run in search workers: their work is kept here, and gone on with elsewhere when a worker is lost."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import itertools
from collections.abc import Callable
from typing import Any

from critic_engine.actors.line import first_line
from critic_engine.actors.search_worker import Failed, Reports, SearchWorker, WorkItem
from critic_engine.backends.replicas import ReplicaPool
from critic_engine.backends.supervision import PoolOptions
from critic_engine.checker import Checker
from critic_engine.config import EngineConfig
from critic_engine.episode import Commit
from critic_engine.errors import CriticEngineError, GenerationError, ModelLoadError, ReplicaLostError
from critic_engine.metering import ModelFigures, merged
from critic_engine.models import ModelMakers
from critic_engine.searches import SearchTask
from critic_engine.store import Failure
from critic_engine.thinking import NO_TRIAL
from critic_engine.types import Answer
from search import StopReason

_MAX_RESTARTS = 10
_MAX_CONCURRENCY = 10_000
_PATIENCE_S = 600.0
_LOST = "worker_lost"


class RemoteSearch:
    """One search in whichever worker has room. Its log is read anew wherever it is begun again."""

    def __init__(self, task: SearchTask, workers: WorkerPool) -> None:
        """Take what is to be searched, and by whom."""
        self.task = task
        self.search_id = workers.next_id()
        self.cut_reason: StopReason | None = None
        self._workers = workers
        self._where: WorkerReplica | None = None

    async def run(self) -> Answer:
        """Search to the end and return the answer.

        Raises:
            GenerationError: several workers were lost while they searched, or none is left.
            ReplayError: the log is of another search.
        """
        answer, num_lost = await self._workers.pool.call(self)
        if num_lost:
            reason = "the worker that searched was lost; another went on from the log"
            self.task.on_commit(Commit((), (Failure(NO_TRIAL, _LOST, reason),) * num_lost, 0))
            failures = {**answer.failures, _LOST: num_lost}
            return dataclasses.replace(answer, failures=failures)
        return answer

    def cut(self, reason: StopReason) -> None:
        """End the search now."""
        self.cut_reason = self.cut_reason or reason
        if self._where is not None:
            self._where.cut(self.search_id, reason)

    def begun_at(self, where: WorkerReplica) -> WorkItem:
        """Return what ``where`` is to do."""
        self._where = where
        return WorkItem(
            self.search_id,
            self.task.row_id,
            self.task.problem,
            self.task.read_log(),
            self._workers.references(self.task),
            self.cut_reason,
        )


class WorkerReplica:
    """One search worker, as a pool keeps it."""

    def __init__(self, make: Callable[[], Any]) -> None:
        """Take what starts its actor and returns the handle."""
        self._make = make
        self._handle: Any = None
        self._listening: asyncio.Task[None] | None = None
        self._searches: dict[int, tuple[RemoteSearch, asyncio.Future[Answer]]] = {}
        self._past_figures: dict[str, ModelFigures] = {}
        self._figures: dict[str, ModelFigures] = {}

    async def start(self) -> None:
        """Start the actor, once a node has room for it; it opens its models.

        Raises:
            ModelLoadError: a model cannot be opened.
            GenerationError: there was no room for long, or the actor ended.
        """
        self._handle = self._make()
        try:
            async with asyncio.timeout(_PATIENCE_S):
                error = await _reply(self._handle.ready.remote())
        except TimeoutError as late:
            raise GenerationError(
                f"a search worker was not ready after {_PATIENCE_S:g} s; see that the cluster has room for it, which "
                "ray.num_cpus_per_worker says"
            ) from late
        if isinstance(error, CriticEngineError):
            raise error if isinstance(error, GenerationError) else ModelLoadError(str(error))
        self._listening = asyncio.create_task(self._listen())

    async def call(self, search: RemoteSearch) -> Answer:
        """Return the answer that the worker comes to."""
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._searches[search.search_id] = (search, answered)
        try:
            await _reply(self._handle.begin.remote(search.begun_at(self)))
            return await answered
        except asyncio.CancelledError:
            if self._handle is not None:
                self._handle.cancel.remote(search.search_id)
            raise
        finally:
            self._searches.pop(search.search_id, None)

    async def check(self) -> None:
        """Raise when the worker does not answer."""
        await _reply(self._handle.check.remote())

    async def stop(self) -> None:
        """End the actor; what it was searching is gone on with elsewhere."""
        if self._listening is not None:
            self._listening.cancel()
        handle, self._handle = self._handle, None
        if handle is not None:
            import ray

            ray.kill(handle)
        self._past_figures, self._figures = self.figures(), {}

    def cut(self, search_id: int, reason: StopReason) -> None:
        """Have the worker end a search with what it has found."""
        if self._handle is not None:
            self._handle.cut.remote(search_id, reason)

    def figures(self) -> dict[str, ModelFigures]:
        """Return what it, and those that were here before it, have asked of each model."""
        return merged([self._past_figures, self._figures])

    async def _listen(self) -> None:
        try:
            while True:
                self._take(await _reply(self._handle.reports.remote()))
        except GenerationError as error:
            for _, answered in self._searches.values():
                if not answered.done():
                    answered.set_exception(ReplicaLostError(str(error)))

    def _take(self, reports: Reports) -> None:
        self._figures = reports.figures
        for search_id, what in reports.reports:
            search, answered = self._searches.get(search_id, (None, None))
            if search is None or answered is None or answered.done():
                continue
            if isinstance(what, Commit):
                _keep(search, what, answered)
            elif isinstance(what, Failed):
                answered.set_exception(what.error)
            else:
                answered.set_result(what)


class WorkerPool:
    """The search workers of one engine."""

    def __init__(
        self, config: EngineConfig, open_models: Callable[[int], ModelMakers], *, checker: Checker | None = None
    ) -> None:
        """Start no worker yet.

        Args:
            config: The knobs; ``config.ray`` says how many workers.
            open_models: Opens the models in the process of the worker of that number.
            checker: Holds the reference answers, in labelling mode.
        """
        self._checker = checker
        self._ids = itertools.count()
        self._replicas = [
            WorkerReplica(functools.partial(_start_actor, config, functools.partial(open_models, turn), checker))
            for turn in range(config.ray.num_search_workers)
        ]
        options = PoolOptions(
            max_in_flight=config.run.problems_in_flight, max_restarts=_MAX_RESTARTS, is_retried_alone=False
        )
        self.pool: ReplicaPool[RemoteSearch, Answer] = ReplicaPool(
            self._replicas, name="the search workers", options=options
        )

    def begin(self, task: SearchTask) -> RemoteSearch:
        """Return a search of the task in one of the workers."""
        return RemoteSearch(task, self)

    def next_id(self) -> int:
        """Return a number that no search has yet."""
        return next(self._ids)

    def references(self, task: SearchTask) -> tuple[str, ...]:
        """Return the reference answers of a task's problem; none outside labelling mode."""
        return () if self._checker is None else self._checker.references(task.problem)

    def figures(self) -> dict[str, ModelFigures]:
        """Return what all workers have asked of each model."""
        return merged([replica.figures() for replica in self._replicas])


def _start_actor(config: EngineConfig, open_models: Callable[[], ModelMakers], checker: Checker | None) -> Any:
    import ray

    options = {"num_cpus": config.ray.num_cpus_per_worker, "max_concurrency": _MAX_CONCURRENCY}
    return ray.remote(SearchWorker).options(**options).remote(config, open_models, is_labelling=checker is not None)


async def _reply(ref: Any) -> Any:
    """Return what an actor's method returns; these raise nothing, so that any error means that the actor is gone."""
    from ray.exceptions import RayError

    try:
        return await ref
    except RayError as error:
        raise ReplicaLostError(first_line(error)) from error


def _keep(search: RemoteSearch, commit: Commit, answered: asyncio.Future[Answer]) -> None:
    try:
        search.task.on_commit(commit)
    except Exception as error:
        # The run's log cannot be written, which whoever waits for this search has to know.
        answered.set_exception(error)
