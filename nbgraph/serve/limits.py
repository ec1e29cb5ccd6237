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
    """Bytes of a body, requests at once, seconds for a body to arrive and for an answer."""

    body_bytes: int = 16 * 2**20
    in_flight: int = 256
    body_seconds: float = 30
    seconds: float = 60

    def within(self, seconds: float | None) -> float:
        """How long a caller waits who asks for so many seconds."""
        return self.seconds if seconds is None else min(seconds, self.seconds)


class RefusedError(NbgraphError):
    """A request that goes no further; `status` says why in HTTP's terms."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def body_of(receive: Receive, headers: Headers, limits: Limits) -> bytes:
    """The whole body; refused as soon as it is known to be too long, too slow or packed."""
    declared = headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limits.body_bytes:
        raise _too_long(limits)
    if headers.get("content-encoding", "identity") != "identity":
        raise RefusedError(415, "The body is compressed; send it as it is.")
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        first: bytes = message.get("body", b"")
        if len(first) > limits.body_bytes:
            raise _too_long(limits)
        return first
    try:
        async with asyncio.timeout(limits.body_seconds):
            return await _rest(message, receive, limits)
    except TimeoutError:
        raise RefusedError(408, f"The body did not arrive within {limits.body_seconds:g} seconds.") from None


async def _rest(message: MutableMapping[str, Any], receive: Receive, limits: Limits) -> bytes:
    chunks = bytearray()
    while message["type"] == "http.request":
        chunks += message.get("body", b"")
        if len(chunks) > limits.body_bytes:
            raise _too_long(limits)
        if not message.get("more_body"):
            return bytes(chunks)
        message = await receive()
    raise RefusedError(400, "The caller hung up before the body was complete.")


def _too_long(limits: Limits) -> RefusedError:
    return RefusedError(413, f"The body is longer than {limits.body_bytes} bytes, the most that is taken.")
