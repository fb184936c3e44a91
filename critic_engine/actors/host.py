"""What runs where the model is: a host that answers the requests of any number of senders.

A call of an actor's method costs Ray about half a millisecond, whatever it carries. So requests come in batches, those
that were made while the batch before was on its way, and a sender fetches whatever answers there are.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import time
import uuid
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias, cast

from critic_engine.actors.images import ImageKeeper, Packed
from critic_engine.errors import CriticEngineError, GenerationError, ReplicaLostError
from critic_engine.protocols import Generator, Score, Scorer
from critic_engine.types import Generation, GenerationRequest, Message

_logger = logging.getLogger(__name__)
_MAX_REASON_CHARACTERS = 300
# A sender that has nothing to fetch asks again after this time, so that one which is gone can be told from one that
# waits; it counts as gone when it has not asked for the second time.
_ASK_AGAIN_S = 10.0
_GONE_S = 60.0

AnyRequest: TypeAlias = Packed[Any]
Outcome: TypeAlias = Generation | Score | CriticEngineError


class ModelHost:
    """Holds a generator or a scorer in a process of its own. Every failure is returned, never raised, to keep its type.

    Messages to a host may be cut off by its end at any place. A sender's work is therefore known by a token that only
    this life of the host knows, and whoever comes with another one learns that his work is lost.
    """

    def __init__(self, make: Callable[[], Generator | Scorer]) -> None:
        """Hold what ``make`` returns, which is called by the first ``open``."""
        self._make = make
        self._model: Generator | Scorer | None = None
        self._images = ImageKeeper()
        self._desks: dict[str, _Desk] = {}
        self._loading = asyncio.Lock()

    async def open(self) -> str | CriticEngineError:
        """Return a token for a new sender once the model is ready, or why it is not."""
        try:
            async with self._loading:
                if self._model is None:
                    self._model = self._make()
                await self._model.load()
        except Exception as error:
            return portable(error)
        token = uuid.uuid4().hex
        self._desks[token] = _Desk()
        return token

    async def submit(self, token: str, requests: Sequence[tuple[int, AnyRequest]], cancelled: Sequence[int]) -> None:
        """Begin work on numbered requests, and end the work on those that the sender has cancelled."""
        self._drop_deserted()
        desk = self._desks.get(token)
        if desk is None:
            return
        for number, packed in requests:
            desk.begin(number, self._outcome(packed))
        for number in cancelled:
            desk.cancel(number)

    async def collect(self, token: str) -> list[tuple[int, Outcome]] | CriticEngineError:
        """Return all outcomes that a sender has not fetched yet, by number; waits a while for the first."""
        desk = self._desks.get(token)
        if desk is None:
            return ReplicaLostError("the host was started anew, or has not heard of the sender for too long")
        return await desk.collect()

    async def leave(self, token: str) -> None:
        """End all that a sender has asked for."""
        desk = self._desks.pop(token, None)
        if desk is not None:
            desk.close()

    async def check(self) -> None:
        """Return, which shows that the host's event loop turns."""

    async def aclose(self) -> None:
        """End all work and release the model."""
        for token in list(self._desks):
            await self.leave(token)
        model, self._model = self._model, None
        if model is not None:
            await model.aclose()

    async def _outcome(self, packed: AnyRequest) -> Outcome:
        try:
            return await self._answer(packed)
        except Exception as error:
            return portable(error)

    async def _answer(self, packed: AnyRequest) -> Generation | Score:
        if self._model is None:
            raise ReplicaLostError("the host is closed")
        request: GenerationRequest | tuple[Message, ...] = await self._images.unpack(packed)
        if isinstance(request, GenerationRequest):
            return await cast(Generator, self._model).generate(request)
        return await cast(Scorer, self._model).score(request)

    def _drop_deserted(self) -> None:
        for token in [token for token, desk in self._desks.items() if desk.is_deserted]:
            _logger.warning("a sender is gone; what it asked for is given up")
            self._desks.pop(token).close()


class _Desk:
    """What one sender has asked for."""

    def __init__(self) -> None:
        self._tasks: dict[int, asyncio.Task[Outcome]] = {}
        self._outcomes: list[tuple[int, Outcome]] = []
        self._has_outcomes = asyncio.Event()
        self._num_asking = 0
        self._left_s = time.monotonic()

    @property
    def is_deserted(self) -> bool:
        return not self._num_asking and time.monotonic() - self._left_s > _GONE_S

    def begin(self, number: int, work: Coroutine[Any, Any, Outcome]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[number] = task
        task.add_done_callback(lambda task: self._end(number, task))

    def cancel(self, number: int) -> None:
        task = self._tasks.get(number)
        if task is not None:
            task.cancel()

    async def collect(self) -> list[tuple[int, Outcome]]:
        self._num_asking += 1
        try:
            async with asyncio.timeout(_ASK_AGAIN_S):
                await self._has_outcomes.wait()
        except TimeoutError:
            pass
        finally:
            self._num_asking -= 1
            self._left_s = time.monotonic()
        outcomes, self._outcomes = self._outcomes, []
        self._has_outcomes.clear()
        return outcomes

    def close(self) -> None:
        for number in list(self._tasks):
            self.cancel(number)
        self._has_outcomes.set()

    def _end(self, number: int, task: asyncio.Task[Outcome]) -> None:
        del self._tasks[number]
        if not task.cancelled():
            self._outcomes.append((number, task.result()))
            self._has_outcomes.set()


def portable(error: Exception) -> CriticEngineError:
    """Return ``error`` as one that can cross to another process: our own types as they are, others described."""
    if isinstance(error, CriticEngineError) and _survives_pickling(error):
        return error
    reason = " ".join(str(error).split())[:_MAX_REASON_CHARACTERS]
    # PyTorch's has no common base with Python's, and may not be imported here.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return GenerationError(f"the model ran out of memory: {reason}", is_retryable=True)
    return GenerationError(f"the model failed: {type(error).__name__}: {reason}")


def _survives_pickling(error: CriticEngineError) -> bool:
    try:
        return type(pickle.loads(pickle.dumps(error))) is type(error)
    except Exception:
        return False
