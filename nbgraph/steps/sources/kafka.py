"""KafkaSource: the messages of Kafka topics."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from nbgraph.errors import NbgraphError
from nbgraph.event import Event
from nbgraph.steps.optional import package
from nbgraph.steps.sources.base import Source

__all__ = ["KafkaSource"]

POLL = 0.2  # seconds
JOINING = 60  # seconds that the group may take to come together, where the source is to end at all
BATCH = 500  # messages taken at once


class KafkaSource(Source):
    """The messages of Kafka topics as Events: body, key, headers and time are the message's.

    >>> source = KafkaSource("localhost:9092", "payments", group="scoring")
    >>> ending = KafkaSource("localhost:9092", ["payments", "refunds"], idle_seconds=5)

    A message is committed when its event is through, so that after a crash it comes again, and none is lost. The
    source ends when no message came for `idle_seconds`; without them it goes on. `consumer_options` are librdkafka's.

    Parameters
    ----------
    brokers
        Addresses of the cluster, `"host:9092"`.
    topics
        Topics.
    group
        Consumer group.
    initial_offset
        `"earliest"` or `"latest"`, for a group that has read nothing yet.
    consumer_options
        Options of librdkafka.
    idle_seconds
        Seconds without a message after which the source ends; None: never.
    """

    io = "the network"

    def __init__(
        self,
        brokers: str | Sequence[str],
        topics: str | Sequence[str],
        group: str = "nbgraph",
        initial_offset: str = "earliest",
        consumer_options: Mapping[str, Any] | None = None,
        idle_seconds: float | None = None,
    ) -> None:
        self._topics = [topics] if isinstance(topics, str) else list(topics)
        self._idle = idle_seconds
        self._options = {
            "bootstrap.servers": brokers if isinstance(brokers, str) else ",".join(brokers),
            "group.id": group,
            "auto.offset.reset": initial_offset,
            **(consumer_options or {}),
            "enable.auto.commit": True,  # of the offsets that `commit` stores, in the background and at the end
            "enable.auto.offset.store": False,
        }
        self._consumer: Any = None
        self._lock = threading.RLock()  # who reads and who commits may be on different threads
        self._is_over = False
        self._last: float | None = None  # when the last message came
        self._open: deque[tuple[str, Any]] = deque()  # ids of events that are not through yet, and their places

    def __iter__(self) -> Iterator[Event]:
        kafka = package("confluent_kafka", "KafkaSource", "confluent-kafka")
        self.close()
        self._consumer = kafka.Consumer(self._options)
        self._last = None
        self._consumer.subscribe(self._topics, on_assign=self._assigned)
        try:
            for message in self._messages(kafka):
                event = _event(message)
                place = kafka.TopicPartition(message.topic(), message.partition(), message.offset() + 1)
                self._open.append((event.id, place))
                yield event
            self._is_over = True
            self._close_when_through()
        except BaseException:  # also when the reader goes away: what it did not finish will come again
            self.close()
            raise

    def _assigned(self, consumer: Any, partitions: list[Any]) -> None:
        """From here on it is the topic that is idle; before, the group was still coming together."""
        self._last = time.monotonic()

    def _messages(self, kafka: Any) -> Iterator[Any]:
        began = time.monotonic()
        while not self._is_idle(began):
            for message in self._consumer.consume(BATCH, POLL):
                if message.error() is not None:
                    raise kafka.KafkaException(message.error())
                yield message
                self._last = time.monotonic()

    def _is_idle(self, began: float) -> bool:
        if self._idle is None:
            return False
        if self._last is None and time.monotonic() - began > JOINING:
            raise NbgraphError(
                f"KafkaSource got no partition of {', '.join(self._topics)} from {self._options['bootstrap.servers']} "
                f"within {JOINING} seconds; is the broker up, and may this group read there?"
            )
        return self._last is not None and time.monotonic() - self._last >= self._idle

    def commit(self, event: Event) -> None:
        with self._lock:
            if not any(name == event.id for name, _ in self._open):
                return
            through: dict[tuple[str, int], Any] = {}
            name = ""
            while name != event.id:
                name, place = self._open.popleft()
                through[place.topic, place.partition] = place
            self._store(list(through.values()))
            self._close_when_through()

    def _store(self, places: list[Any]) -> None:
        kafka = package("confluent_kafka", "KafkaSource", "confluent-kafka")
        for place in places:
            try:
                self._consumer.store_offsets(offsets=[place])
            except kafka.KafkaException as error:
                if error.args[0].code() != kafka.KafkaError._STATE:  # the partition is another consumer's by now
                    raise

    def _close_when_through(self) -> None:
        with self._lock:
            if self._is_over and not self._open:
                self.close()

    def close(self) -> None:
        """Commit what is through and leave the group."""
        with self._lock:
            if self._consumer is not None:
                self._consumer.close()
                self._consumer = None
            self._open.clear()
            self._is_over = False


def _event(message: Any) -> Event:
    headers = {name: (value or b"").decode(errors="replace") for name, value in message.headers() or ()}
    key = message.key()
    _, milliseconds = message.timestamp()
    return Event(
        message.value(),
        key=key.decode(errors="replace") if isinstance(key, bytes) else key,
        id=f"{message.topic()}-{message.partition()}-{message.offset()}",
        headers=headers,
        content_type=headers.get("content-type"),
        time=datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds > 0 else None,
    )
