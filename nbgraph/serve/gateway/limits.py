"""Limits: what the gateway takes at most, so that no caller can wear it down."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from nbgraph.errors import NbgraphError

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Headers = dict[str, str]


@dataclass(frozen=True)
class Limits:
    """What one caller, and all together, may cost.

    A body's bytes and the seconds in which it arrives; requests that are worked on at once; the seconds until an
    answer; of a request's head the bytes, the number of headers and the seconds; open connections; the bytes of all
    bodies that are arriving in parts.
    """

    body_bytes: int = 16 * 2**20
    in_flight: int = 256
    body_seconds: float = 30
    seconds: float = 60
    header_bytes: int = 64 * 2**10
    header_count: int = 100
    header_seconds: float = 10
    connections: int = 900  # below the 1,024 open files that a process has by default
    arriving_bytes: int = 128 * 2**20

    def within(self, seconds: float | None) -> float:
        """How long a caller waits who asks for so many seconds."""
        return self.seconds if seconds is None else min(seconds, self.seconds)


class RefusedError(NbgraphError):
    """A request that goes no further; `status` says why in HTTP's terms."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Arriving:
    """The bytes of all bodies that arrive in parts; they are held before a request has its place."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.arriving_bytes
        self.bytes = 0

    def add(self, count: int) -> None:
        self.bytes += count
        if self.bytes > self._most:
            raise RefusedError(429, f"{self._most} bytes of bodies are arriving, the most that are taken at once.")


async def body_of(receive: Receive, headers: Headers, limits: Limits, arriving: Arriving) -> bytes:
    """The whole body; refused as soon as it is known to be too long, too slow or packed."""
    declared = headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limits.body_bytes:
        raise _too_long(limits)
    if headers.get("content-encoding", "identity") not in ("identity", "gzip"):
        raise RefusedError(415, "The body is compressed in another way than gzip; send it by gzip, or as it is.")
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        first: bytes = message.get("body", b"")
        if len(first) > limits.body_bytes:
            raise _too_long(limits)
        return first
    try:
        async with asyncio.timeout(limits.body_seconds):
            return await _rest(message, receive, limits, arriving)
    except TimeoutError:
        raise RefusedError(408, f"The body did not arrive within {limits.body_seconds:g} seconds.") from None


async def _rest(message: MutableMapping[str, Any], receive: Receive, limits: Limits, arriving: Arriving) -> bytes:
    chunks = bytearray()
    try:
        while message["type"] == "http.request":
            part = message.get("body", b"")
            chunks += part
            arriving.add(len(part))
            if len(chunks) > limits.body_bytes:
                raise _too_long(limits)
            if not message.get("more_body"):
                return bytes(chunks)
            message = await receive()
        raise RefusedError(400, "The caller hung up before the body was complete.")
    finally:
        arriving.bytes -= len(chunks)


def _too_long(limits: Limits) -> RefusedError:
    return RefusedError(413, f"The body is longer than {limits.body_bytes} bytes, the most that is taken.")
