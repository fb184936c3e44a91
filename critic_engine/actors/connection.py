"""A connection between two processes that carries numbered records, in order.

Ray places, starts and watches the processes. Its calls pass through threads that hand them to each other, which costs a
search by small models a third of its speed; ``bench/results/ray_overhead_cpu_202611.md`` has the figures of both ways.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import secrets
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

_HEADER = struct.Struct(">QI")
_KEY_BYTES = 32
_CONNECT_S = 10.0
# A peer whose machine went down is silent: it is given up after 70 s, whether it was idle (30 s and four probes 10 s
# apart) or owes acknowledgements (in ms).
_KEEPALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 4), ("TCP_USER_TIMEOUT", 70_000))


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a listening process, and the keys by which the two ends of a connection know each other."""

    host: str
    port: int
    caller_key: bytes
    """Sent first by the process that connects; a process that does not know it is not served."""
    listener_key: bytes
    """Sent in return; records are read from a process that knows it only."""


class Connection:
    """One end of a connection. Its records may be unpickled, which can run code: the other end has sent its key."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take over a connection after both ends have shown their keys."""
        self._reader = reader
        self._writer = writer
        self._outbox: list[bytes] = []
        self._loop = asyncio.get_running_loop()

    def post(self, number: int, payload: bytes = b"") -> None:
        """Send a record; those of one turn of the event loop travel together. On a connection that ended it is lost."""
        if not self._outbox:
            self._loop.call_soon(self._flush)
        self._outbox += (_HEADER.pack(number, len(payload)), payload)

    async def records(self) -> AsyncIterator[tuple[int, bytes]]:
        """Yield the records that the other end posts, until the connection ends."""
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                number, size = _HEADER.unpack(await self._reader.readexactly(_HEADER.size))
                yield number, await self._reader.readexactly(size)

    def close(self) -> None:
        """Send the posted records, and end the connection."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        # The outbox has no limit of its own: it holds no more than the requests in flight, which are bounded.
        data, self._outbox = b"".join(self._outbox), []
        if data and not self._writer.is_closing():
            self._writer.write(data)


class Listener:
    """Listens for connections, each of which it gives to ``serve``."""

    def __init__(self, serve: Callable[[Connection], Awaitable[None]], *, greeting_s: float = 10.0) -> None:
        """Give each connection to ``serve`` until it ends; the other end has ``greeting_s`` to send its key."""
        self._serve = serve
        self._greeting_s = greeting_s
        self._server: asyncio.Server | None = None
        self._keys = (secrets.token_bytes(_KEY_BYTES), secrets.token_bytes(_KEY_BYTES))

    async def open(self, host: str) -> Address:
        """Listen at a free port of ``host``, an address of this machine, and return where; a second time, where too."""
        if self._server is None:
            self._server = await asyncio.start_server(self._greet, host, 0)
        return Address(host, self._server.sockets[0].getsockname()[1], *self._keys)

    def close(self) -> None:
        """Listen no more; connections stay."""
        if self._server is not None:
            self._server.close()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        caller_key, listener_key = self._keys
        try:
            _tune(writer)
            async with asyncio.timeout(self._greeting_s):
                is_known = hmac.compare_digest(await reader.readexactly(_KEY_BYTES), caller_key)
            if is_known:
                writer.write(listener_key)
                await self._serve(Connection(reader, writer))
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()


async def connect(address: Address) -> Connection:
    """Return a connection to the process that listens at ``address``.

    Raises:
        OSError: no process is reached there in time, or another process listens there.
    """
    async with asyncio.timeout(_CONNECT_S):
        reader, writer = await asyncio.open_connection(address.host, address.port)
        try:
            _tune(writer)
            writer.write(address.caller_key)
            if not hmac.compare_digest(await reader.readexactly(_KEY_BYTES), address.listener_key):
                raise OSError("another process listens there")
        except BaseException as error:
            writer.close()
            if isinstance(error, asyncio.IncompleteReadError):
                raise OSError("the other end hung up") from error
            raise
    return Connection(reader, writer)


def _tune(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
