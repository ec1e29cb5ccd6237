"""KafkaCluster: topics as the brokers have them: made, counted, trimmed, removed, and how far they are read."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from nbgraph.errors import NbgraphError
from nbgraph.streams.kafka.client import administration, kafka
from nbgraph.streams.kafka.shard import REMEMBERED as REREAD
from nbgraph.streams.kafka.shard import OffsetProgress

COMPACT = {"cleanup.policy": "compact"}
UNLIMITED = {"retention.ms": "-1"}  # what waits stays, however long; what is done is trimmed by publishers
TRIMMED = 10_000  # messages of a partition that are done before they are removed
PAUSE = 0.02  # seconds before a new topic is looked at again
SECONDS = 10.0  # that an answer of Kafka may take


@dataclass(frozen=True, slots=True)
class PartitionLoad:
    """A partition: its first offset, the first that is not done, how many are not, and how many of those are out."""

    partition: int
    begin: int
    low: int
    backlog: int
    in_flight: int


class KafkaCluster:
    """What an administrator asks of Kafka.

    `makes_topics`: whether topics are made, trimmed and removed here; else that is the brokers' or somebody else's.
    """

    def __init__(self, options: Mapping[str, Any], *, makes_topics: bool) -> None:
        self._options, self._makes_topics = options, makes_topics
        self._admin = administration.AdminClient(dict(options))
        self._partitions: dict[str, int] = {}  # that are used, by topic

    def answers(self) -> bool:
        """Whether a broker of it answers now."""
        try:
            return bool(self._admin.list_topics(timeout=1).brokers)
        except kafka.KafkaException:
            return False

    async def topics(self) -> list[str]:
        """The names of all topics, those of others too."""
        return list((await asyncio.to_thread(self._admin.list_topics, timeout=SECONDS)).topics)

    def keeps_metadata(self, topic: str, group: str, text: str) -> bool:
        """Whether a text that is committed beside an offset is kept."""
        consumer = kafka.Consumer({**self._options, "group.id": group, "enable.auto.commit": False})
        try:
            place = kafka.TopicPartition(topic, 0, 0, text)
            consumer.commit(offsets=[place], asynchronous=False)
            [told] = consumer.committed([kafka.TopicPartition(topic, 0)], timeout=SECONDS)
            return bool(told.metadata == text)
        finally:
            consumer.close()

    def partitions(self, topic: str) -> int:
        """How many partitions of a topic are used that was made before."""
        return self._partitions[topic]

    async def make(self, topic: str, partitions: int, *, is_compact: bool = False) -> None:
        """Make a topic where it is not there."""
        if topic in self._partitions:
            return
        if self._makes_topics and topic not in await self.topics():
            new = administration.NewTopic(topic, partitions, config=COMPACT if is_compact else UNLIMITED)
            try:
                await _answer(self._admin.create_topics([new], request_timeout=SECONDS)[topic])
            except kafka.KafkaException as error:
                if error.args[0].code() != kafka.KafkaError.TOPIC_ALREADY_EXISTS:
                    raise
        self._partitions[topic] = min(partitions, await self._count(topic))

    async def _count(self, topic: str) -> int:
        """How many partitions the topic has; waits while the brokers agree on a new one."""
        deadline = time.monotonic() + SECONDS
        while True:
            found = (await asyncio.to_thread(self._admin.list_topics, topic, SECONDS)).topics[topic]
            if found.error is None and found.partitions:
                return len(found.partitions)
            if time.monotonic() > deadline:
                raise NbgraphError(f'Kafka has no topic "{topic}" ({found.error}); declare the queue first.')
            await asyncio.sleep(PAUSE)

    async def remove(self, topic: str) -> None:
        """Remove a topic; one that somebody else has made stays."""
        self._partitions.pop(topic, None)
        if self._makes_topics:
            with contextlib.suppress(kafka.KafkaException):  # it is not there
                await _answer(self._admin.delete_topics([topic], request_timeout=SECONDS)[topic])

    async def loads(self, topic: str) -> list[PartitionLoad]:
        """What each partition has before it."""
        if topic not in self._partitions:  # this connection has not made it
            self._partitions[topic] = await self._count(topic)
        ends = await self._offsets(topic, administration.OffsetSpec.latest())
        begins = await self._offsets(topic, administration.OffsetSpec.earliest())
        found = []
        for partition, progress in (await self._progress(topic)).items():
            low = max(progress.low, begins[partition])
            backlog = max(0, ends[partition] - low - len(progress.done))
            found.append(PartitionLoad(partition, begins[partition], low, backlog, min(progress.out, backlog)))
        return found

    async def trim(self, topic: str, parts: Sequence[PartitionLoad]) -> None:
        """Remove what is done; the last ones stay, since new readers recognise duplicates by them."""
        lows = {part.partition: part.low - REREAD for part in parts if part.low - REREAD - part.begin > TRIMMED}
        if lows and self._makes_topics:
            places = [kafka.TopicPartition(topic, partition, low) for partition, low in lows.items()]
            with contextlib.suppress(kafka.KafkaException, TimeoutError):  # where that is forbidden, all stays
                await asyncio.gather(*map(_answer, self._admin.delete_records(places).values()))

    async def _offsets(self, topic: str, wanted: Any) -> dict[int, int]:
        """The first or the last offset of each partition."""
        asked = {kafka.TopicPartition(topic, partition): wanted for partition in range(self._partitions[topic])}
        told = self._admin.list_offsets(asked, request_timeout=SECONDS)
        return {place.partition: (await _answer(found)).offset for place, found in told.items()}

    async def _progress(self, topic: str) -> dict[int, OffsetProgress]:
        """How far the readers have come in each partition."""
        places = [kafka.TopicPartition(topic, partition) for partition in range(self._partitions[topic])]
        asked = [kafka.ConsumerGroupTopicPartitions(topic, places)]
        told = self._admin.list_consumer_group_offsets(asked, request_timeout=SECONDS)[topic]
        return {place.partition: OffsetProgress.of(place) for place in (await _answer(told)).topic_partitions}


async def _answer(future: Future[Any]) -> Any:
    return await asyncio.wait_for(asyncio.wrap_future(future), SECONDS + 5)
