"""The process that holds a model: a host that answers the requests of any number of senders."""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from critic_engine.actors.connection import Address, Connection, Listener
from critic_engine.actors.image_transfer import ImageKeeper, MissingImages
from critic_engine.errors import CriticEngineError, GenerationError
from critic_engine.protocols import Generation, Score
from critic_engine.replicas.supervisor import Replica, release
from critic_engine.types import Image

_logger = logging.getLogger(__name__)
_MAX_REASON_CHARACTERS = 300

Outcome: TypeAlias = Generation | Score | MissingImages | CriticEngineError


class ModelHost:
    """Holds a model's replica in a process of its own. Every failure is returned, never raised, to keep its type.

    Ray calls it to start the replica, to bring images and to watch it. The senders' pools supervise the replica: none
    of its failures is mended here unless a sender calls ``open`` again. Requests come over a connection for each
    sender: a record with a packed request, or an empty one that cancels the request of that number; the outcome of a
    request goes back as a record with its number.
    """

    def __init__(self, make: Callable[[], Replica[Any, Any]], *, stop_timeout_s: float = 60.0) -> None:
        """Hold the replica that ``make`` returns; the first ``open`` calls it.

        Args:
            make: Called in this process.
            stop_timeout_s: A replica that does not stop for so long is left to itself when it is started again.
        """
        self._make = make
        self._stop_timeout_s = stop_timeout_s
        self._replica: Replica[Any, Any] | None = None
        self._is_started = False
        self._images = ImageKeeper()
        self._listener = Listener(self._serve)
        self._connections: set[Connection] = set()
        self._loading = asyncio.Lock()

    async def open(self, host: str | None = None) -> Address | CriticEngineError:
        """Return the address that answers requests once the replica works, or the error that keeps it from working.

        A replica that was lost is started again.

        Args:
            host: The address of this machine to listen at; the one by which Ray's nodes reach it unless given.
        """
        try:
            async with self._loading:
                if self._replica is None:
                    self._replica = self._make()
                if not self._is_started or await self.check() is not None:
                    self._is_started = False
                    await release(self._replica, name="the actor", timeout_s=self._stop_timeout_s)
                    await self._replica.start()
                    self._is_started = True
                if host is None:
                    import ray

                    host = str(ray.util.get_node_ip_address())
                return await self._listener.open(host)
        except Exception as error:
            return portable(error)

    async def keep(self, refs: Mapping[str, Awaitable[Image]]) -> list[str]:
        """Fetch images by their references in ``refs``, keyed by digest; return the digests of those that are gone."""
        images = await asyncio.gather(*(_fetched(ref) for ref in refs.values()))
        for image in images:
            if image is not None:
                self._images.add(image)
        return [digest for digest, image in zip(refs, images, strict=True) if image is None]

    async def check(self) -> CriticEngineError | None:
        """Return the error of a replica that was lost, else None. That this returns shows that the event loop turns."""
        try:
            if self._replica is not None:
                await self._replica.check()
        except Exception as error:
            return portable(error)
        return None

    async def aclose(self) -> None:
        """End all work and release the replica."""
        self._listener.close()
        for connection in list(self._connections):
            connection.close()
        replica, self._replica = self._replica, None
        if replica is not None:
            await replica.stop()

    async def _serve(self, connection: Connection) -> None:
        if self._replica is None:
            return
        self._connections.add(connection)
        try:
            await _SenderSession(self._replica, self._images, connection).serve()
        finally:
            self._connections.remove(connection)


class _SenderSession:
    """Serves the requests of one sender. Not part of the actor's class, because Ray wraps each method of that."""

    def __init__(self, replica: Replica[Any, Any], images: ImageKeeper, connection: Connection) -> None:
        self._replica = replica
        self._images = images
        self._connection = connection
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def serve(self) -> None:
        """Begin and cancel work as the sender asks, until the connection ends; then cancel all work."""
        try:
            async for number, payload in self._connection.records():
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
            request = self._images.unpack(pickle.loads(payload))
            is_complete = not isinstance(request, MissingImages)
            outcome = pickle.dumps(await self._replica.call(request) if is_complete else request)
        except asyncio.CancelledError:
            if self._tasks.get(number) is not asyncio.current_task():
                raise
            # Nobody here cancelled it: the sender waits.
            outcome = pickle.dumps(GenerationError("the model dropped the request", is_retryable=True))
        except Exception as error:
            outcome = pickle.dumps(portable(error))
        self._tasks.pop(number, None)
        self._connection.post(number, outcome)


def portable(error: Exception) -> CriticEngineError:
    """Return an error that can cross to another process: ``error`` itself if its type is ours, else a description."""
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
