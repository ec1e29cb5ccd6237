"""Tunnel: the way from one machine into the private network of a deployment on a Swarm.

Swarm publishes a port on every address of a node or not at all. So nothing has to be published: this process stands
in a container on the network, whose ports Docker can bind to 127.0.0.1, and hands on what comes to the gateway, to the
broker, and to the numbers of each worker.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import re
import signal
import socket
from collections.abc import Awaitable, Callable
from functools import partial

from nbgraph.contract import BROKER_PORT, METRICS_PORT, PORT, TUNNEL_MODULE, TunnelOption

PATIENCE = 3.0  # seconds for a connection
MOVING = 10.0  # seconds that a service may have no task that takes connections
CHUNK = 2**16
_NUMBERS = re.compile(rb"(GET|DELETE) /(\d+\.\d+\.\d+\.\d+)(/\S*) HTTP/1\.[01]\r\n")
# A node that is lost says no goodbye: after about ten silent seconds the connection is taken for broken.
_LOST = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 4),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 10_000),
)
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def serve(host: str, gateway: str, broker: str) -> None:
    """Listen until SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    handlers: dict[int, Handler] = {
        PORT: partial(forward, gateway, PORT),
        BROKER_PORT: partial(forward, broker, BROKER_PORT),
        METRICS_PORT: numbers,
    }
    servers = [await asyncio.start_server(handler, host, port) for port, handler in handlers.items()]
    await stop.wait()
    for server in servers:
        server.close()


async def forward(host: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Join a connection to one of the tasks that a service has now; HTTP callers hear 503 where there is none."""
    try:
        there, back = await connected(host, port)
    except OSError:
        if port == PORT:
            writer.write(_told(503, "no worker answers"))
        await _closed(writer)
        return
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_pumped(reader, back))
            both.create_task(_pumped(there, writer))
    finally:
        await _closed(back)
        await _closed(writer)


async def connected(host: str, port: int) -> Streams:
    """A connection to any address of a name that takes one; tasks move, so the name is asked again and again."""
    now = asyncio.get_running_loop().time
    deadline = now() + MOVING
    while True:
        for address in await _addresses(host, port):
            with contextlib.suppress(OSError):
                return await _open(address, port)
        if now() > deadline:
            raise ConnectionError(f"Nobody takes a connection at {host}:{port}.")
        await asyncio.sleep(0.1)


async def numbers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """`GET /10.0.1.7/metrics` is that worker's; 502: it is there but does not listen, 504: it can't be reached."""
    try:
        asked = _NUMBERS.match(await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE))
        if asked is None:
            writer.write(_told(404, "ask for /ADDRESS/metrics"))
            return
        method, address, path = asked.groups()
        there, back = await _open(address.decode(), METRICS_PORT)
        back.write(method + b" " + path + b" HTTP/1.0\r\nConnection: close\r\n\r\n")
        await _pumped(there, writer)
        await _closed(back)
    except (ConnectionRefusedError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        writer.write(_told(502, "nobody listens there"))
    except OSError:
        writer.write(_told(504, "no way leads there"))
    finally:
        await _closed(writer)


async def _addresses(host: str, port: int) -> list[str]:
    """In any order, so that each gets its share; none while no task has that name."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, family=socket.AF_INET, type=socket.SOCK_STREAM)
    except OSError:
        return []
    addresses = sorted({str(place[4][0]) for place in found})
    random.shuffle(addresses)
    return addresses


async def _open(address: str, port: int) -> Streams:
    reader, writer = await asyncio.wait_for(asyncio.open_connection(address, port), PATIENCE)
    found: socket.socket = writer.get_extra_info("socket")
    for option in _LOST:
        found.setsockopt(*option)
    return reader, writer


async def _pumped(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Hand on until the end, and the end too."""
    with contextlib.suppress(OSError):  # either side may hang up at any time
        while chunk := await source.read(CHUNK):
            sink.write(chunk)
            await sink.drain()
        sink.write_eof()


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _told(status: int, reason: str) -> bytes:
    body = b'{"error": "%s"}' % reason.encode()
    return b"HTTP/1.1 %d -\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (
        status, len(body), body,
    )  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog=f"python -m {TUNNEL_MODULE}")
    for option in (TunnelOption.HOST, TunnelOption.GATEWAY, TunnelOption.BROKER):
        parser.add_argument(option, required=True)
    asyncio.run(serve(**vars(parser.parse_args())))
