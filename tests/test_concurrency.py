import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from critic_engine.concurrency import gather_or_cancel


class Endless:
    """Work that never ends by itself, and counts how often it was ended."""

    def __init__(self) -> None:
        self.num_ended = 0

    def work(self, num: int) -> list[Coroutine[Any, Any, None]]:
        return [self._wait() for _ in range(num)]

    async def _wait(self) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            self.num_ended += 1


def test_results_come_in_order() -> None:
    async def late(number: int) -> int:
        await asyncio.sleep(0.001 * (5 - number))
        return number

    for num in range(5):
        assert asyncio.run(gather_or_cancel(late(number) for number in range(num))) == list(range(num))


def test_first_failure_ends_the_others_before_it_is_raised() -> None:
    endless = Endless()

    async def failing() -> None:
        await asyncio.sleep(0)
        raise ValueError("first")

    with pytest.raises(ValueError, match="first"):
        asyncio.run(gather_or_cancel([*endless.work(1), failing(), *endless.work(1)]))
    assert endless.num_ended == 2


def test_cancelling_the_caller_ends_all() -> None:
    endless = Endless()

    async def scenario() -> None:
        task = asyncio.create_task(gather_or_cancel(endless.work(2)))
        await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert endless.num_ended == 2

    asyncio.run(scenario())
