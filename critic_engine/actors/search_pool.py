"""Searches in search workers: their work is committed here, and continued in another worker when one is lost."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import itertools
from collections.abc import Callable
from typing import Any

from critic_engine.actors.channel import first_line
from critic_engine.actors.placement import MAX_CONCURRENCY, PATIENCE_S
from critic_engine.actors.search_worker import Report, SearchWorker, WorkItem
from critic_engine.config.engine import EngineConfig
from critic_engine.episode.episode import Commit
from critic_engine.episode.trial import NO_TRIAL
from critic_engine.errors import CriticEngineError, GenerationError, ModelLoadError, ReplicaLostError
from critic_engine.models.metering import ModelFigures, merged
from critic_engine.models.registry import ModelMakers
from critic_engine.replicas.pool import ReplicaPool
from critic_engine.replicas.supervisor import PoolOptions
from critic_engine.roles.checker import Checker
from critic_engine.run.problem_search import ProblemSearch
from critic_engine.types import Answer, Failure
from search import StopReason

_MAX_RESTARTS = 10
_CLOSE_S = 5.0
_MAX_LOST_IN_ROW = 3
_LOST = "worker_lost"


class RemoteSearch:
    """One search in a worker with room. Each worker that continues it reads its log anew."""

    def __init__(self, task: ProblemSearch, workers: WorkerPool) -> None:
        """Take the search's task, and the workers that may run it."""
        self.task = task
        self.search_id = next(workers.ids)
        self.cut_reason: StopReason | None = None
        self.has_committed = False
        """Whether it has committed work since it was last begun."""
        self.worker: WorkerReplica | None = None
        """The worker in which it has begun."""
        self._workers = workers

    async def run(self) -> Answer:
        """Search to the end and return the answer.

        Raises:
            ReplicaLostError: no worker is left, or several in a row were lost before the search got any further.
            GenerationError: the search itself failed.
            ReplayError: the log is of another search.
        """
        num_lost = num_in_row = 0
        while True:
            self.has_committed = False
            try:
                outcome, _ = await self._workers.call(self)
                break
            except GenerationError as error:
                num_lost += 1
                num_in_row = 0 if self.has_committed else num_in_row + 1
                # Any other error of the pool's own means that there is no worker to wait for.
                if num_in_row >= _MAX_LOST_IN_ROW or not isinstance(error.__cause__, ReplicaLostError):
                    raise ReplicaLostError(str(error)) from error
        if isinstance(outcome, Exception):
            raise outcome
        if not num_lost:
            return outcome
        reason = "the worker that searched was lost; another went on from the log"
        self.task.on_commit(Commit((), (Failure(NO_TRIAL, _LOST, reason),) * num_lost))
        return dataclasses.replace(outcome, failures={**outcome.failures, _LOST: num_lost})

    def cut(self, reason: StopReason) -> None:
        """End the search now."""
        self.cut_reason = self.cut_reason or reason
        # Ray does not keep the order of calls: one that has not begun yet is cut when it has.
        if self.worker is not None:
            self.worker.cut(self.search_id, reason)

    def work_item(self) -> WorkItem:
        """Return the work that is left."""
        task, checker = self.task, self._workers.checker
        references = () if checker is None else checker.accepted(task.problem)
        return WorkItem(self.search_id, task.row_id, task.problem, task.read_log(), references, self.cut_reason)


class WorkerReplica:
    """One search worker, as a replica of a pool."""

    def __init__(self, make: Callable[[], Any]) -> None:
        """Take ``make``, which starts the actor and returns its handle."""
        self._make = make
        self._handle: Any = None
        self._listening: asyncio.Task[None] | None = None
        self._searches: dict[int, tuple[RemoteSearch, asyncio.Future[Answer | Exception]]] = {}
        self._past_figures: dict[str, ModelFigures] = {}
        self._figures: dict[str, ModelFigures] = {}

    async def start(self) -> None:
        """Start the actor, once a node has room for it; it opens its models.

        Raises:
            ModelLoadError: a model cannot be opened, or there was no room for long.
            ReplicaLostError: the actor ended.
        """
        self._handle = self._make()
        try:
            async with asyncio.timeout(PATIENCE_S):
                error = await _reply(self._handle.ready.remote())
        except TimeoutError as late:
            raise ModelLoadError(
                f"a search worker was not ready after {PATIENCE_S:g} s; see that the cluster has room for it: "
                "ray.num_cpus_per_worker cores on one node"
            ) from late
        if isinstance(error, CriticEngineError):
            raise error if isinstance(error, GenerationError | ReplicaLostError) else ModelLoadError(str(error))
        self._listening = asyncio.create_task(self._listen())

    async def call(self, search: RemoteSearch) -> Answer | Exception:
        """Return the search's answer, or the error that ended it."""
        self._check_listening()
        search_id, handle = search.search_id, self._handle
        answered: asyncio.Future[Answer | Exception] = asyncio.get_running_loop().create_future()
        self._searches[search_id] = (search, answered)
        item = search.work_item()
        begun = asyncio.ensure_future(_reply(handle.begin.remote(item)))
        try:
            await asyncio.shield(begun)
            search.worker = self
            if search.cut_reason is not None and item.cut_reason is None:
                self.cut(search_id, search.cut_reason)
            return await answered
        finally:
            self._searches.pop(search_id, None)
            search.worker = None
            if not answered.done() or answered.cancelled() or answered.exception() is not None:
                begun.add_done_callback(lambda begun: _cancel(begun, handle, search_id))

    async def check(self) -> None:
        """Raise ``ReplicaLostError`` when the worker is gone."""
        self._check_listening()
        await _reply(self._handle.check.remote())

    async def stop(self) -> None:
        """End the actor; other workers continue its searches."""
        if self._listening is not None:
            self._listening.cancel()
        handle, self._handle = self._handle, None
        if handle is not None:
            await _end_actor(handle)
        self._past_figures, self._figures = self.figures(), {}

    def cut(self, search_id: int, reason: StopReason) -> None:
        """Have the worker end a search with its best answer so far."""
        self._handle.cut.remote(search_id, reason)

    def figures(self) -> dict[str, ModelFigures]:
        """Return the counts of each model's requests, from this actor and its predecessors."""
        return merged([self._past_figures, self._figures])

    async def _listen(self) -> None:
        try:
            while True:
                reports, self._figures = await _reply(self._handle.reports.remote())
                self._take(reports)
        except Exception as error:
            for _, answered in self._searches.values():
                if not answered.done():
                    answered.set_exception(ReplicaLostError(first_line(error)))

    def _check_listening(self) -> None:
        if self._listening is None or self._listening.done():
            raise ReplicaLostError("the search worker is gone")

    def _take(self, reports: list[Report]) -> None:
        for search_id, what in reports:
            search, answered = self._searches.get(search_id, (None, None))
            if search is None or answered is None or answered.done():
                continue
            if not isinstance(what, Commit):
                answered.set_result(what)
                continue
            try:
                search.task.on_commit(what)
                search.has_committed = True
            except Exception as error:
                # The run's log cannot be written, which the caller that waits for this search has to know.
                answered.set_exception(error)


class WorkerPool(ReplicaPool[RemoteSearch, Answer | Exception]):
    """The search workers of one engine."""

    def __init__(
        self, config: EngineConfig, open_models: Callable[[], ModelMakers], *, checker: Checker | None = None
    ) -> None:
        """Start no worker yet.

        Args:
            config: The engine's configuration; ``config.ray`` gives the number of workers.
            open_models: Opens the models in a worker's process.
            checker: Holds the reference answers, in labelling mode.
        """
        self.checker = checker
        self.ids = itertools.count()
        """Numbers that no search has yet."""
        self._replicas = [
            WorkerReplica(functools.partial(_start_actor, config, open_models, checker))
            for _ in range(config.ray.num_search_workers)
        ]
        # A search whose worker is lost continues from its log; ``RemoteSearch.run`` limits how often.
        options = PoolOptions(max_in_flight=config.run.problems_in_flight, max_restarts=_MAX_RESTARTS, max_attempts=1)
        super().__init__(self._replicas, name="the search workers", options=options)

    def model_figures(self) -> dict[str, ModelFigures]:
        """Return the counts of each model's requests, from all workers."""
        return merged([replica.figures() for replica in self._replicas])


def _start_actor(config: EngineConfig, open_models: Callable[[], ModelMakers], checker: Checker | None) -> Any:
    import ray

    options = {"num_cpus": config.ray.num_cpus_per_worker, "max_concurrency": MAX_CONCURRENCY}
    return ray.remote(SearchWorker).options(**options).remote(config, open_models, is_labelling=checker is not None)


async def _end_actor(handle: Any) -> None:
    import ray

    # The worker tells its models' hosts that its requests are cancelled; a dead one cannot.
    with contextlib.suppress(ReplicaLostError, TimeoutError):
        async with asyncio.timeout(_CLOSE_S):
            await _reply(handle.aclose.remote())
    if ray.is_initialized():
        ray.kill(handle)


def _cancel(begun: asyncio.Future[Any], handle: Any, search_id: int) -> None:
    if not begun.cancelled() and begun.exception() is None:
        handle.cancel.remote(search_id)


async def _reply(ref: Any) -> Any:
    """Return the result of an actor's method; the methods raise nothing, so that any error means a lost actor."""
    from ray.exceptions import RayError

    try:
        return await ref
    except RayError as error:
        raise ReplicaLostError(first_line(error)) from error
