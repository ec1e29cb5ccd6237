"""The transport over Kafka: a queue is a topic, each shard a partition, which one reader of the group has at a time.

Kafka keeps one number a partition: how far a group has come. What the contract asks beyond that stands in the text that
Kafka keeps beside the number: which messages behind it are done already, and how often the open ones were delivered.
So a reader that dies loses nothing of what it had acknowledged, and a message that ends its readers is counted. What is
less than over NATS is said where it is: `publish`, `keep`.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import time
import uuid
import zlib
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any

from nbgraph.errors import NbgraphError
from nbgraph.streams.base import (
    Broker,
    Delivery,
    Inbox,
    Load,
    Message,
    MessageTooLargeError,
    QueueSpec,
    StaleError,
    StateTooLargeError,
)
from nbgraph.streams.codec.dead_letter import letter_of, read_letter
from nbgraph.streams.codec.envelope import told_of
from nbgraph.streams.kafka.client import Headers, KafkaSender, kafka
from nbgraph.streams.kafka.cluster import KafkaCluster
from nbgraph.streams.kafka.log import Log
from nbgraph.streams.kafka.reader import KafkaReader
from nbgraph.streams.kafka.shard import TOLD, OffsetProgress, decoded, encoded
from nbgraph.streams.kafka.topics import prefix_of, topic_of

REMEMBERED = 100_000  # message ids by which a publisher recognises its own duplicates
TAKEN = "nbgraph-taken"  # the header of a record that says which dead letter was taken away
LOOK = 1.0  # seconds between two looks at whether the brokers are there
PAUSE = 0.02  # seconds before a full queue is looked at again; doubled up to half a second
LARGEST = 1_000_000  # bytes of a message, Kafka's own default


class KafkaBroker(Broker):
    """A connection to Kafka; `options` are librdkafka's, for TLS and logins, `consumer` those of readers alone.

    `spread`: partitions of a queue without a key, each for one reader; with one, its messages stay in order. Without
    `makes_topics` they are somebody else's business, or the brokers' own, where these make what they are asked for.
    `scope`: the deployment that the topics belong to, by which those of several are kept apart.
    """

    def __init__(
        self,
        servers: str,
        options: Mapping[str, Any] | None,
        consumer: Mapping[str, Any] | None,
        spread: int,
        makes_topics: bool,
        scope: str = "",
    ) -> None:
        prefix = prefix_of(scope)
        self._scope, self._prefix = scope, f"{prefix}."
        self._dead, self._kept_states, self._replies = f"{prefix}.dead", f"{prefix}.states", f"{prefix}.replies"
        self._options = {"bootstrap.servers": servers, "log_level": 3, **(options or {})}
        self._consumer = consumer or {}
        self._spread = spread
        self._sender = KafkaSender(self._options)
        self._cluster = KafkaCluster(self._options, makes_topics=makes_topics)
        self._room: dict[str, int] = {}  # messages that may be published before the backlog is looked at again
        self._published: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._states = self._log(self._kept_states)
        self._table: dict[bytes, tuple[bytes | None, int, float]] = {}  # states, their revisions, since when
        self._is_up = False
        self._watching: asyncio.Task[None] | None = None

    @classmethod
    async def connect(
        cls,
        servers: str,
        *,
        options: Mapping[str, Any] | None = None,
        consumer: Mapping[str, Any] | None = None,
        spread: int = 4,
        makes_topics: bool = True,
        scope: str = "",
        patience: float = 60.0,
        reads: bool = True,
    ) -> KafkaBroker:
        """Connect, waiting for brokers that are not up yet; reconnects by itself whenever they have gone.

        `reads`: queues will be read, so refuse a broker that does not keep what readers need.
        """
        try:
            broker = cls(servers, options, consumer, spread, makes_topics, scope)
        except kafka.KafkaException as error:
            raise NbgraphError(f"Kafka's client does not take these options: {error.args[0].str()}") from error
        deadline = time.monotonic() + patience
        while not await asyncio.to_thread(broker._cluster.answers):
            if time.monotonic() > deadline:
                await broker.close()
                raise ConnectionError(f"No Kafka broker answers at {servers}.")
        broker._is_up = True
        broker._watching = asyncio.create_task(broker._watch())
        try:
            if reads:
                await broker._check(deadline)
        except BaseException:
            await broker.close()
            raise
        return broker

    async def _check(self, deadline: float) -> None:
        """What is done, and how often was tried, is kept beside offsets; who drops it would forget in silence."""
        await self._cluster.make(self._kept_states, 1, is_compact=True)
        text = OffsetProgress(0, frozenset({1}), {0: 1}, 1).text()
        while True:
            try:
                is_kept = await asyncio.to_thread(
                    self._cluster.keeps_metadata, self._kept_states, f"{self._prefix}check", text
                )
                break
            except kafka.KafkaException:  # brokers that have just come up do not know yet who keeps which group
                if time.monotonic() > deadline:
                    raise
        if not is_kept:
            raise NbgraphError(
                f"The broker at {self._options['bootstrap.servers']} does not keep the metadata of committed offsets, "
                "where nbgraph notes what is done and how often a message was tried; take one that does, as Apache "
                "Kafka."
            )

    @property
    def is_connected(self) -> bool:
        return self._is_up

    async def _watch(self) -> None:
        """See whether the brokers are there: each event asks for that, and can't wait for their answer."""
        while True:
            await asyncio.sleep(LOOK)
            self._is_up = await asyncio.to_thread(self._cluster.answers)

    async def declare(self, queue: QueueSpec) -> None:
        topic = self._topic(queue)
        await self._cluster.make(topic, queue.shards if queue.is_keyed else self._spread)

    async def remove(self, queue: QueueSpec) -> None:
        await self._cluster.remove(self._topic(queue))
        self._room.pop(queue.name, None)

    async def publish(self, queue: QueueSpec, message: Message) -> None:
        """As every broker's, but for two things.

        An id is recognised among the last ones that this connection has published, and again by the reader, among the
        last 1,000 of the partition; Kafka itself takes any. A full queue is seen by how far its readers are behind,
        which several publishers look at each for itself, so that together they may go beyond `max_size` once.
        """
        seen = (queue.name, message.id)
        if seen in self._published:
            return
        self._published[seen] = None
        if len(self._published) > REMEMBERED:
            self._published.popitem(last=False)
        try:
            await self._wait_for_room(queue)
            topic = self._topic(queue)
            value, headers = encoded(message)
            await self._send(queue.name, topic, value, headers, partition=self._partition(queue, message))
        except BaseException:
            self._published.pop(seen, None)
            raise

    def _partition(self, queue: QueueSpec, message: Message) -> int:
        """By the key; without one by the id, so that duplicates come to the same reader."""
        shard = queue.shard_of(message.key) if queue.is_keyed else zlib.crc32(message.id.encode())
        return shard % self._cluster.partitions(self._topic(queue))

    def _log(self, topic: str, partition: int = 0) -> Log:
        return Log({**self._options, **self._consumer}, topic, partition)

    def _topic(self, queue: QueueSpec) -> str:
        return topic_of(queue, self._scope)

    def read(self, queue: QueueSpec, *, keeps_leases: bool = False) -> AsyncGenerator[Delivery, None]:
        lease = math.inf if keeps_leases else queue.lease
        return KafkaReader(
            {**self._options, **self._consumer}, self._topic(queue), lease, is_keyed=queue.is_keyed
        ).deliveries()

    async def backlog(self, queue: QueueSpec) -> int:
        return sum(part.backlog for part in await self._cluster.loads(self._topic(queue)))

    async def load(self, queue: QueueSpec) -> Load:
        topic = self._topic(queue)
        parts = [part for part in await self._cluster.loads(topic) if part.backlog]
        times = [await self._log(topic, part.partition).time_of(part.low) for part in parts]
        backlog, in_flight = sum(part.backlog for part in parts), sum(part.in_flight for part in parts)
        return Load(backlog - in_flight, in_flight, max(0.0, time.time() - min(times)) if times else 0.0)

    async def bury(self, message: Message, reason: Mapping[str, Any]) -> None:
        await self._cluster.make(self._dead, 1)
        await self._send(message.id, self._dead, letter_of(message, reason, LARGEST), {}, partition=0)

    async def buried(self, limit: int = 100) -> list[dict[str, Any]]:
        await self._cluster.make(self._dead, 1)
        count = limit
        while True:
            count *= 2  # some records only say which letter was taken away
            records = await self._log(self._dead).last(count)
            letters = _letters(records, self._dead)
            if len(letters) >= limit or len(records) < count:
                return letters[:limit]

    async def unbury(self, sequence: int) -> None:
        """Kafka gives no single record up, so another one behind it says that it was taken away."""
        await self._send("taken", self._dead, b"", {TAKEN: str(sequence).encode()}, partition=0)

    async def keep(self, name: str, state: bytes, revision: int | None = None, *, seconds: float | None = None) -> int:
        """As every broker's, but that Kafka can't compare and write at once.

        The revision is looked at right before the state is written, so that of two who write in the same instant the
        later one wins. States of a queue's shard are written by who has its partition, which is one at a time.
        """
        if revision is not None and (await self.kept(name, seconds=seconds))[1] != revision:
            raise StaleError(name, revision)
        await self._cluster.make(self._kept_states, 1, is_compact=True)
        return await self._send(name, self._kept_states, state, {}, key=_state_key(name, seconds), partition=0) + 1

    async def kept(self, name: str, *, seconds: float | None = None) -> tuple[bytes | None, int]:
        await self._cluster.make(self._kept_states, 1, is_compact=True)
        for record in await self._states.news():
            self._table[record.key()] = record.value(), record.offset() + 1, record.timestamp()[1] / 1000
        state, revision, since = self._table.get(_state_key(name, seconds), (None, 0, 0.0))
        return (state, revision) if seconds is None or time.time() < since + seconds else (None, 0)

    async def inbox(self) -> Inbox:
        address = f"{self._replies}.{uuid.uuid4().hex}"
        await self._cluster.make(address, 1)
        return _KafkaInbox(self._cluster, self._log(address), address)

    def is_inbox(self, address: str) -> bool:
        return re.fullmatch(rf"{re.escape(self._replies)}\.[0-9a-f]{{32}}", address) is not None

    async def reply(self, address: str, headers: Mapping[str, str], body: bytes) -> None:
        told: Headers = {TOLD: told_of(Message("", body, None, headers)).encode()}
        await self._send(address, address, body, told, partition=0)

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
        await self._sender.close()
        await self._states.close()

    async def clear(self) -> None:
        """Remove all topics of the scope; Kafka forgets by itself how far the readers of a topic were that is gone."""
        for topic in await self._cluster.topics():
            if topic.startswith(self._prefix):
                await self._cluster.remove(topic)

    async def _wait_for_room(self, queue: QueueSpec) -> None:
        pause = PAUSE
        while self._room.get(queue.name, 0) <= 0:
            parts = await self._cluster.loads(self._topic(queue))
            self._room[queue.name] = queue.max_size - sum(part.backlog for part in parts)
            await self._cluster.trim(self._topic(queue), parts)
            if self._room[queue.name] <= 0:
                await asyncio.sleep(pause)
                pause = min(pause * 2, 0.5)
        self._room[queue.name] -= 1

    async def _send(
        self,
        name: str,
        topic: str,
        value: bytes,
        headers: Headers,
        *,
        key: bytes | None = None,
        partition: int,
    ) -> int:
        try:
            return await self._sender.send(topic, value, headers, key=key, partition=partition)
        except kafka.KafkaException as error:
            if error.args[0].code() == kafka.KafkaError.MSG_SIZE_TOO_LARGE:
                raise (MessageTooLargeError if key is None else StateTooLargeError)(
                    name, len(value), LARGEST
                ) from error
            raise


class _KafkaInbox:
    """A topic of its own, which goes with the inbox."""

    def __init__(self, cluster: KafkaCluster, log: Log, address: str) -> None:
        self._cluster, self._log, self.address = cluster, log, address

    async def replies(self) -> AsyncIterator[tuple[Mapping[str, str], bytes]]:
        while True:
            for record in await self._log.news(patience=0.2):
                message = decoded(record)
                if not message.damage:  # else it is no reply of ours
                    yield message.headers, message.body

    async def close(self) -> None:
        await self._log.close()
        await self._cluster.remove(self.address)


def _state_key(name: str, seconds: float | None) -> bytes:
    """States of different lifetimes don't see each other."""
    return json.dumps([name, seconds]).encode()


def _letters(records: Sequence[Any], topic: str) -> list[dict[str, Any]]:
    """The dead letters among the records, the newest first, but those that were taken away."""
    marks = [dict(record.headers() or ()).get(TAKEN) for record in records]
    taken = {int(mark) for mark in marks if mark is not None and mark.isdigit()}
    letters = [record for record, mark in zip(records, marks, strict=True) if mark is None]
    return [
        {**read_letter(record.value() or b"", f"{topic}-0-{record.offset()}"), "sequence": record.offset()}
        for record in reversed(letters)
        if record.offset() not in taken
    ]
