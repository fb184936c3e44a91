import asyncio

import pytest

from critic_engine.together import together


def test_results_come_in_order() -> None:
    async def late(number: int) -> int:
        await asyncio.sleep(0.001 * (5 - number))
        return number

    for num in range(5):
        assert asyncio.run(together(late(number) for number in range(num))) == list(range(num))


def test_first_failure_ends_the_others_before_it_is_raised() -> None:
    ended: list[str] = []

    async def endless() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("endless")

    async def failing() -> None:
        await asyncio.sleep(0)
        raise ValueError("first")

    with pytest.raises(ValueError, match="first"):
        asyncio.run(together([endless(), failing(), endless()]))
    assert ended == ["endless", "endless"]


def test_cancelling_the_caller_ends_all() -> None:
    ended: list[str] = []

    async def endless() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("endless")

    async def scenario() -> None:
        task = asyncio.create_task(together([endless(), endless()]))
        await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == ["endless", "endless"]

    asyncio.run(scenario())
