import asyncio
import contextlib
import dataclasses
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import pytest

from critic_engine.actors.connection import Address, Connection, Listener, connect


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 300))


@contextlib.asynccontextmanager
async def listening(
    serve: Callable[[Connection], Awaitable[None]], *, greeting_s: float = 5.0
) -> AsyncIterator[Address]:
    listener = Listener(serve, greeting_s=greeting_s)
    yield await listener.open("127.0.0.1")
    listener.close()


async def echo(connection: Connection) -> None:
    async for number, payload in connection.records():
        connection.post(number + 1, payload[::-1])


def test_records_arrive_whole_and_in_order() -> None:
    sizes = [0, 1, 70_000, 3, 5_000_000, 2]

    async def scenario() -> None:
        answers = []
        async with listening(echo) as address:
            connection = await connect(address)
            for number, size in enumerate(sizes):
                connection.post(number, bytes([number]) * size)
            async for record in connection.records():
                answers.append(record)
                if len(answers) == len(sizes):
                    connection.close()
        assert answers == [(number + 1, bytes([number]) * size) for number, size in enumerate(sizes)]

    run(scenario)


def test_what_was_posted_before_closing_arrives() -> None:
    received: list[tuple[int, bytes]] = []
    ended = asyncio.Event()

    async def collect(connection: Connection) -> None:
        received.extend([record async for record in connection.records()])
        ended.set()

    async def scenario() -> None:
        async with listening(collect) as address:
            connection = await connect(address)
            connection.post(1, b"last words")
            connection.close()
            connection.post(2, b"too late")
            await ended.wait()
        assert received == [(1, b"last words")]

    run(scenario)


def test_caller_without_the_key_is_not_listened_to() -> None:
    served: list[Connection] = []

    async def serve(connection: Connection) -> None:
        served.append(connection)

    async def scenario() -> None:
        async with listening(serve) as address:
            with pytest.raises(OSError, match="hung up"):
                await connect(dataclasses.replace(address, caller_key=bytes(32)))
        assert served == []

    run(scenario)


def test_listener_without_the_key_is_not_read() -> None:
    async def scenario() -> None:
        async with listening(echo) as address:
            with pytest.raises(OSError, match="another process"):
                await connect(dataclasses.replace(address, listener_key=bytes(32)))

    run(scenario)


def test_nobody_at_the_address_is_an_error() -> None:
    async def scenario() -> None:
        async with listening(echo) as address:
            pass
        with pytest.raises(ConnectionRefusedError):
            await connect(address)

    run(scenario)


def test_much_at_once_arrives() -> None:
    async def scenario() -> None:
        async with listening(echo) as address:
            connection = await connect(address)
            for number in range(100):
                connection.post(number, bytes(2**20))
            num_received = 0
            async for _ in connection.records():
                num_received += 1
                if num_received == 100:
                    connection.close()

    run(scenario)


def test_caller_that_says_nothing_is_hung_up_on() -> None:
    async def scenario() -> None:
        async with listening(echo, greeting_s=0.05) as address:
            reader, writer = await asyncio.open_connection(address.host, address.port)
            assert await reader.read() == b""
            writer.close()

    run(scenario)


def test_record_that_is_cut_off_is_dropped() -> None:
    async def stammer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(32)
        writer.write(bytes(32) + struct.pack(">QI", 1, 2) + b"ab" + struct.pack(">QI", 2, 2) + b"a")
        writer.close()

    async def scenario() -> None:
        async with await asyncio.start_server(stammer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            connection = await connect(Address("127.0.0.1", port, caller_key=bytes(32), listener_key=bytes(32)))
            assert [record async for record in connection.records()] == [(1, b"ab")]
            connection.close()

    run(scenario)
