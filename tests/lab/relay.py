"""A relay of TCP connections, from another address of this machine to a server that listens on 127.0.0.1 alone."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def relay(host: str, port: int, to: tuple[str, int]) -> Iterator[None]:
    """Hand on each connection to `host` and `port`, in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*to)
        await asyncio.gather(_copy(reader, back), _copy(there, writer), return_exceptions=True)

    async def listen() -> asyncio.Server:
        return await asyncio.start_server(join, host, port)

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result(10)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


def free_port(host: str) -> int:
    """A port of the host that nobody listens on."""
    with socket.create_server((host, 0)) as free:
        return int(free.getsockname()[1])


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()
