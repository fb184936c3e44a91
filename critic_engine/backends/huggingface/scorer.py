"""A scorer over a Hugging Face model for sequence classification; concurrent requests share batches."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from critic_engine.backends.huggingface.batch_generation import arithmetic_threads
from critic_engine.backends.huggingface.checkpoint import CheckpointOptions
from critic_engine.backends.huggingface.classifier import BatchScorer, Classifier, load_classifier
from critic_engine.errors import GenerationError
from critic_engine.protocols import Score
from critic_engine.types import Message

_NUM_DRAIN_ROUNDS = 8
_NUM_BATCHES_AHEAD = 4


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    """One conversation on its way to a score."""

    messages: tuple[Message, ...]
    future: Future[Score] = field(default_factory=Future)

    def settle(self, outcome: Score | Exception) -> None:
        """Answer, unless the call is answered or was cancelled."""
        if self.future.done() or not self.future.set_running_or_notify_cancel():
            return
        if isinstance(outcome, Exception):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)


class HuggingFaceScorer:
    """Scores conversations with one model, in one worker thread: the sigmoid of the model's logit.

    A conversation is written by the tokenizer's chat template; without one, its texts stand with an empty line between
    them. Those that wait at the same time are scored together. Calls may come from any event loop and any thread.
    """

    def __init__(self, open_classifier: Callable[[], Classifier], *, name: str, max_batch_size: int) -> None:
        """Build without loading: ``open_classifier`` is called by ``load`` or by the first request.

        Args:
            open_classifier: Returns the model; called once, and again only when it raised.
            name: What a person calls the scorer.
            max_batch_size: At most this many conversations are scored side by side; at least 1.
        """
        if max_batch_size < 1:
            raise ValueError(f"max_batch_size is {max_batch_size}; it must be at least 1")
        self._open_classifier = open_classifier
        self._name = name
        self._max_batch_size = max_batch_size
        self._scorer: BatchScorer | None = None
        self._loading = threading.Lock()
        self._calls: deque[_Call] = deque()
        self._queue = threading.Lock()
        self._is_closing = threading.Event()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    @classmethod
    def from_pretrained(cls, options: CheckpointOptions, *, max_batch_size: int) -> HuggingFaceScorer:
        """Return a scorer over the checkpoint of ``options``, not loaded yet."""
        name = f"huggingface:{Path(options.model).name}"
        return cls(functools.partial(load_classifier, options), name=name, max_batch_size=max_batch_size)

    @property
    def name(self) -> str:
        """``huggingface:`` and the last part of the model's name."""
        return self._name

    async def load(self) -> None:
        """Load the model in the worker thread; a second time it does nothing.

        Raises:
            ModelLoadError: it cannot be loaded.
        """
        await asyncio.get_running_loop().run_in_executor(self._worker, self._loaded)

    async def score(self, messages: tuple[Message, ...]) -> Score:
        """Return the model's value of a conversation, of which it reads the texts.

        Raises:
            ModelLoadError: the model cannot be loaded.
            ContextOverflowError: the conversation is longer than the model's context.
            GenerationError: it cannot be scored; retryable when memory ran out.
        """
        call = _Call(messages)
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

    async def aclose(self) -> None:
        """Let what is being scored end, fail what waits, and let go of the model. May be called again."""
        with self._queue:
            self._is_closing.set()
        await asyncio.to_thread(self._worker.shutdown)
        for call in self._take(len(self._calls)):
            call.settle(GenerationError(f"{self._name} was closed"))
        self._scorer = None

    def _loaded(self) -> BatchScorer:
        with self._loading:
            if self._scorer is None:
                self._scorer = BatchScorer(self._open_classifier())
            return self._scorer

    def _enqueue(self, call: _Call) -> bool:
        """Add ``call`` and return whether it is the only one that waits."""
        with self._queue:
            if self._is_closing.is_set():
                raise GenerationError(f"{self._name} is closed")
            self._calls.append(call)
            return len(self._calls) == 1

    def _wake(self) -> None:
        with self._queue:
            if not self._is_closing.is_set():
                self._worker.submit(self._answer_all)

    def _take(self, limit: int) -> list[_Call]:
        with self._queue:
            return [self._calls.popleft() for _ in range(min(limit, len(self._calls)))]

    def _answer_all(self) -> None:
        """Score in the worker thread until nothing waits, or the scorer is closed."""
        while not self._is_closing.is_set() and (calls := self._take(_NUM_BATCHES_AHEAD * self._max_batch_size)):
            try:
                scorer = self._loaded()
                with arithmetic_threads(scorer.classifier.model):
                    self._answer(calls, scorer)
            except Exception as error:
                for call in calls:
                    call.settle(error)

    def _answer(self, calls: Sequence[_Call], scorer: BatchScorer) -> None:
        encoded: list[tuple[_Call, list[int]]] = []
        for call in calls:
            if call.future.cancelled():
                continue
            try:
                encoded.append((call, scorer.encode(call.messages)))
            except GenerationError as error:
                call.settle(error)
        encoded.sort(key=lambda pair: len(pair[1]))
        for start in range(0, len(encoded), self._max_batch_size):
            batch = encoded[start : start + self._max_batch_size]
            outcomes = scorer.score([token_ids for _, token_ids in batch], is_closing=self._is_closing)
            for (call, _), outcome in zip(batch, outcomes, strict=True):
                call.settle(outcome)
