"""A sender's channel to a host: requests go out as they are made, answers come back as they are ready."""

from __future__ import annotations

import asyncio
import itertools
import pickle
from typing import Any

from critic_engine.actors.connection import Connection
from critic_engine.actors.image_transfer import MissingImages, Packed
from critic_engine.actors.model_host import Outcome
from critic_engine.errors import CriticEngineError, GenerationError, ReplicaLostError
from critic_engine.protocols import Generation, Score


class Channel:
    """Carries the requests of one sender to a host until their connection ends."""

    def __init__(self, connection: Connection) -> None:
        """Take over a connection to the host."""
        self._connection = connection
        self._numbers = itertools.count()
        self._answers: dict[int, asyncio.Future[Generation | Score | MissingImages]] = {}
        self._listening = asyncio.create_task(self._listen())
        self.loss: ReplicaLostError | None = None
        """The error of a channel that is dead; None before."""

    async def call(self, request: Packed[Any]) -> Generation | Score | MissingImages:
        """Return the host's answer; the work on a call that is cancelled is ended.

        Raises:
            ReplicaLostError: the host's life has ended.
            GenerationError: the request cannot be sent.
            CriticEngineError: as the host raised it.
        """
        if self.loss is not None:
            raise ReplicaLostError(str(self.loss))
        try:
            payload = pickle.dumps(request, protocol=pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            raise GenerationError(f"the request cannot be sent to another process: {first_line(error)}") from error
        number = next(self._numbers)
        answer: asyncio.Future[Generation | Score | MissingImages] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        self._connection.post(number, payload)
        try:
            return await answer
        except asyncio.CancelledError:
            self._connection.post(number)
            raise
        finally:
            del self._answers[number]
            if answer.done() and not answer.cancelled():
                # A call that is cancelled as it fails does not ask why; asyncio would report that.
                answer.exception()

    async def close(self) -> None:
        """End the channel, and the host's work on its requests."""
        self._lose("the channel was closed")
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)

    async def _listen(self) -> None:
        try:
            async for number, payload in self._connection.records():
                if number not in self._answers:
                    continue
                try:
                    self._settle(number, pickle.loads(payload))
                except Exception as error:
                    reason = f"the host's answer cannot be read: {first_line(error)}"
                    self._settle(number, GenerationError(reason))
        finally:
            self._lose("the connection to the actor ended")

    def _settle(self, number: int, outcome: Outcome) -> None:
        answer = self._answers[number]
        if answer.done():
            return
        if isinstance(outcome, CriticEngineError):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)

    def _lose(self, reason: str) -> None:
        if self.loss is not None:
            return
        self.loss = ReplicaLostError(reason)
        self._connection.close()
        for number in self._answers:
            self._settle(number, ReplicaLostError(reason))


def first_line(error: Exception) -> str:
    """Return the first line of an error's text; Ray's errors go on for pages."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
