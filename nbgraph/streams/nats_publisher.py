"""A Publisher: messages to JetStream, and the server's word on each, with little work a message.

The client's own `publish` makes a request of every message. Here one subscription hears all acknowledgements.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import msgspec
import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import APIError

PATIENCE = 10.0  # seconds until a message counts as not taken
LOOK = 1.0  # seconds between looks at whether the server is still the one that was told


class Publisher:
    """Opened by the first message."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._prefix = client.new_inbox()
        self._numbers = itertools.count()
        self._waiting: dict[str, asyncio.Future[int]] = {}
        self._opening: asyncio.Task[Any] | None = None

    async def publish(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> int:
        """Its place in the stream, once the server keeps it; else an APIError, or the client's TimeoutError."""
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._client.subscribe(f"{self._prefix}.*", cb=self._heard))
        if not self._opening.done():
            await self._opening
        loop = asyncio.get_running_loop()
        token = f"{next(self._numbers):x}"
        told = self._waiting[token] = loop.create_future()
        timer = loop.call_later(LOOK, self._look, told, self._client.stats["reconnects"], loop.time() + PATIENCE)
        try:
            await self._client.publish(subject, body, f"{self._prefix}.{token}", headers)
            place: int = await told
            return place
        finally:
            timer.cancel()
            del self._waiting[token]

    async def _heard(self, message: Msg) -> None:
        told = self._waiting.get(message.subject.rpartition(".")[2])
        if told is None or told.done():
            return
        if b'"error"' in message.data:
            told.set_exception(APIError(**msgspec.json.decode(message.data)["error"]))
        elif not message.data:  # a status only: no stream listens to that subject
            told.set_exception(nats.errors.NoRespondersError())
        else:
            told.set_result(msgspec.json.decode(message.data)["seq"])

    def _look(self, told: asyncio.Future[None], connection: int, deadline: float) -> None:
        """A server that came back does not confirm what was told to the one that went."""
        loop = asyncio.get_running_loop()
        if told.done():
            return
        if self._client.stats["reconnects"] != connection or loop.time() >= deadline:
            told.set_exception(nats.errors.TimeoutError())
        else:
            loop.call_later(LOOK, self._look, told, connection, deadline)
