"""A load of HTTP requests over many connections, each of which asks again as soon as it is answered.

It writes and reads the bytes itself: a client library would be slower than the servers that are measured.
"""

from __future__ import annotations

import asyncio
import os
import time

from protocol import Run

BODY = b'{"card": "4929-17", "amount": 120.5, "shop": "Kitty Hawk Kites", "items": [1, 2, 3]}'
SECONDS = 60  # for any one load
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


class _Connection(asyncio.Protocol):
    """Asks, reads the answer to its end, asks again while there is work left."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._read = b""
        self._asked = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self) -> None:
        if self._load.left:
            self._load.left -= 1
            self._asked = time.perf_counter()
            self._transport.write(self._load.request)

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, end, body = self._read.partition(b"\r\n\r\n")
        if not end or len(body) < _length(head):
            return
        self._read = b""
        if not head.startswith(b"HTTP/1.1 200"):
            self._load.failed(f"{head[:40]!r} {body[:200]!r}")
        self._load.answered(body, time.perf_counter() - self._asked)
        self.ask()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._load.is_over:
            self._load.failed(f"a connection was lost: {error}")


def _length(head: bytes) -> int:
    value = head.lower().partition(b"content-length:")[2]
    return int(value.partition(b"\r\n")[0]) if value else 0


class Load:
    """Connections to one server, kept open between the rounds."""

    def __init__(self, port: int, connections: int, body: bytes = BODY) -> None:
        head = f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: "
        self.request = head.encode() + str(len(body)).encode() + b"\r\n\r\n" + body
        self.is_over = False
        self.left = 0
        self.seconds: list[float] = []  # of each request of the last round
        self._body = b""
        self._loop = asyncio.new_event_loop()
        self._done = self._loop.create_future()
        self._connections = [self._connect(port) for _ in range(connections)]

    def run(self, events: int) -> str:
        """So many requests; the last answer, without blanks, in which servers may differ."""
        self.left, self._expected, self.seconds = events, events, []
        self._done = self._loop.create_future()
        for connection in self._connections:
            connection.ask()
        self._loop.run_until_complete(asyncio.wait_for(self._done, SECONDS))
        return self._body.replace(b" ", b"").decode()

    def answered(self, body: bytes, seconds: float) -> None:
        self._body = body
        self.seconds.append(seconds)
        if len(self.seconds) == self._expected and not self._done.done():
            self._done.set_result(None)

    def failed(self, reason: str) -> None:
        self.is_over = True
        if not self._done.done():
            self._done.set_exception(RuntimeError(reason))

    def _connect(self, port: int) -> _Connection:
        made = self._loop.create_connection(lambda: _Connection(self), "127.0.0.1", port)
        _, connection = self._loop.run_until_complete(made)
        return connection


def pinned(core: int) -> None:
    """Stay on one core, as do the processes that are started from now on; where that can't be, the system chooses."""
    if CORES:
        os.sched_setaffinity(0, {CORES[core % len(CORES)]})


def load_of(port: int, connections: int) -> Run:
    return Load(port, connections).run
