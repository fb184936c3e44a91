"""A pool of replicas of one model: each request goes to a replica with room, and to another one when that is lost."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from critic_engine.errors import CriticEngineError, GenerationError, ModelLoadError, ReplicaLostError
from critic_engine.replicas.router import Router
from critic_engine.replicas.supervisor import Life, PoolOptions, Replica, Supervisor
from critic_engine.types import TokenUsage

__all__ = ["PoolFigures", "PoolOptions", "Replica", "ReplicaPool"]

_logger = logging.getLogger(__name__)
_Request = TypeVar("_Request")
_Result = TypeVar("_Result")
_Place: TypeAlias = "asyncio.Future[Life[_Request, _Result]]"
_Queue: TypeAlias = "OrderedDict[_Place[_Request, _Result], str]"
_NUM_LOOKED_AT = 8


@dataclass(frozen=True, slots=True)
class PoolFigures:
    """Counts of a pool's replicas and calls at one moment."""

    num_replicas: int
    """Replicas not given up, ready or not."""
    num_ready: int
    num_restarts: int
    """Restarts of all replicas, those given up included."""
    num_lost_calls: int
    """Calls that ended because their replica was lost; most of them were sent again."""
    num_in_flight: int
    num_waiting: int
    """Calls for which no replica has room."""


class ReplicaPool(Generic[_Request, _Result]):
    """Sends each request to a replica with room, and keeps the replicas working.

    Requests of one session go to one replica as long as the load allows, as ``Router`` says. When all replicas are
    full, requests wait in line. A replica that has room again takes the first request of a session of its own among
    those at the head of the line, eight for each replica; if there is none, or as many were taken before the first in
    line in a row, it takes the first in line.

    A request whose replica is lost is sent again. At the last attempt it has a replica to itself, so that a request
    which kills every replica is found out, and its companions are answered. Pools of other processes over the same
    replicas do not know that: their requests may be its companions, and are given up if that happens ``max_attempts``
    times. All use is from one event loop.
    """

    def __init__(
        self,
        replicas: Sequence[Replica[_Request, _Result]],
        *,
        name: str,
        options: PoolOptions,
        rng: random.Random | None = None,
    ) -> None:
        """Take over ``replicas``, to be started by ``load`` or the first call.

        Args:
            replicas: Not started.
            name: The name of their model in messages and reports.
            options: Limits and waits.
            rng: Spreads restarts; None seeds one by ``name``.
        """
        self.name = name
        self._options = options
        rng = random.Random(name) if rng is None else rng
        self._supervisors = [Supervisor(replica, name, options, rng) for replica in replicas]
        self._working = list(self._supervisors)
        self._tasks: list[asyncio.Task[None]] = []
        self._router: Router[Life[_Request, _Result]] = Router()
        self._loop: asyncio.AbstractEventLoop | None = None
        # The calls that need a replica to themselves go first.
        self._waiting: dict[bool, _Queue[_Request, _Result]] = {True: OrderedDict(), False: OrderedDict()}
        self._num_passed = 0
        """Calls in a row that began before the one that had waited longest."""
        self._is_settled = asyncio.Event()
        self._was_ready = False
        self._error: CriticEngineError = GenerationError("it was given none")
        self._closing: asyncio.Task[None] | None = None
        self._num_in_flight = 0
        self._num_lost_calls = 0
        if not replicas:
            self._is_settled.set()

    @property
    def figures(self) -> PoolFigures:
        """The counts now."""
        return PoolFigures(
            num_replicas=len(self._working),
            num_ready=sum(supervisor.is_ready for supervisor in self._supervisors),
            num_restarts=sum(supervisor.num_restarts for supervisor in self._supervisors),
            num_lost_calls=self._num_lost_calls,
            num_in_flight=self._num_in_flight,
            num_waiting=sum(map(len, self._waiting.values())),
        )

    async def load(self) -> None:
        """Return when a replica is ready, or was before.

        Raises:
            ModelLoadError: none ever will be.
            GenerationError: the pool is closed.
        """
        self._begin()
        await self._is_settled.wait()
        if self._closing is not None:
            raise self._absence()
        if not self._working:
            raise ModelLoadError(str(self._absence()))

    async def call(self, request: _Request, *, session: str = "") -> tuple[_Result, int]:
        """Return the answer, and how often the request had to be sent again.

        Args:
            request: The request.
            session: What it has in common with the requests that shall go to the same replica; empty for none.

        Raises:
            GenerationError: the request cannot be answered, ``max_attempts`` replicas were lost with it, or the pool is
                closed.
            ReplicaLostError: all replicas are given up.
        """
        num_lost = 0
        while True:
            is_alone = num_lost > 0 and num_lost + 1 >= self._options.max_attempts
            life = self._enter(session, is_alone=is_alone) or await self._wait(session, is_alone=is_alone)
            try:
                return await life.call(request), num_lost
            except GenerationError as error:
                if not num_lost:
                    raise
                raise error.with_usage(error.usage + TokenUsage(num_retries=num_lost, num_requests=num_lost)) from error
            except ReplicaLostError as error:
                num_lost += 1
                self._num_lost_calls += 1
                if num_lost >= self._options.max_attempts:
                    raise GenerationError(
                        f"the request is given up: each of {num_lost} replicas of {self.name} was lost while it "
                        f"worked on it, at last: {error}",
                        usage=TokenUsage(num_retries=num_lost - 1, num_requests=num_lost),
                    ) from error
            finally:
                self._leave(life)

    async def aclose(self) -> None:
        """Refuse further calls, let the calls in flight end for up to ``drain_s``, and stop all replicas."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close())
        await asyncio.shield(self._closing)

    def _begin(self) -> None:
        """Start the replicas, if they have not been started."""
        loop = asyncio.get_running_loop()
        if self._loop not in (None, loop):
            raise RuntimeError(
                f"the pool of {self.name} is used from two event loops, and each engine has one of its own; make the "
                "model by SharedModels to share it among engines"
            )
        if self._closing is not None:
            raise self._absence()
        if self._loop is None:
            self._loop = loop
            self._tasks = [loop.create_task(self._keep(*each)) for each in enumerate(self._supervisors)]

    async def _keep(self, place: int, supervisor: Supervisor[_Request, _Result]) -> None:
        """Supervise a replica until it is given up; when none is left, fail the calls that wait."""
        error = await supervisor.run(lambda life: self._on_ready(life, place), self._on_end)
        self._working.remove(supervisor)
        if self._working or self._was_ready:  # Otherwise the failed load says it.
            _logger.error(
                "a replica of %s is given up after %d restarts: %s", self.name, supervisor.num_restarts, error
            )
        if not self._working:
            self._error = error
            self._is_settled.set()
            self._refuse_waiting()

    def _on_ready(self, life: Life[_Request, _Result], place: int) -> None:
        self._router.add(life, self._options.max_in_flight, place=place)
        self._was_ready = True
        self._is_settled.set()
        self._dispatch()

    def _on_end(self, life: Life[_Request, _Result]) -> None:
        if life in self._router:
            self._router.remove(life)
        self._dispatch()

    def _absence(self) -> CriticEngineError:
        if self._closing is not None:
            return GenerationError(f"{self.name} is closed; no request may follow")
        # A model that worked before is lost, whatever its last error; one that never worked cannot be loaded.
        is_loadable = self._was_ready or not isinstance(self._error, ModelLoadError)
        kind = ReplicaLostError if is_loadable else ModelLoadError
        return kind(f"no replica of {self.name} is left: {self._error}")

    def _refuse_waiting(self) -> None:
        for queue in self._waiting.values():
            while (place := _first(queue)) is not None:
                del queue[place]
                place.set_exception(self._absence())

    def _enter(self, session: str, *, is_alone: bool) -> Life[_Request, _Result] | None:
        if self._closing is not None or self._loop is not asyncio.get_running_loop():
            self._begin()
        if not self._working:
            raise self._absence()
        if self._waiting[is_alone]:
            return None
        life = self._router.acquire(is_alone, session)
        self._num_in_flight += life is not None
        return life

    async def _wait(self, session: str, *, is_alone: bool) -> Life[_Request, _Result]:
        queue = self._waiting[is_alone]
        place: _Place[_Request, _Result] = asyncio.get_running_loop().create_future()
        queue[place] = session
        try:
            life = await place
        except asyncio.CancelledError:
            queue.pop(place, None)
            if place.done() and not place.cancelled() and place.exception() is None:
                self._leave(place.result())
            if not self._waiting[True]:
                self._router.open_aside()
            self._dispatch()
            raise
        if not life.has_ended.done():
            return life
        # It was lost before this call could begin; the request had no part in that.
        self._leave(life)
        return self._enter(session, is_alone=is_alone) or await self._wait(session, is_alone=is_alone)

    def _leave(self, life: Life[_Request, _Result]) -> None:
        self._num_in_flight -= 1
        self._router.release(life)
        if self._waiting[True] or self._waiting[False]:
            self._dispatch()

    def _dispatch(self) -> None:
        for is_alone, queue in self._waiting.items():
            while (found := self._next(queue, is_alone=is_alone)) is not None:
                place, life = found
                del queue[place]
                self._num_in_flight += 1
                place.set_result(life)

    def _next(
        self, queue: _Queue[_Request, _Result], *, is_alone: bool
    ) -> tuple[_Place[_Request, _Result], Life[_Request, _Result]] | None:
        """Return the call to begin now and its replica, or None: one whose own replica has room, if one is near."""
        first = _first(queue)
        if first is None:
            return None
        num_near = _NUM_LOOKED_AT * len(self._working)
        if not is_alone and self._router.has_room and self._num_passed < num_near:
            for place in itertools.islice(queue, num_near):
                life = None if place.done() else self._router.acquire_home(queue[place])
                if life is not None:
                    self._num_passed = 0 if place is first else self._num_passed + 1
                    return place, life
        life = self._router.acquire(is_alone, queue[first])
        if life is not None and not is_alone:
            self._num_passed = 0
        return None if life is None else (first, life)

    async def _close(self) -> None:
        self._is_settled.set()
        self._refuse_waiting()
        lives = [supervisor.life for supervisor in self._working if supervisor.life is not None]
        for life in lives:
            self._on_end(life)
        await asyncio.gather(*(life.drain(self._options.drain_s) for life in lives))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(supervisor.stop() for supervisor in self._working))
        self._working.clear()


def _first(queue: _Queue[_Request, _Result]) -> _Place[_Request, _Result] | None:
    """Return the place that has waited longest, and drop places of cancelled calls before it."""
    while queue:
        place = next(iter(queue))
        if not place.done():
            return place
        del queue[place]
    return None
