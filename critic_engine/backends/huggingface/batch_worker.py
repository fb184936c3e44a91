"""A thread that answers requests to one model in batches; requests may come from several event loops."""

from __future__ import annotations

import asyncio
import atexit
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any, Generic, Protocol, TypeVar

from critic_engine.backends.huggingface.arithmetic import arithmetic_threads
from critic_engine.backends.huggingface.batch_splitting import failure_of, run_splitting_on_failure
from critic_engine.backends.huggingface.row_feed import RowFeed
from critic_engine.errors import GenerationError

_NUM_DRAIN_ROUNDS = 8
_NUM_BATCHES_AHEAD = 4
_MAX_EXIT_S = 10.0
_RequestIn = TypeVar("_RequestIn", contravariant=True)
_ResultOut = TypeVar("_ResultOut", covariant=True)
_Request = TypeVar("_Request")
_Result = TypeVar("_Result")


class BatchModel(Protocol[_RequestIn, _ResultOut]):
    """A loaded model that works on batches of rows; a request takes one row or several. Used from one thread only.

    Rows and outcomes are of the model's own types, which the worker hands on.
    """

    @property
    def model(self) -> Any:
        """The torch module."""
        ...

    def encode(self, request: _RequestIn) -> Sequence[Any]:
        """Return the rows of a request, at least one; raises ``GenerationError`` when it cannot be encoded."""
        ...

    def next_batch(self, waiting: Sequence[Any], max_batch_size: int) -> list[Any]:
        """Return the rows to run next, at most ``max_batch_size`` of ``waiting``, the oldest of which is among them."""
        ...

    def run(self, feed: RowFeed) -> None:
        """Settle each row of ``feed`` with its outcome, or raise; a feed that is closing asks to end early.

        A batch that fails is split in half again and again, so that only its bad rows fail. Rows that wait may join.
        """
        ...

    def combine(self, rows: Sequence[Any], outcomes: Sequence[Any]) -> _ResultOut:
        """Return the answer to a request from the outcomes of its rows."""
        ...


class _Call:
    """A request that waits for its answer; without a request, a caller that waits for the model to be loaded."""

    def __init__(self, request: Any = None) -> None:
        self.request = request
        self.future: Future[Any] = Future()
        self.rows: Sequence[Any] = ()
        self.outcomes: dict[int, Any] = {}

    def encode(self, model: BatchModel[Any, Any]) -> list[tuple[_Call, int]]:
        """Return the rows' places; none when the call was cancelled, is done or cannot be encoded."""
        if self.request is None:
            self.finish(None)
        elif not self.future.cancelled():
            try:
                self.rows = model.encode(self.request)
            except Exception as error:
                self.finish(failure_of(error))
        return [] if self.future.done() else [(self, place) for place in range(len(self.rows))]

    def settle(self, place: int, outcome: Any, model: BatchModel[Any, Any]) -> None:
        """Take one row's outcome; the last of all outcomes, or the first error, answers the call."""
        self.outcomes[place] = outcome
        if isinstance(outcome, GenerationError):
            self.finish(outcome)
        elif len(self.outcomes) == len(self.rows) and not self.future.done():
            try:
                self.finish(model.combine(self.rows, [self.outcomes[place] for place in range(len(self.rows))]))
            except Exception as error:
                self.finish(failure_of(error))

    def finish(self, result: Any) -> None:
        """Answer with a result or an error, unless the call is answered or was cancelled."""
        if self.future.done() or not self.future.set_running_or_notify_cancel():
            return
        if isinstance(result, Exception):
            self.future.set_exception(result)
        else:
            self.future.set_result(result)


class _Queue:
    """The rows that wait, each with its call and its place in it."""

    def __init__(self, model: BatchModel[Any, Any], max_batch_size: int, is_closing: threading.Event) -> None:
        self._model = model
        self._max_batch_size = max_batch_size
        self._is_closing = is_closing
        self._waiting: list[tuple[_Call, int]] = []
        self._running: dict[int, tuple[_Call, int]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, calls: list[_Call]) -> None:
        """Encode calls, which are taken out of their list; their rows wait. Drop rows of calls that are done."""
        self._waiting += [placed for call in calls for placed in call.encode(self._model)]
        calls.clear()
        self._waiting = [(call, place) for call, place in self._waiting if not call.future.done()]

    def run_next(self, take: Callable[[int], list[_Call]]) -> None:
        """Run one batch of the rows that wait, if any do, and those that join it of what ``take`` gives meanwhile."""
        if not self._waiting:
            return
        rows = self._model.next_batch([call.rows[place] for call, place in self._waiting], self._max_batch_size)
        chosen = {id(row) for row in rows}
        self._begin([placed for placed in self._waiting if id(_row_of(placed)) in chosen])

        def more(num: int, may_join: Callable[[Any], bool]) -> list[Any]:
            self.add(take(len(self._waiting) + 1))
            waiting = itertools.takewhile(lambda placed: may_join(_row_of(placed)), self._waiting[:num])
            return self._begin(list(waiting))

        feed = RowFeed(rows, self._settle, is_closing=self._is_closing, more=more)
        run_splitting_on_failure(feed, self._model.run)

    def calls(self) -> list[_Call]:
        """Return the calls of all rows that have no outcome."""
        return [call for call, _ in (*self._running.values(), *self._waiting)]

    def clear(self) -> None:
        """Drop all rows."""
        self._waiting, self._running = [], {}

    def _begin(self, placed: list[tuple[_Call, int]]) -> list[Any]:
        rows = [_row_of(each) for each in placed]
        self._running |= {id(row): each for row, each in zip(rows, placed, strict=True)}
        self._waiting = [each for each in self._waiting if id(_row_of(each)) not in self._running]
        return rows

    def _settle(self, row: Any, outcome: Any) -> None:
        call, place = self._running.pop(id(row))
        call.settle(place, outcome, self._model)


def _row_of(placed: tuple[_Call, int]) -> Any:
    call, place = placed
    return call.rows[place]


class BatchWorker(Generic[_Request, _Result]):
    """Answers requests with one model in one thread, so that no event loop waits for arithmetic.

    Rows of requests that wait at the same time run together. Calls may come from any event loop and any thread.
    """

    def __init__(
        self, open_model: Callable[[], BatchModel[_Request, _Result]], *, name: str, max_batch_size: int
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
        """The name it was given."""
        self._open_model = open_model
        self._max_batch_size = max_batch_size
        self._calls: deque[_Call] = deque()
        self._changed = threading.Condition()
        self._is_woken = False
        self._is_closing = threading.Event()
        self._thread: threading.Thread | None = None

    async def load(self) -> None:
        """Load the model in the thread; a second time it does nothing.

        Raises:
            ModelLoadError: it cannot be loaded.
        """
        await self._answer(_Call())

    async def answer(self, request: _Request) -> _Result:
        """Return the model's answer.

        Raises:
            GenerationError: the request cannot be answered, or the worker is closed.
            ModelLoadError: the model cannot be loaded.
        """
        result: _Result = await self._answer(_Call(request))
        return result

    async def aclose(self) -> None:
        """End the running batch as soon as it can be ended, fail the calls that wait, and release the model.

        A second time it does nothing.
        """
        await asyncio.to_thread(self._stop)
        atexit.unregister(self._stop)

    async def _answer(self, call: _Call) -> Any:
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

    def _enqueue(self, call: _Call) -> bool:
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

    def _take(self, num_waiting: int = 0) -> list[_Call]:
        """Return calls from the queue, enough for some batches beside the rows that wait; wait for one if none do.

        None are taken once the worker is closing.
        """
        with self._changed:
            if not num_waiting:
                self._changed.wait_for(lambda: self._is_closing.is_set() or (self._is_woken and bool(self._calls)))
            if self._is_closing.is_set():
                return []
            num_wanted = max(0, _NUM_BATCHES_AHEAD * self._max_batch_size - num_waiting)
            taken = [self._calls.popleft() for _ in range(min(num_wanted, len(self._calls)))]
            self._is_woken = bool(self._calls)
            return taken

    def _serve(self) -> None:
        """Answer calls until closed; this is all that the thread does."""
        while calls := self._take():
            try:
                model = self._open_model()
                with arithmetic_threads(model.model):
                    self._run_until_closed(model, calls)
            except Exception as error:
                _finish_all(calls, error)
        _finish_all(self._calls, self._closed())

    def _run_until_closed(self, model: BatchModel[Any, Any], calls: list[_Call]) -> None:
        queue = _Queue(model, self._max_batch_size, self._is_closing)
        try:
            while not self._is_closing.is_set():
                queue.add(calls)
                try:
                    queue.run_next(self._take)
                except Exception as error:
                    # Of a batch that cannot be chosen, the call to blame is not known.
                    _finish_all(queue.calls(), failure_of(error))
                    queue.clear()
                calls += self._take(len(queue))
        finally:
            _finish_all([*calls, *queue.calls()], self._closed())

    def _closed(self) -> GenerationError:
        return GenerationError(f"{self.name} was closed")


def _finish_all(calls: Iterable[_Call], error: Exception) -> None:
    for call in calls:
        call.finish(error)
