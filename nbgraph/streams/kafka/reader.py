"""KafkaReader: reads the messages of a topic for a worker, as a member of the topic's group.

The consumer lives on a thread of its own, which keeps the membership however busy the worker is, and which alone calls
it: a commit beside a poll would wait for long. All that is known of the partitions lives on the event loop. Deliveries
are counted in Kafka before they are handed out, so that a message that ends its reader at once is counted too. When a
partition goes to another member, what was in hand comes there once more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from nbgraph.streams.base import Delivery
from nbgraph.streams.kafka.client import kafka
from nbgraph.streams.kafka.shard import REMEMBERED, KafkaDelivery, OffsetProgress, PartitionShard

POLL = 0.1  # seconds that the consumer waits for a message
BUSY = 0.005  # the same while messages are in hand, since what is told of them has to wait for it
AHEAD = 1000  # messages in hand above which no more are fetched
AGAIN = 0.5  # seconds before a commit is tried again that came while the group shared its partitions anew
TRIES = 60
CONSUMER = {
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",
    "partition.assignment.strategy": "cooperative-sticky",  # a new member takes a share; the others keep the rest
    "session.timeout.ms": 10_000,
    "heartbeat.interval.ms": 1_000,
    "queued.min.messages": AHEAD,
    "fetch.queue.backoff.ms": 5,  # else a second passes before more is fetched than is queued
    "queued.max.messages.kbytes": 16_384,
}


class KafkaReader:
    """One member of the group that reads a topic; the group has the topic's name."""

    def __init__(self, options: Mapping[str, Any], topic: str, lease: float, *, is_keyed: bool) -> None:
        self._options, self._topic, self._lease, self._is_keyed = options, topic, lease, is_keyed
        self._shards: dict[int, PartitionShard] = {}
        self._happened = asyncio.Event()
        self._shared = asyncio.Event()  # the group has shared its partitions anew
        self._turn = asyncio.Lock()
        self._wanted = self._settled = 0
        self._is_paused = self._is_closed = False
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, "nbgraph-kafka-reader")

    async def deliveries(self) -> AsyncGenerator[Delivery, None]:
        consumer = kafka.Consumer({**CONSUMER, **self._options, "group.id": self._topic})
        self._consumer = consumer
        consumer.subscribe([self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke)
        fetching = asyncio.create_task(self._fetch())
        fetching.add_done_callback(lambda _: self._happened.set())
        try:
            while True:
                self._happened.clear()
                for delivery in await self._round():
                    yield delivery
                if fetching.done():  # nothing would ever come any more
                    await fetching
                await self._happened.wait()
        finally:
            self._is_closed = True
            fetching.cancel()
            await asyncio.gather(fetching, return_exceptions=True)
            self._shards.clear()
            await self._loop.run_in_executor(self._thread, consumer.close)
            self._thread.shutdown(wait=False)

    async def _round(self) -> list[KafkaDelivery]:
        """All that may go out now, counted before it does."""
        taken: list[KafkaDelivery] = []
        for shard in self._shards.values():
            taken += shard.take(self._lease, is_keyed=self._is_keyed)
        if taken:
            await self._settle()
        return [delivery for delivery in taken if delivery.is_from(self._shards.values())]  # the others have gone since

    async def _fetch(self) -> None:
        while True:
            patience = BUSY if any(shard.size for shard in self._shards.values()) else POLL
            records = await self._loop.run_in_executor(self._thread, self._poll, patience)
            if sum(self._fetched(record) for record in records):
                await self._settle()  # nobody else would tell that these are done
            if records:
                self._happened.set()
            self._hold_back()

    def _fetched(self, record: Any) -> bool:
        """Whether it is a double of one that came before."""
        shard = self._shards.get(record.partition())
        return shard is not None and shard.fetched(record)

    def _poll(self, patience: float) -> list[Any]:
        first = self._consumer.poll(patience)
        found = [first, *self._consumer.consume(AHEAD, 0)] if first is not None else []
        for error in filter(None, (record.error() for record in found)):
            if error.fatal():  # the client itself does not go on
                raise kafka.KafkaException(error)
        return [record for record in found if record.error() is None]

    def _hold_back(self) -> None:
        """Fetch no more while there is much in hand; the consumer is polled all the same: so it stays a member."""
        most = AHEAD // 2 if self._is_paused else AHEAD  # to go on takes the client most of a second
        is_full = sum(shard.size for shard in self._shards.values()) > most
        if is_full != self._is_paused:
            places = [kafka.TopicPartition(self._topic, partition) for partition in self._shards]
            with contextlib.suppress(kafka.KafkaException):  # one of them has just gone
                (self._consumer.pause if is_full else self._consumer.resume)(places)
                self._is_paused = is_full

    async def _settle(self) -> None:
        """Let Kafka know how far all is; those who want that at the same time share one word."""
        self._wanted += 1
        mine = self._wanted
        async with self._turn:
            if self._settled >= mine or self._is_closed:
                return
            told = self._wanted
            for _ in range(TRIES):
                self._shared.clear()
                places = [self._place(shard) for shard in self._shards.values()]
                try:
                    await self._loop.run_in_executor(self._thread, self._commit, places)
                    break
                except kafka.KafkaException:  # the group is sharing out anew; what is not ours then falls out
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._shared.wait(), AGAIN)
            self._settled = told

    def _place(self, shard: PartitionShard) -> kafka.TopicPartition:
        progress = shard.progress()
        return kafka.TopicPartition(self._topic, shard.partition, progress.low, progress.text())

    def _commit(self, places: list[kafka.TopicPartition]) -> None:
        if places:
            self._consumer.commit(offsets=places, asynchronous=False)

    # --- called on the consumer's thread ---

    def _on_assign(self, consumer: kafka.Consumer, places: list[kafka.TopicPartition]) -> None:
        committed = consumer.committed(places, timeout=10) if places else []
        starts, found = [], []
        for place in committed:
            progress = OffsetProgress.of(place)
            first, _ = consumer.get_watermark_offsets(place, timeout=10)
            starts.append(kafka.TopicPartition(self._topic, place.partition, max(first, progress.low - REMEMBERED)))
            found.append((place.partition, progress))
        consumer.incremental_assign(starts)
        self._loop.call_soon_threadsafe(self._assigned, found)

    def _on_revoke(self, consumer: kafka.Consumer, places: list[kafka.TopicPartition]) -> None:
        self._loop.call_soon_threadsafe(self._revoked, [place.partition for place in places])

    def _assigned(self, found: list[tuple[int, OffsetProgress]]) -> None:
        for partition, progress in found:
            self._shards[partition] = PartitionShard(partition, progress, self._settle, self._happened.set)
        self._is_paused = False
        self._shared.set()

    def _revoked(self, partitions: list[int]) -> None:
        for partition in partitions:
            self._shards.pop(partition, None)
        self._shared.set()
