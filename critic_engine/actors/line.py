"""A sender's line to a host: requests go out in batches, answers come back as they are there."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from critic_engine.actors.host import AnyRequest, Outcome
from critic_engine.errors import CriticEngineError, ReplicaLostError
from critic_engine.protocols import Score
from critic_engine.types import Generation


class Line:
    """Carries the requests of one sender to one life of a host."""

    def __init__(self, handle: Any, token: str) -> None:
        """Use the actor's ``handle`` with the ``token`` that its ``open`` gave."""
        self._handle = handle
        self._token = token
        self._loop = asyncio.get_running_loop()
        self._numbers = itertools.count()
        self._answers: dict[int, asyncio.Future[Generation | Score]] = {}
        self._requests: list[tuple[int, AnyRequest]] = []
        self._cancelled: list[int] = []
        self._submitting: asyncio.Task[None] | None = None
        self._collecting = self._loop.create_task(self._collect())
        self._is_flush_due = False
        self.loss: ReplicaLostError | None = None
        """Why the line is dead, once it is."""

    async def call(self, request: AnyRequest) -> Generation | Score:
        """Return the host's answer; the work on a call that is cancelled is ended.

        Raises:
            ReplicaLostError: the host's life has ended.
            CriticEngineError: as the host raised it.
        """
        if self.loss is not None:
            raise ReplicaLostError(str(self.loss))
        number = next(self._numbers)
        answer: asyncio.Future[Generation | Score] = self._loop.create_future()
        self._answers[number] = answer
        self._requests.append((number, request))
        self._flush_soon()
        try:
            return await answer
        except asyncio.CancelledError:
            self._cancelled.append(number)
            self._flush_soon()
            raise
        finally:
            del self._answers[number]
            if answer.done() and not answer.cancelled():
                # A call that is cancelled as it fails does not ask why; asyncio would report that.
                answer.exception()

    async def close(self) -> None:
        """End the line, and at the host what was asked for over it."""
        if self.loss is None:
            self._lose("the line was closed")
            self._handle.leave.remote(self._token)
        tasks = [self._collecting] if self._submitting is None else [self._collecting, self._submitting]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _flush_soon(self) -> None:
        if not self._is_flush_due:
            self._is_flush_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flush_due = False
        if self._submitting is None or self._submitting.done():
            self._submitting = self._loop.create_task(self._submit_all())

    async def _submit_all(self) -> None:
        # One batch after another: Ray does not keep the order of calls, and a cancellation must find its request there.
        while self.loss is None and (self._requests or self._cancelled):
            requests, self._requests = self._requests, []
            cancelled, self._cancelled = self._cancelled, []
            await self._submit(requests, cancelled)

    async def _submit(self, requests: list[tuple[int, AnyRequest]], cancelled: list[int]) -> None:
        # A batch that cannot be pickled here or read there counts as lost too: its requests are sent again, each alone
        # at last, so that the guilty one is found out.
        try:
            await self._handle.submit.remote(self._token, requests, cancelled)
        except Exception as error:
            self._lose(first_line(error))

    async def _collect(self) -> None:
        try:
            while isinstance(outcomes := await self._handle.collect.remote(self._token), list):
                for number, outcome in outcomes:
                    self._settle(number, outcome)
        except Exception as error:
            self._lose(first_line(error))
        else:
            self._lose(str(outcomes))

    def _settle(self, number: int, outcome: Outcome) -> None:
        answer = self._answers.get(number)
        if answer is None or answer.done():
            return
        if isinstance(outcome, CriticEngineError):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)

    def _lose(self, reason: str) -> None:
        if self.loss is not None:
            return
        self.loss = ReplicaLostError(reason)
        for number in list(self._answers):
            self._settle(number, ReplicaLostError(reason))


def first_line(error: Exception) -> str:
    """Return the first line of what ``error`` says; Ray's errors go on with pages."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
