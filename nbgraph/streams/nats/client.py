"""The client of NATS, with little work a message, and which goes on reading whatever headers somebody has sent.

The client's own way makes several objects of each message, and gives it a task's turn. Queues pass thousands of them a
second, with subjects and headers that nbgraph writes itself: `put` writes one without looking at these again, and
`hear` calls whoever listens with the bytes as they came. All that it does about connections is its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import nats
import nats.aio.client
from nats.aio.subscription import Subscription

from nbgraph.streams.nats.parser import MessageParser

UNREAD = "Unread-Headers"
STATUS = "Status"

Hear = Callable[[bytes, bytes, bytes, bytes], object]  # subject, where to reply, body, block of headers


class NatsClient(nats.aio.client.Client):
    """Where the client can't read a message's headers it would stop reading at all; here they are shown as they are."""

    def __init__(self) -> None:
        super().__init__()
        self._ps = MessageParser(self)
        self._hearing: dict[str, Hear] = {}  # by the subject of the subscription

    async def hear(self, subject: str, hear: Hear) -> Subscription:
        """From now on `hear` is called with each message as soon as it has come; it must not take long."""
        self._hearing[subject] = hear
        return await self.subscribe(subject)

    async def hear_no_more(self, subscription: Subscription, *, after_all: bool = False) -> None:
        """End a subscription; `after_all`: once what is on its way was heard, where the server is there."""
        ending: Any = subscription  # whose `drain` has no types
        try:
            await (ending.drain() if after_all and self.is_connected else ending.unsubscribe())
        finally:
            self._hearing.pop(subscription.subject, None)

    async def send(self, subject: str, body: bytes, reply: str = "", headers: Mapping[str, str] | None = None) -> None:
        """As `put`, and waits while more is to be written than the client holds."""
        self.put(subject, body, reply, headers)
        if self._pending_data_size > self._max_pending_size:
            await self._flush_pending(force_flush=True)

    def put(self, subject: str, body: bytes, reply: str = "", headers: Mapping[str, str] | None = None) -> None:
        """As `publish`, with a subject that is one and headers that are plain text; raises what that raises."""
        if self._status != self.CONNECTED or len(body) > self._max_payload:
            self._check(len(body))
        if headers is None:
            command = b"".join((f"PUB {subject} {reply} {len(body)}\r\n".encode(), body, b"\r\n"))
        else:
            block = block_of(headers)
            line = f"HPUB {subject} {reply} {len(block)} {len(block) + len(body)}\r\n"
            command = b"".join((line.encode(), block, body, b"\r\n"))
        self._pending.append(command)
        self._pending_data_size += len(command)
        if self._flush_queue is not None and self._flush_queue.empty() and self.is_connected:
            self._flush_queue.put_nowait(asyncio.get_running_loop().create_future())

    def _check(self, size: int) -> None:
        """Raise where a message of that size can't be taken now."""
        if self.is_closed:
            raise nats.errors.ConnectionClosedError
        if self.is_draining_pubs:
            raise nats.errors.ConnectionDrainingError
        if size > self._max_payload:
            raise nats.errors.MaxPayloadError
        if not self.is_connected and size + self._pending_data_size > self._max_pending_size:
            raise nats.errors.OutboundBufferLimitError

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        subscription = self._subs.get(sid)
        hear = self._hearing.get(subscription.subject) if subscription is not None else None
        if hear is None:
            await super()._process_msg(sid, subject, reply, data, headers or b"")
            return
        try:
            hear(subject, reply, data, headers or b"")
        except Exception as error:  # what can't be taken must not end the reading of all that comes behind it
            await self._error_cb(error)

    async def _process_headers(self, headers: Any) -> dict[str, str] | None:
        try:
            found: dict[str, str] | None = await super()._process_headers(headers)
        except Exception:  # whatever reading foreign bytes comes to
            return {UNREAD: bytes(headers).decode("latin-1")}
        return found


def block_of(headers: Mapping[str, str]) -> bytes:
    """Headers of plain text as they are sent.

    >>> block_of({"Nats-Msg-Id": "m1"})
    b'NATS/1.0\\r\\nNats-Msg-Id: m1\\r\\n\\r\\n'
    """
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    return f"NATS/1.0\r\n{lines}\r\n".encode()


def headers_in(block: bytes) -> dict[str, str]:
    """The headers of a block, with the `Status` that a message of the server itself may have.

    >>> headers_in(block_of({"Nats-Msg-Id": "m1"})), headers_in(b"NATS/1.0 404 No Messages\\r\\n\\r\\n")
    ({'Nats-Msg-Id': 'm1'}, {'Status': '404'})
    >>> headers_in(b"NATS/1.0 \\xff\\r\\n\\r\\n")
    {'Unread-Headers': 'NATS/1.0 ÿ\\r\\n\\r\\n'}
    """
    line, _, rest = block.partition(b"\r\n")
    status = line[9:12].strip()
    if not status:
        return NatsClient._parse_header_lines(rest) if rest else {}
    if not status.isascii():
        return {UNREAD: block.decode("latin-1")}
    return {**NatsClient._parse_header_lines(rest), STATUS: status.decode()}
