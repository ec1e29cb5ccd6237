"""Publisher: messages to JetStream and the server's acknowledgement of each, with little work a message.

The client's own `publish` makes a request of every message. Here one subscription hears all acknowledgements, and one
timer looks after all that wait.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import nats
from nats.js.errors import APIError

from nbgraph.streams.nats.client import NatsClient

PATIENCE = 10.0  # seconds until a message counts as not taken
LOOK = 1.0  # seconds between looks at whether the server is still the one that was told


class _Told(NamedTuple):
    """A message that was sent: who waits for the server's word, over which connection it went, and when."""

    word: asyncio.Future[int]
    connection: int
    since: float


class _Kept(msgspec.Struct):
    """The server's word on a message that it keeps."""

    seq: int


class Publisher:
    """Opened by the first message."""

    def __init__(self, client: NatsClient) -> None:
        self._client = client
        self._prefix = client.new_inbox()
        self._numbers = itertools.count()
        self._waiting: dict[bytes, _Told] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._opening: asyncio.Task[Any] | None = None

    async def publish(self, subject: str, body: bytes, headers: Mapping[str, str] | None = None) -> int:
        """Its place in the stream, once the server keeps it; else an APIError, or the client's TimeoutError."""
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._client.hear(f"{self._prefix}.*", self._heard))
        if not self._opening.done():
            await self._opening
        loop = asyncio.get_running_loop()
        reply = f"{self._prefix}.{next(self._numbers):x}"
        token, word = reply.encode(), loop.create_future()
        self._waiting[token] = _Told(word, self._client.stats["reconnects"], loop.time())
        if self._timer is None:
            self._timer = loop.call_later(LOOK, self._look)
        try:
            await self._client.send(subject, body, reply, headers)
            place: int = await word
            return place
        finally:
            del self._waiting[token]

    def _heard(self, subject: bytes, reply: bytes, body: bytes, block: bytes) -> None:
        told = self._waiting.get(subject)
        if told is None or told.word.done():
            return
        if b'"error"' in body:
            told.word.set_exception(APIError(**msgspec.json.decode(body)["error"]))
        elif not body:  # a status only: no stream listens to that subject
            told.word.set_exception(nats.errors.NoRespondersError())
        else:
            told.word.set_result(_kept.decode(body).seq)

    def _look(self) -> None:
        """A server that came back does not confirm what was told to the one that went."""
        loop = asyncio.get_running_loop()
        now, connection = loop.time(), self._client.stats["reconnects"]
        for told in self._waiting.values():
            age = now - told.since
            is_lost = age >= PATIENCE or (age >= LOOK and told.connection != connection)
            if is_lost and not told.word.done():
                told.word.set_exception(nats.errors.TimeoutError())
        self._timer = loop.call_later(LOOK, self._look) if self._waiting else None


_kept = msgspec.json.Decoder(_Kept)
