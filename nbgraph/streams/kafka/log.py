"""Log: one partition read outside any consumer group: states, dead letters, replies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from nbgraph.streams.kafka.client import kafka

SECONDS = 10.0  # that an answer of Kafka may take
BATCH = 500
ALONE = {"group.id": "nbgraph-alone", "enable.auto.commit": False, "auto.offset.reset": "earliest"}


class Log:
    """The records of a partition; its consumer is made at the first use."""

    def __init__(self, options: Mapping[str, Any], topic: str, partition: int = 0) -> None:
        self._options, self._topic, self._partition = options, topic, partition
        self._consumer: Any = None
        self._next = 0
        self._turn = asyncio.Lock()

    async def news(self, patience: float = 0.0) -> list[Any]:
        """What came since the last time; waits that many seconds for it, where there is nothing."""
        async with self._turn:
            return await asyncio.to_thread(self._news, patience)

    async def last(self, count: int) -> list[Any]:
        """The last records."""
        try:
            return await asyncio.to_thread(self._last, count)
        finally:
            await self.close()

    async def time_of(self, offset: int) -> float:
        """When the record at the offset was written, in seconds since 1970; now where there is none."""
        try:
            found = await asyncio.to_thread(self._read, offset, offset + 1)
        finally:
            await self.close()
        return found[0].timestamp()[1] / 1000 if found else time.time()

    async def close(self) -> None:
        async with self._turn:
            consumer, self._consumer = self._consumer, None
            if consumer is not None:
                await asyncio.to_thread(consumer.close)

    def _news(self, patience: float) -> list[Any]:
        _, end = self._marks()
        if end <= self._next and patience:
            return self._came(self._opened(self._next).poll(patience))
        found = self._read(self._next, end)
        self._next = max(self._next, end)
        return found

    def _came(self, record: Any) -> list[Any]:
        if record is None or record.error() is not None:
            return []
        self._next = record.offset() + 1
        return [record]

    def _last(self, count: int) -> list[Any]:
        begin, end = self._marks()
        return self._read(max(begin, end - count), end)

    def _read(self, start: int, end: int) -> list[Any]:
        """The records from start to before the end; some offsets may have none, after a compaction."""
        found: list[Any] = []
        deadline = time.monotonic() + SECONDS
        while start < end and time.monotonic() < deadline:
            for record in self._opened(start).consume(BATCH, 0.05):
                if record.error() is None and start <= record.offset() < end:
                    found.append(record)
                    start = record.offset() + 1
            place = self._consumer.position([kafka.TopicPartition(self._topic, self._partition)])[0].offset
            start = max(start, min(place, end))
        return found

    def _marks(self) -> tuple[int, int]:
        place = kafka.TopicPartition(self._topic, self._partition)
        begin, end = self._opened(self._next).get_watermark_offsets(place, timeout=SECONDS)
        return begin, end

    def _opened(self, start: int) -> Any:
        """The consumer, which goes on from where it is; a new one begins at the start."""
        if self._consumer is None:
            self._consumer = kafka.Consumer({**self._options, **ALONE})
            self._consumer.assign([kafka.TopicPartition(self._topic, self._partition, start)])
        return self._consumer
