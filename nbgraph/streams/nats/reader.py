"""NatsReader: reads the messages of a queue from NATS JetStream for a worker, a bounded number ahead.

Every shard's consumer is asked for a number of messages, which come as they arrive; all of them by one subscription. A
request that the server ends, or that went down with it, is made again.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import time
from collections.abc import AsyncGenerator, Mapping

import nats
from nats.aio.subscription import Subscription

from nbgraph.streams.base import UNSHARDED, DamageError, Delivery, Message, QueueSpec
from nbgraph.streams.codec.envelope import is_plain, read, told_of
from nbgraph.streams.nats.client import STATUS, UNREAD, NatsClient, headers_in
from nbgraph.streams.nats.leases import Leases
from nbgraph.streams.nats.names import consumer_name

DEDUPE = "Nats-Msg-Id"
TOLD = "Nbgraph"  # the header with all of ours, since each header costs as much as a small message
EXPIRES = 5.0  # seconds until the server ends a request for messages
BRISK = 0.02  # seconds: who comes back for the next message as soon gets more of them ahead
PAUSE = 0.1  # seconds before a request that was refused is made again
ON_ITS_WAY = 1.0  # seconds in which a reader that ends waits for what the server has begun to send
ACK, NACK, PROGRESS = b"+ACK", b"-NAK", b"+WPI"
# What `headers_of` writes, as it is sent; whatever stands there otherwise is read as headers are.
_OURS = re.compile(
    rf"NATS/1\.0\r\n(?:{DEDUPE}: ([!-~](?:[ -~]*[!-~])?)\r\n)?{TOLD}: ([!-~](?:[ -~]*[!-~])?)\r\n\r\n".encode()
)


def headers_of(message: Message) -> dict[str, str]:
    """The headers of a message: its id where the server looks for it, all else as JSON in one.

    >>> headers_of(Message("m1", b"", "k", {"Event-Id": "e1"}))
    {'Nats-Msg-Id': 'm1', 'Nbgraph': '["k",{"Event-Id":"e1"}]'}
    """
    return {DEDUPE: known_by(message.id), TOLD: told_of(message)}


def known_by(id: str) -> str:
    """What the server knows a message by, which must fit into a header.

    >>> known_by("e1/q.1"), known_by("é")
    ('e1/q.1', '~4a99557e4033c3539de2eb65472017cad5f9557f7a0625a09f1c3f6e2ba69c4c')
    """
    return id if is_plain(id) else f"~{hashlib.sha256(id.encode('utf-8', 'surrogatepass')).hexdigest()}"


def message_in(body: bytes, block: bytes, place: str) -> Message:
    """The message that came with this block of headers."""
    ours = _OURS.fullmatch(block)
    if ours is None:
        return message_of(body, headers_in(block), place)
    id, text = ours.groups()
    try:
        key, told, whole_id = read(text)
    except DamageError:
        return message_of(body, headers_in(block), place)
    return Message(whole_id or (id.decode() if id is not None else place), body, key, told)


def message_of(body: bytes, found: Mapping[str, str], place: str) -> Message:
    """The message that came with these headers; whoever else writes into the queue may not have given it an id."""
    headers = dict(found)
    id = headers.pop(DEDUPE, "") or place
    text = headers.pop(TOLD, None)
    if UNREAD in headers:
        return Message(id, body, None, found, f"Its headers can't be read: {headers[UNREAD][:200]!r}")
    if text is None:
        return Message(id, body, None, headers)
    try:
        key, told, whole_id = read(text)
    except DamageError as damage:
        return Message(id, body, None, found, str(damage))
    return Message(whole_id or id, body, key, {**told, **headers} if headers else told)


class NatsDelivery:
    """A message that the server waits to hear of."""

    def __init__(self, client: NatsClient, reply: str, body: bytes, block: bytes, leases: Leases | None) -> None:
        self._client, self._reply, self._leases = client, reply, leases
        words = reply.split(".")  # https://docs.nats.io/reference/reference-protocols/nats_api_reference
        # "$JS.ACK", in longer ones domain and account, stream, consumer, delivered, both sequences, the time, ...
        stream, _, delivered, sequence, turn, time, *_ = words[2:] if len(words) == 9 else words[4:]
        self.attempt = int(delivered)
        self.turn: int | None = int(turn)
        self.message = message_in(body, block, f"{stream}.{sequence}.{time}")

    async def ack(self) -> None:
        self.tell(ACK)

    async def nack(self, delay: float = 0.0) -> None:
        self.tell(NACK + b' {"delay": %d}' % (delay * 1e9) if delay else NACK)

    async def extend(self) -> None:
        self._client.put(self._reply, PROGRESS)

    def tell(self, word: bytes) -> None:
        if self._leases is not None:
            self._leases.end(self._reply)
        self._client.put(self._reply, word)


class NatsReader:
    """One reader of a queue; `leases` keeps those of all that it holds, also of what waits in its hand."""

    def __init__(self, client: NatsClient, queue: QueueSpec, stream: str, leases: Leases | None) -> None:
        self._client, self._queue, self._stream, self._leases = client, queue, stream, leases
        self._inbox = client.new_inbox()
        self._ready: asyncio.Queue[NatsDelivery] = asyncio.Queue()
        self._left = [0] * queue.shards  # messages that were asked for and have not come
        self._asked = [0.0] * queue.shards
        self._most = 8 if queue.is_keyed else UNSHARDED // 2
        self._ahead = 1  # messages to have in hand for the one who reads, as few as he is slow
        self._is_over = False

    async def deliveries(self) -> AsyncGenerator[Delivery, None]:
        subscription = await self._client.hear(f"{self._inbox}.*", self._heard)
        asking = asyncio.create_task(self._ask_again())
        try:
            while True:
                delivery = await self._ready.get()
                began = time.monotonic()
                yield delivery
                is_brisk = time.monotonic() - began < BRISK
                self._ahead = min(self._ahead * 2, self._most) if is_brisk else max(self._ahead // 2, 1)
                self._ask_more()
        finally:
            asking.cancel()
            await self._give_back(subscription)

    async def _ask_again(self) -> None:
        """Requests that have got lost with a server are made again."""
        loop = asyncio.get_running_loop()
        connection = self._client.stats["reconnects"]
        while True:
            is_new = self._client.stats["reconnects"] != connection
            connection = self._client.stats["reconnects"]
            for shard, asked in enumerate(self._asked):
                if is_new or loop.time() > asked + EXPIRES + 1:
                    self._left[shard] = 0
            self._ask_more()
            await asyncio.sleep(1)

    def _ask_more(self) -> None:
        if self._is_over or self._ready.qsize() >= self._ahead:
            return
        for shard, left in enumerate(self._left):
            if left <= 0:
                self._ask(shard)

    def _ask(self, shard: int) -> None:
        self._left[shard] = self._ahead
        self._asked[shard] = asyncio.get_running_loop().time()
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{consumer_name(shard)}"
        wanted = b'{"batch": %d, "expires": %d}' % (self._ahead, EXPIRES * 1e9)
        with contextlib.suppress(nats.errors.Error):  # the server is away: asked again in a while
            self._client.put(subject, wanted, f"{self._inbox}.{shard}")

    def _heard(self, subject: bytes, reply: bytes, body: bytes, block: bytes) -> None:
        shard = int(subject.rpartition(b".")[2])
        if not reply:
            self._ended(shard, headers_in(block).get(STATUS, ""))
            return
        self._left[shard] -= 1
        address = reply.decode()
        if self._leases is not None:
            self._leases.begin(address, self._queue.lease)
        delivery = NatsDelivery(self._client, address, body, block, self._leases)
        if self._is_over:
            delivery.tell(NACK)
            return
        self._ready.put_nowait(delivery)
        if self._left[shard] <= 0:
            self._ask_more()

    def _ended(self, shard: int, status: str) -> None:
        """The server has ended a request: nothing came (404, 408), or something is not as it was (409, 503)."""
        if status == "100":  # a sign of life
            return
        if status in ("404", "408"):
            self._ask_anew(shard)
        else:
            asyncio.get_running_loop().call_later(PAUSE, self._ask_anew, shard)

    def _ask_anew(self, shard: int) -> None:
        self._left[shard] = 0
        self._ask_more()

    async def _give_back(self, subscription: Subscription) -> None:
        """What was not taken up, or is on its way, is for others, now and not when its lease ends."""
        self._is_over = True
        self._ending = asyncio.create_task(self._end(subscription))
        # Not `wait_for`: the client stops reading at an answer to a question that was broken off.
        await asyncio.wait([self._ending], timeout=ON_ITS_WAY)
        with contextlib.suppress(nats.errors.Error):
            while not self._ready.empty():
                await self._ready.get_nowait().nack()

    async def _end(self, subscription: Subscription) -> None:
        with contextlib.suppress(nats.errors.Error):
            await self._client.hear_no_more(subscription, after_all=True)
