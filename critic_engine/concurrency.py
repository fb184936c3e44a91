"""Coroutines run side by side, and an event loop in a thread of its own for synchronous callers."""

import asyncio
import concurrent.futures
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterable
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")


async def gather_or_cancel(work: Iterable[Coroutine[Any, Any, _T]]) -> list[_T]:
    """Return the coroutines' results in order. When one fails, the others are cancelled and have ended.

    Raises:
        Exception: the first failure, as it was raised.
    """
    coroutines = list(work)
    if len(coroutines) == 1:
        return [await coroutines[0]]
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Stream(Generic[_T]):
    """An asynchronous iterator that can be closed while its next item is waited for."""

    def __init__(self, items: AsyncGenerator[_T, None]) -> None:
        """Take the iterator; no other code may use it from here on."""
        self._items = items
        self._task: asyncio.Task[Any] | None = None

    async def next(self) -> _T | None:
        """Return the next item, or None at the end."""
        self._task = asyncio.current_task()
        return await anext(self._items, None)

    async def close(self) -> None:
        """End the iterator, and cancel the caller that waits for it."""
        # An interrupt may have reached the caller before it held anything to cancel.
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._items.aclose()


class LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        """Start the thread."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="critic-engine", daemon=True)
        self._thread.start()

    def submit(self, coroutine: Coroutine[Any, Any, _T]) -> concurrent.futures.Future[_T]:
        """Start ``coroutine`` on the loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def call(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Return the coroutine's result; if the caller is interrupted, the coroutine is cancelled."""
        future = self.submit(coroutine)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Cancel what still runs and end the thread."""
        self.call(_end_other_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _end_other_tasks() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
