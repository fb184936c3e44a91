"""What runs where the model is: a host that answers the requests of any number of senders."""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, cast

from critic_engine.actors.connection import Address, Listener, Wire, dumps, loads
from critic_engine.actors.image_transfer import ImageKeeper, MissingImages, Packed
from critic_engine.errors import CriticEngineError, GenerationError
from critic_engine.protocols import Generator, Score, Scorer
from critic_engine.replicas.pooled_model import PooledGenerator, PooledScorer
from critic_engine.types import Generation, GenerationRequest, Image, Message

_logger = logging.getLogger(__name__)
_MAX_REASON_CHARACTERS = 300

AnyRequest: TypeAlias = Packed[Any]
Outcome: TypeAlias = Generation | Score | MissingImages | CriticEngineError


class ModelHost:
    """Holds a generator or a scorer in a process of its own. Every failure is returned, never raised, to keep its type.

    Ray calls it to load the model, to bring images and to watch it. Requests come over a wire for each sender: a record
    with a packed request, or an empty one that cancels the request of that number; what comes of a request goes back as
    a record with its number.
    """

    def __init__(self, make: Callable[[], Generator | Scorer]) -> None:
        """Hold what ``make`` returns, which is called by the first ``open``."""
        self._make = make
        self._model: Generator | Scorer | None = None
        self._images = ImageKeeper()
        self._listener = Listener(self._serve)
        self._wires: set[Wire] = set()
        self._loading = asyncio.Lock()

    async def open(self, host: str | None = None) -> Address | CriticEngineError:
        """Return where requests are answered once the model is ready, or why it is not.

        Args:
            host: The address of this machine to listen at; the one by which Ray's nodes reach it unless given.
        """
        try:
            async with self._loading:
                if self._model is None:
                    self._model = self._make()
                await self._model.load()
                return await self._listener.open(host or _node_address())
        except Exception as error:
            return portable(error)

    async def keep(self, refs: Mapping[str, Awaitable[Image]]) -> list[str]:
        """Fetch images, given where they lie by their digests; return the digests of those that are gone."""
        images = await asyncio.gather(*(_fetched(ref) for ref in refs.values()))
        for image in images:
            if image is not None:
                self._images.add(image)
        return [digest for digest, image in zip(refs, images, strict=True) if image is None]

    async def check(self) -> CriticEngineError | None:
        """Return why the model is gone, if it is. That this returns shows that the host's event loop turns."""
        if isinstance(self._model, PooledGenerator | PooledScorer):
            return self._model.absence
        return None

    async def aclose(self) -> None:
        """End all work and release the model."""
        self._listener.close()
        for wire in list(self._wires):
            wire.close()
        model, self._model = self._model, None
        if model is not None:
            await model.aclose()

    async def _serve(self, wire: Wire) -> None:
        if self._model is None:
            return
        self._wires.add(wire)
        try:
            await _Desk(self._model, self._images, wire).serve()
        finally:
            self._wires.remove(wire)


class _Desk:
    """Works on what one sender asks for. No part of the actor's class: Ray wraps each method of that."""

    def __init__(self, model: Generator | Scorer, images: ImageKeeper, wire: Wire) -> None:
        self._model = model
        self._images = images
        self._wire = wire
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def serve(self) -> None:
        """Begin and cancel work as the sender says, until the connection ends, and with it all work."""
        try:
            async for number, payload in self._wire.records():
                if payload:
                    self._tasks[number] = asyncio.create_task(self._work(number, payload))
                elif number in self._tasks:
                    # Not left to the task itself, which may be cancelled before its first step.
                    self._tasks.pop(number).cancel()
        finally:
            while self._tasks:
                self._tasks.popitem()[1].cancel()

    async def _work(self, number: int, payload: bytes) -> None:
        try:
            outcome = dumps(await self._answer(payload))
        except asyncio.CancelledError:
            if self._tasks.get(number) is not asyncio.current_task():
                raise
            # Nobody here cancelled it: the sender waits.
            outcome = dumps(GenerationError("the model dropped the request", is_retryable=True))
        except Exception as error:
            outcome = dumps(portable(error))
        self._tasks.pop(number, None)
        self._wire.post(number, outcome)

    async def _answer(self, payload: bytes) -> Outcome:
        packed: AnyRequest = loads(payload)
        request: GenerationRequest | tuple[Message, ...] | MissingImages = self._images.unpack(packed)
        if isinstance(request, MissingImages):
            return request
        if isinstance(request, GenerationRequest):
            return await cast(Generator, self._model).generate(request)
        return await cast(Scorer, self._model).score(request)


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


async def _fetched(ref: Awaitable[Image]) -> Image | None:
    try:
        return await ref
    except Exception as error:
        _logger.warning("an image could not be fetched from the object store: %s", " ".join(str(error).split())[:300])
        return None


def _node_address() -> str:
    import ray

    return str(ray.util.get_node_ip_address())
