"""RequestStore: requests and their replies, kept for a while where every gateway and function finds them."""

from __future__ import annotations

import contextlib
from typing import NamedTuple

import msgspec

from nbgraph.serve.reply import Reply
from nbgraph.streams.base import StaleError, States

KEPT_SECONDS = 3600.0  # for which a request is known, and its reply can be had
LONGEST = 2**20  # bytes of a reply that is kept


class KnownRequest(NamedTuple):
    """`mark` tells one body from another; no reply yet: it is under way at `owner`, or whoever worked on it is gone."""

    mark: bytes
    reply: Reply | None = None
    owner: str = ""


class RequestStore:
    """Requests by the id of their event.

    >>> import asyncio
    >>> from nbgraph.streams.memory.broker import MemoryBroker
    >>> async def story():
    ...     shelf = RequestStore(MemoryBroker())
    ...     first, second = await shelf.claim("e1", b"m"), await shelf.claim("e1", b"m")
    ...     await shelf.settle("e1", Reply(204, "", b""))
    ...     return first, second, (await shelf.find("e1")).reply.status
    >>> asyncio.run(story())
    (None, KnownRequest(mark=b'm', reply=None, owner=''), 204)
    """

    def __init__(self, states: States) -> None:
        self.states = states

    async def claim(self, id: str, mark: bytes, owner: str = "") -> KnownRequest | None:
        """None where the request is new, and from now on known; else what is known of it."""
        try:
            await self.states.keep(_name(id), _encoder.encode(KnownRequest(mark, None, owner)), 0, seconds=KEPT_SECONDS)
        except StaleError:
            return await self.find(id)
        return None

    async def find(self, id: str) -> KnownRequest | None:
        return (await self._found(id))[0]

    async def settle(self, id: str, reply: Reply) -> None:
        """Keep the reply; the first one stays."""
        known, revision = await self._found(id)
        if known is None or known.reply is not None:
            return
        if len(reply.body) > LONGEST:
            told = b'{"error":"The answer has %d bytes, more than are kept for later."}' % len(reply.body)
            reply = Reply(500, "application/json", told)
        try:
            settled = _encoder.encode(KnownRequest(known.mark, reply))
            await self.states.keep(_name(id), settled, revision, seconds=KEPT_SECONDS)
        except StaleError:
            return

    async def give_up(self, id: str) -> None:
        """Whoever worked on it does not any more, and there is no reply."""
        known, revision = await self._found(id)
        if known is not None and known.reply is None:
            with contextlib.suppress(StaleError):
                state = _encoder.encode(KnownRequest(known.mark))
                await self.states.keep(_name(id), state, revision, seconds=KEPT_SECONDS)

    async def _found(self, id: str) -> tuple[KnownRequest | None, int]:
        state, revision = await self.states.kept(_name(id), seconds=KEPT_SECONDS)
        return (_decoder.decode(state) if state is not None else None), revision


_encoder, _decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(KnownRequest)


def _name(id: str) -> str:
    return f"request/{id}"
