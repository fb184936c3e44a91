"""A thread that answers requests to one model in batches, whichever event loops they come from."""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from critic_engine.backends.huggingface.arithmetic import arithmetic_threads
from critic_engine.errors import GenerationError

_logger = logging.getLogger(__name__)

_NUM_DRAIN_ROUNDS = 8
_NUM_BATCHES_AHEAD = 4
_MAX_EXIT_S = 10.0

_RequestIn = TypeVar("_RequestIn", contravariant=True)
_ResultOut = TypeVar("_ResultOut", covariant=True)
_Request = TypeVar("_Request")
_Result = TypeVar("_Result")
_Model = TypeVar("_Model", bound="BatchModel[Any, Any]")


class BatchModel(Protocol[_RequestIn, _ResultOut]):
    """A loaded model that works on batches of rows; a request takes one row or several. Used from one thread only.

    Rows and outcomes are of the model's own types; the worker hands them on and looks at errors only.
    """

    @property
    def module(self) -> Any:
        """The torch module."""
        ...

    def encode(self, request: _RequestIn) -> Sequence[Any]:
        """Return the rows of a request, at least one; raises ``GenerationError`` when it cannot be encoded."""
        ...

    def next_batch(self, waiting: Sequence[Any], max_batch_size: int) -> list[Any]:
        """Return the rows to run next, at most ``max_batch_size`` of ``waiting``, the oldest of which is among them."""
        ...

    def run(self, rows: Sequence[Any], *, is_closing: threading.Event) -> Sequence[Any]:
        """Return an outcome or a ``GenerationError`` for each row; ends early once ``is_closing`` is set."""
        ...

    def combine(self, rows: Sequence[Any], outcomes: Sequence[Any]) -> _ResultOut:
        """Return the answer to a request from the outcomes of its rows."""
        ...


@dataclass(slots=True, eq=False)
class _Call(Generic[_Request, _Result]):
    """A request that waits for its answer; without a request, a caller that waits for the model to be loaded."""

    request: _Request | None
    future: Future[_Result | None] = field(default_factory=Future)
    rows: Sequence[Any] = ()
    outcomes: dict[int, Any] = field(default_factory=dict)
    """The outcomes so far, by the row's place."""

    def finish(self, result: _Result | None) -> None:
        """Answer with ``result``, unless the call is answered or was cancelled."""
        if self._can_answer():
            self.future.set_result(result)

    def fail(self, error: Exception) -> None:
        """Answer with an error, unless the call is answered or was cancelled."""
        if self._can_answer():
            self.future.set_exception(error)

    def _can_answer(self) -> bool:
        return not self.future.done() and self.future.set_running_or_notify_cancel()


@dataclass(frozen=True, slots=True, eq=False)
class _PlacedRow(Generic[_Request, _Result]):
    call: _Call[_Request, _Result]
    place: int

    @property
    def row(self) -> Any:
        return self.call.rows[self.place]


class BatchWorker(Generic[_Request, _Result, _Model]):
    """Answers requests with one model in one thread, so that no event loop waits for arithmetic.

    Rows of requests that wait at the same time run together. Calls may come from any event loop and any thread.
    """

    def __init__(
        self,
        open_model: Callable[[], _Model],
        *,
        name: str,
        max_batch_size: int,
    ) -> None:
        """Build without loading: ``open_model`` is called by ``load`` or by the first request.

        Args:
            open_model: Returns the loaded model; called once, and again only when it raised.
            name: The name of the thread and of the model in errors.
            max_batch_size: At most this many rows run side by side; at least 1.
        """
        if max_batch_size < 1:
            raise ValueError(f"max_batch_size is {max_batch_size}; it must be at least 1")
        self.name = name
        self._open_model = open_model
        self._max_batch_size = max_batch_size
        self._model: _Model | None = None
        self._loading = threading.Lock()
        self._calls: deque[_Call[_Request, _Result]] = deque()
        self._changed = threading.Condition()
        self._is_woken = False
        self._is_closing = threading.Event()
        self._thread: threading.Thread | None = None

    async def load(self) -> None:
        """Load the model in the thread; a second time it does nothing. Raises what ``open_model`` raises."""
        await self._answer(_Call(None))

    def loaded(self) -> _Model:
        """Return the model; loads it in the calling thread if need be."""
        with self._loading:
            if self._model is None:
                self._model = self._open_model()
            return self._model

    async def answer(self, request: _Request) -> _Result:
        """Return the model's answer.

        Raises:
            GenerationError: the request cannot be answered, or the worker is closed.
            ModelLoadError: the model cannot be loaded.
        """
        result = await self._answer(_Call(request))
        assert result is not None
        return result

    async def aclose(self) -> None:
        """End the running batch as soon as it can be ended, fail the calls that wait, and release the model."""
        await asyncio.to_thread(self._stop)
        self._model = None
        atexit.unregister(self._stop)

    async def _answer(self, call: _Call[_Request, _Result]) -> _Result | None:
        is_first = self._enqueue(call)
        try:
            # The first in the queue lets every task that is ready add its own request before the worker looks.
            for _ in range(_NUM_DRAIN_ROUNDS if is_first else 0):
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            call.future.cancel()
            raise
        finally:
            if is_first:
                self._wake()
        return await asyncio.wrap_future(call.future)

    def _stop(self, timeout_s: float | None = None) -> None:
        """Have the thread end, and wait for it at most ``timeout_s``."""
        with self._changed:
            self._is_closing.set()
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _enqueue(self, call: _Call[_Request, _Result]) -> bool:
        """Add ``call`` and return whether it is the only one that waits."""
        with self._changed:
            if self._is_closing.is_set():
                raise GenerationError(f"{self.name} is closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name=self.name, daemon=True)
                self._thread.start()
                # An interpreter that exits under a thread inside torch aborts; a load that hangs must not hold it up.
                atexit.register(self._stop, _MAX_EXIT_S)
            self._calls.append(call)
            return len(self._calls) == 1

    def _wake(self) -> None:
        with self._changed:
            self._is_woken = True
            self._changed.notify()

    def _take(self, limit: int, *, can_wait: bool) -> list[_Call[_Request, _Result]]:
        """Return up to ``limit`` calls from the queue, waiting for one if allowed."""
        with self._changed:
            if can_wait:
                self._changed.wait_for(lambda: self._is_closing.is_set() or (self._is_woken and bool(self._calls)))
            taken = [self._calls.popleft() for _ in range(min(limit, len(self._calls)))]
            self._is_woken = bool(self._calls)
            return taken

    def _serve(self) -> None:
        """Answer calls until closed; this is all that the thread does."""
        while not self._is_closing.is_set():
            calls = self._take(_NUM_BATCHES_AHEAD * self._max_batch_size, can_wait=True)
            try:
                model = self.loaded()
            except Exception as error:
                _fail_all(calls, error)
            else:
                with arithmetic_threads(model.module):
                    self._run_until_closed(model, calls)
        _fail_all(self._calls, self._closed())

    def _run_until_closed(
        self,
        model: _Model,
        calls: list[_Call[_Request, _Result]],
    ) -> None:
        waiting: list[_PlacedRow[_Request, _Result]] = []
        try:
            while not self._is_closing.is_set():
                num_wanted = max(0, _NUM_BATCHES_AHEAD * self._max_batch_size - len(waiting))
                calls += self._take(num_wanted, can_wait=not (calls or waiting))
                waiting += [placed for call in calls for placed in _rows_of(call, model)]
                calls.clear()
                waiting = [placed for placed in waiting if not placed.call.future.done()]
                if waiting:
                    waiting = self._run_next(waiting, model)
        finally:
            _fail_all([*calls, *(placed.call for placed in waiting)], self._closed())

    def _run_next(
        self,
        waiting: list[_PlacedRow[_Request, _Result]],
        model: _Model,
    ) -> list[_PlacedRow[_Request, _Result]]:
        """Run one batch of ``waiting`` and return the rows that still wait."""
        owners = {id(placed.row): placed for placed in waiting}
        batch = model.next_batch([placed.row for placed in waiting], self._max_batch_size)
        _logger.debug("%s runs %d of %d rows", self.name, len(batch), len(waiting))
        for row, outcome in zip(batch, model.run(batch, is_closing=self._is_closing), strict=True):
            placed = owners.pop(id(row))
            _settle(placed, outcome, model)
        return list(owners.values())

    def _closed(self) -> GenerationError:
        return GenerationError(f"{self.name} was closed")


def _rows_of(
    call: _Call[_Request, _Result], model: BatchModel[_Request, _Result]
) -> list[_PlacedRow[_Request, _Result]]:
    """Return the rows of a call, none when it was cancelled or cannot be encoded."""
    if call.future.cancelled():
        return []
    if call.request is None:
        call.finish(None)
        return []
    try:
        call.rows = model.encode(call.request)
    except GenerationError as error:
        call.fail(error)
        return []
    return [_PlacedRow(call, place) for place in range(len(call.rows))]


def _settle(
    placed: _PlacedRow[_Request, _Result],
    outcome: Any,
    model: BatchModel[_Request, _Result],
) -> None:
    """Take one row's outcome; the last of a call's outcomes, or the first error, answers the call."""
    call = placed.call
    if isinstance(outcome, GenerationError):
        call.fail(outcome)
        return
    call.outcomes[placed.place] = outcome
    if len(call.outcomes) == len(call.rows):
        call.finish(model.combine(call.rows, [call.outcomes[place] for place in range(len(call.rows))]))


def _fail_all(calls: Iterable[_Call[_Request, _Result]], error: Exception) -> None:
    for call in calls:
        call.fail(error)
