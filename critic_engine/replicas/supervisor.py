"""Supervising one replica of a model: starting it, checking it, and restarting it when it is lost."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from critic_engine.errors import CriticEngineError, GenerationError, ModelLoadError, ReplicaLostError

_logger = logging.getLogger(__name__)
_RequestIn = TypeVar("_RequestIn", contravariant=True)
_ResultOut = TypeVar("_ResultOut", covariant=True)
_Request = TypeVar("_Request")
_Result = TypeVar("_Result")


class Replica(Protocol[_RequestIn, _ResultOut]):
    """One engine, process or actor that answers requests, and that can be lost and started again."""

    async def start(self) -> None:
        """Return when it is ready to work; called again after ``stop``.

        Raises:
            ModelLoadError: it never will be.
            GenerationError, ReplicaLostError: it is not, and may be if started once more.
        """
        ...

    async def call(self, request: _RequestIn) -> _ResultOut:
        """Return the answer. Many calls may be in flight; one that is cancelled ends at once, and so does its work.

        Raises:
            ReplicaLostError: the replica is gone.
            GenerationError: the request cannot be answered; the replica stays usable.
        """
        ...

    async def check(self) -> None:
        """Raise when it does not work any more: ``ReplicaLostError`` when that is certain. Cheap."""
        ...

    async def stop(self) -> None:
        """Release all resources. The replica may be dead, stopped or half started, and that is no error."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    """Limits of load, attempts, restarts and waits."""

    max_in_flight: int
    """Requests at one replica at the same time; at least 1."""
    max_restarts: int
    """Restarts of a replica in a row before it is given up; an answer, or a check that it passes while the pool has no
    call there, ends the row."""
    max_attempts: int = 3
    """A request fails when this many replicas were lost while they worked on it; at least 1."""
    first_backoff_s: float = 1.0
    """Seconds before the first restart; doubled with each further one in a row, shortened at random by up to half."""
    max_backoff_s: float = 60.0
    """The most seconds before a restart."""
    check_interval_s: float = 10.0
    """Seconds between two checks of a replica."""
    check_timeout_s: float = 30.0
    """Seconds after which a check has failed."""
    max_failed_checks: int = 3
    """Failed checks in a row after which a replica counts as lost; at least 1."""
    drain_s: float = 30.0
    """Seconds that calls in flight may take to end when the pool closes."""
    stop_timeout_s: float = 60.0
    """Seconds after which a replica that does not stop is left to itself."""

    def __post_init__(self) -> None:
        """Refuse limits that let nothing through."""
        for name in ("max_in_flight", "max_attempts", "max_failed_checks"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")


class Life(Generic[_Request, _Result]):
    """A replica from one start until it is lost or stopped."""

    def __init__(self, replica: Replica[_Request, _Result], on_end: Callable[[Life[_Request, _Result]], None]) -> None:
        """Begin, once ``replica`` is ready; ``on_end`` is called before the calls in flight learn of the end."""
        self._replica = replica
        self._on_end = on_end
        self._tasks: set[asyncio.Task[object]] = set()
        self._is_drained: asyncio.Future[None] | None = None
        self.has_worked = False
        """Whether it answered a call, or passed a check while it had none: then others may have had its answers."""
        self.has_ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Resolves to the reason when the life ends."""

    async def call(self, request: _Request) -> _Result:
        """Return the replica's answer; the loss of the replica, noticed by any call or check, ends the call.

        Raises:
            ReplicaLostError: the life has ended.
        """
        task = asyncio.current_task()
        assert task is not None
        num_cancels = task.cancelling()
        self._tasks.add(task)
        try:
            result = await self._replica.call(request)
        except BaseException as error:
            self._leave(task)
            is_cut = self.has_ended.done() and task.uncancel() <= num_cancels
            if is_cut and isinstance(error, asyncio.CancelledError):
                raise ReplicaLostError(self.has_ended.result()) from None
            if isinstance(error, ReplicaLostError):
                self.end(str(error))
            raise
        self._leave(task)
        if self.has_ended.done():
            task.uncancel()
        self.has_worked = True
        return result

    def end(self, reason: str) -> None:
        """Declare the replica lost: calls in flight end with ``ReplicaLostError``. A second time does nothing."""
        if self.has_ended.done():
            return
        self.has_ended.set_result(reason)
        self._on_end(self)
        # Cancelling is the one way to end calls in each of which a replica that hangs is awaited without a task of
        # its own; the calls know their own cancellation from it, as those of asyncio.timeout do.
        for task in self._tasks:
            task.cancel()

    def note_check(self) -> None:
        """Note that the replica passed a check."""
        self.has_worked = self.has_worked or not self._tasks

    async def drain(self, timeout_s: float) -> None:
        """Return when nothing is in flight, or after that time."""
        if self._tasks:
            self._is_drained = asyncio.get_running_loop().create_future()
            await asyncio.wait({self._is_drained}, timeout=timeout_s)

    def _leave(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not self._tasks and self._is_drained is not None and not self._is_drained.done():
            self._is_drained.set_result(None)


@dataclass(slots=True, eq=False)
class Supervisor(Generic[_Request, _Result]):
    """Starts a replica, checks it, and restarts it when it is lost, until it is given up."""

    replica: Replica[_Request, _Result]
    name: str
    options: PoolOptions
    rng: random.Random
    """Spreads the restarts of replicas that were lost together."""
    life: Life[_Request, _Result] | None = None
    """The life it is in; None while it is not ready."""
    num_restarts: int = 0

    @property
    def is_ready(self) -> bool:
        """Whether the replica takes requests."""
        return self.life is not None and not self.life.has_ended.done()

    async def run(
        self,
        on_ready: Callable[[Life[_Request, _Result]], None],
        on_end: Callable[[Life[_Request, _Result]], None],
    ) -> CriticEngineError:
        """Return why the replica is given up, having called ``on_ready`` and ``on_end`` with each of its lives."""
        num_in_row = 0
        while True:
            error = await self._start()
            if error is None:
                life = self.life = Life(self.replica, on_end)
                on_ready(life)
                error = await self._watch(life)
                self.life = None
                num_in_row = 0 if life.has_worked else num_in_row
            await self.stop()
            if isinstance(error, ModelLoadError) or num_in_row >= self.options.max_restarts:
                return error
            num_in_row += 1
            backoff_s = self._backoff_s(num_in_row)
            _logger.warning("a replica of %s starts again in %.1f s: %s", self.name, backoff_s, error)
            await asyncio.sleep(backoff_s)
            self.num_restarts += 1

    async def stop(self) -> None:
        """End the replica's life and release its resources; a failure to do so is logged."""
        if self.life is not None:
            self.life.end(f"the replica of {self.name} was stopped")
            self.life = None
        await release(self.replica, name=self.name, timeout_s=self.options.stop_timeout_s)

    async def _start(self) -> CriticEngineError | None:
        try:
            await self.replica.start()
        except (GenerationError, ReplicaLostError) as error:
            return error
        except Exception as error:
            return GenerationError(f"a replica of {self.name} did not start: {_reason(error)}")
        return None

    async def _watch(self, life: Life[_Request, _Result]) -> ReplicaLostError:
        num_failed = 0
        while not life.has_ended.done():
            await asyncio.wait({life.has_ended}, timeout=self.options.check_interval_s)
            if life.has_ended.done():
                break
            failure = await self._check(life)
            num_failed = num_failed + 1 if failure else 0
            if not failure and not life.has_ended.done():
                life.note_check()
            if failure and (num_failed >= self.options.max_failed_checks or isinstance(failure, ReplicaLostError)):
                life.end(_reason(failure))
        return ReplicaLostError(life.has_ended.result())

    async def _check(self, life: Life[_Request, _Result]) -> BaseException | None:
        """Return how a check fails, if it does; None as soon as the life has ended anyway."""
        check = asyncio.ensure_future(self.replica.check())
        either: list[asyncio.Future[Any]] = [check, life.has_ended]
        timeout_s = self.options.check_timeout_s
        try:
            done, _ = await asyncio.wait(either, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                return TimeoutError(f"a check did not end within {timeout_s:g} s")
            return check.exception() if check in done else None
        finally:
            check.cancel()

    def _backoff_s(self, num_in_row: int) -> float:
        longest = self.options.first_backoff_s * 2 ** min(num_in_row - 1, 60)
        return float(min(longest, self.options.max_backoff_s)) * self.rng.uniform(0.5, 1.0)


async def release(replica: Replica[Any, Any], *, name: str, timeout_s: float) -> None:
    """Stop a replica of the model ``name``; a failure to do so, or within that time, is logged."""
    try:
        async with asyncio.timeout(timeout_s):
            await replica.stop()
    except Exception as error:
        _logger.warning("a replica of %s did not stop: %s", name, _reason(error))


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())[:300]
    return text if isinstance(error, CriticEngineError | TimeoutError) and text else f"{type(error).__name__}: {text}"
