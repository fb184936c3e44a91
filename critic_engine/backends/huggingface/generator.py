"""A generator over any Hugging Face model with a chat template; concurrent requests share batches."""

from __future__ import annotations

import asyncio
import atexit
import functools
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from critic_engine.backends.huggingface.batch_generation import BatchDrawer, arithmetic_threads
from critic_engine.backends.huggingface.batching import Row, next_batch
from critic_engine.backends.huggingface.checkpoint import (
    Checkpoint,
    CheckpointOptions,
    CheckpointSummary,
    load_checkpoint,
    summarise,
)
from critic_engine.backends.huggingface.encoding import PromptEncoder
from critic_engine.errors import GenerationError
from critic_engine.types import Generation, GenerationRequest, Sample, TokenUsage

_logger = logging.getLogger(__name__)

_NUM_DRAIN_ROUNDS = 8
_NUM_BATCHES_AHEAD = 4
_MAX_EXIT_S = 10.0


@dataclass(slots=True, eq=False)
class _Call:
    """One request on its way to an answer."""

    request: GenerationRequest
    future: Future[Generation] = field(default_factory=Future)
    num_prompt_tokens: int = 0
    samples: list[Sample | None] = field(default_factory=list)

    def settle(self, place: int, outcome: Sample | GenerationError) -> None:
        """Take one row's outcome; the last sample, or the first error, answers the call."""
        if isinstance(outcome, GenerationError):
            self.fail(outcome)
            return
        self.samples[place] = outcome
        if None not in self.samples:
            self.finish()

    def finish(self) -> None:
        """Answer with the samples, unless the call is answered or was cancelled."""
        samples = tuple(sample for sample in self.samples if sample is not None)
        if self._can_answer():
            generated = sum(sample.num_tokens for sample in samples)
            self.future.set_result(Generation(samples, TokenUsage(self.num_prompt_tokens, generated)))

    def fail(self, error: Exception) -> None:
        """Answer with an error, unless the call is answered or was cancelled."""
        if self._can_answer():
            self.future.set_exception(error)

    def _can_answer(self) -> bool:
        return not self.future.done() and self.future.set_running_or_notify_cancel()


@dataclass(frozen=True, slots=True, eq=False)
class _PlacedRow:
    call: _Call
    place: int
    row: Row


class HuggingFaceGenerator:
    """Answers requests with one model, in one worker thread, so that the event loop never waits for arithmetic.

    Requests that wait at the same time are drawn together. A request's samples depend on its own seeds and not on its
    companions (up to the rounding of batched arithmetic). Calls may come from any event loop and any thread.
    """

    def __init__(self, open_checkpoint: Callable[[], Checkpoint], *, name: str, max_batch_size: int) -> None:
        """Build without loading: ``open_checkpoint`` is called by ``load`` or by the first request.

        Args:
            open_checkpoint: Returns the model; called once, and again only when it raised.
            name: What a person calls the generator.
            max_batch_size: At most this many samples are drawn side by side; at least 1.
        """
        if max_batch_size < 1:
            raise ValueError(f"max_batch_size is {max_batch_size}; it must be at least 1")
        self._open_checkpoint = open_checkpoint
        self._name = name
        self._max_batch_size = max_batch_size
        self._checkpoint: Checkpoint | None = None
        self._loading = threading.Lock()
        self._calls: deque[_Call] = deque()
        self._changed = threading.Condition()
        self._is_woken = False
        self._is_closing = threading.Event()
        self._worker: threading.Thread | None = None

    @classmethod
    def from_pretrained(
        cls, options: CheckpointOptions, *, name: str | None = None, max_batch_size: int
    ) -> HuggingFaceGenerator:
        """Return a generator over the checkpoint of ``options``, not loaded yet."""
        return cls(
            functools.partial(load_checkpoint, options),
            name=name or f"huggingface:{Path(options.model).name}",
            max_batch_size=max_batch_size,
        )

    @property
    def name(self) -> str:
        """``huggingface:`` and the last part of the model's name, unless another was given."""
        return self._name

    async def load(self) -> None:
        """Load the model in the worker thread; a second time it does nothing.

        Raises:
            ModelLoadError: it cannot be loaded.
        """
        await self._answer(GenerationRequest(messages=(), seeds=()))

    def describe(self) -> CheckpointSummary:
        """Return where and how the model is held; loads it if need be.

        Raises:
            ModelLoadError: it cannot be loaded.
        """
        return summarise(self._loaded())

    async def generate(self, request: GenerationRequest) -> Generation:
        """Return one sample a seed, cut where the model's context ends.

        ``usage`` counts the prompt once, however many samples are drawn from it.

        Raises:
            ModelLoadError: the model cannot be loaded.
            ContextOverflowError: the prompt leaves no room for a token in the model's context.
            GenerationError: the request cannot be answered; retryable when memory ran out.
        """
        if not request.seeds:
            return Generation((), TokenUsage())
        return await self._answer(request)

    async def aclose(self) -> None:
        """End what is being drawn within a token, fail what waits, and let go of the model. May be called again."""
        await asyncio.to_thread(self._stop)
        self._checkpoint = None
        atexit.unregister(self._stop)

    async def _answer(self, request: GenerationRequest) -> Generation:
        """Return what the worker makes of ``request``; without seeds it only loads the model."""
        call = _Call(request)
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

    def _loaded(self) -> Checkpoint:
        with self._loading:
            if self._checkpoint is None:
                self._checkpoint = self._open_checkpoint()
            return self._checkpoint

    def _stop(self, timeout_s: float | None = None) -> None:
        """Have the worker end, and wait for it at most ``timeout_s``."""
        with self._changed:
            self._is_closing.set()
            self._changed.notify()
        if self._worker is not None:
            self._worker.join(timeout_s)

    def _enqueue(self, call: _Call) -> bool:
        """Add ``call`` and return whether it is the only one that waits."""
        with self._changed:
            if self._is_closing.is_set():
                raise GenerationError(f"{self._name} is closed")
            if self._worker is None:
                self._worker = threading.Thread(target=self._serve, name=self._name, daemon=True)
                self._worker.start()
                # An interpreter that exits under a thread inside torch aborts; a load that hangs must not hold it up.
                atexit.register(self._stop, _MAX_EXIT_S)
            self._calls.append(call)
            return len(self._calls) == 1

    def _wake(self) -> None:
        with self._changed:
            self._is_woken = True
            self._changed.notify()

    def _take(self, limit: int, *, can_wait: bool) -> list[_Call]:
        """Return up to ``limit`` calls from the queue, waiting for one if allowed."""
        with self._changed:
            if can_wait:
                self._changed.wait_for(lambda: self._is_closing.is_set() or (self._is_woken and bool(self._calls)))
            taken = [self._calls.popleft() for _ in range(min(limit, len(self._calls)))]
            self._is_woken = bool(self._calls)
            return taken

    def _serve(self) -> None:
        """Answer calls until closed; the worker thread's whole life."""
        while not self._is_closing.is_set():
            calls = self._take(_NUM_BATCHES_AHEAD * self._max_batch_size, can_wait=True)
            try:
                checkpoint = self._loaded()
            except Exception as error:
                _fail_all(calls, error)
            else:
                with arithmetic_threads(checkpoint.model):
                    self._draw_until_closed(checkpoint, calls)
        _fail_all(self._calls, GenerationError(f"{self._name} was closed"))

    def _draw_until_closed(self, checkpoint: Checkpoint, calls: list[_Call]) -> None:
        encoder = PromptEncoder(checkpoint)
        drawer = BatchDrawer(checkpoint, is_closing=self._is_closing)
        waiting: list[_PlacedRow] = []
        try:
            while not self._is_closing.is_set():
                num_wanted = max(0, _NUM_BATCHES_AHEAD * self._max_batch_size - len(waiting))
                calls += self._take(num_wanted, can_wait=not (calls or waiting))
                waiting += [placed for call in calls for placed in _rows_of(call, encoder)]
                calls.clear()
                waiting = [placed for placed in waiting if not placed.call.future.done()]
                if waiting:
                    waiting = self._draw_next(waiting, drawer)
        finally:
            closed = GenerationError(f"{self._name} was closed")
            _fail_all([*calls, *(placed.call for placed in waiting)], closed)

    def _draw_next(self, waiting: list[_PlacedRow], drawer: BatchDrawer) -> list[_PlacedRow]:
        """Draw one batch of ``waiting`` and return the rows that still wait."""
        owners = {id(placed.row): placed for placed in waiting}
        batch = next_batch([placed.row for placed in waiting], self._max_batch_size)
        _logger.debug("%s draws %d of %d rows", self._name, len(batch), len(waiting))
        for row, outcome in zip(batch, drawer.draw(batch), strict=True):
            placed = owners.pop(id(row))
            placed.call.settle(placed.place, outcome)
        return list(owners.values())


def _rows_of(call: _Call, encoder: PromptEncoder) -> list[_PlacedRow]:
    """Return the rows of a call, none when it was cancelled or cannot be encoded."""
    if call.future.cancelled():
        return []
    if not call.request.seeds:
        call.finish()
        return []
    try:
        prompt = encoder.encode(call.request)
    except GenerationError as error:
        call.fail(error)
        return []
    call.num_prompt_tokens = len(prompt.token_ids)
    call.samples = [None] * len(call.request.seeds)
    sampling = encoder.fit(call.request.sampling, prompt)
    rows = [Row(prompt, sampling, seed) for seed in call.request.seeds]
    return [_PlacedRow(call, place, row) for place, row in enumerate(rows)]


def _fail_all(calls: Iterable[_Call], error: Exception) -> None:
    for call in calls:
        call.fail(error)
