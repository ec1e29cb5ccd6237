"""KafkaTarget: events into a Kafka topic."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nbgraph.event import Event
from nbgraph.handler import Counterpart
from nbgraph.steps.context import StepContext
from nbgraph.steps.http.client import packed, text
from nbgraph.steps.optional import package
from nbgraph.steps.targets.base import Target
from nbgraph.types import Shape

__all__ = ["KafkaTarget"]

SECONDS = 30.0  # that a message may take to be acknowledged


class KafkaTarget(Target):
    """Send each body to a Kafka topic as JSON (bytes and text as they are), under the event's key.

    >>> target = KafkaTarget("localhost:9092", "scored", max_events=100, flush_after_seconds=0.5)

    A write has happened when the brokers have acknowledged it. `sharding_func` chooses the partition for a body;
    without it Kafka does, by the key. `producer_options` are librdkafka's.

    Parameters
    ----------
    brokers
        Addresses of the cluster, `"host:9092"`.
    topic
        Topic.
    producer_options
        Options of librdkafka.
    sharding_func
        Partition of a body; None: Kafka's own choice, by key.
    """

    counterpart = Counterpart(
        "KafkaTarget",
        renamed={"brokers": "brokers", "kafka_brokers": "brokers", "bootstrap_servers": "brokers"},
        unused={"infer_columns_from_data": (True, False)},
    )
    io = "the network"
    packages = ("confluent_kafka",)
    shape = Shape.EVENT

    def __init__(
        self,
        brokers: str | Sequence[str],
        topic: str,
        producer_options: Mapping[str, Any] | None = None,
        sharding_func: Callable[[Any], int] | None = None,
        max_events: int = 1,
        flush_after_seconds: float | None = None,
        *,
        context: StepContext | None = None,
    ) -> None:
        super().__init__(max_events, flush_after_seconds, context=context)
        self._topic, self._shard = topic, sharding_func
        self._options = {
            "bootstrap.servers": brokers if isinstance(brokers, str) else ",".join(brokers),
            "enable.idempotence": True,
            "linger.ms": 0,
            "message.timeout.ms": int(SECONDS * 1000),
            **(producer_options or {}),
        }
        self._producer: Any = None

    def items(self, body: Any, event: Event | None) -> list[Any]:
        value, content_type = packed(body)
        shard = self._shard(body) if self._shard is not None else -1  # -1: Kafka's own choice
        return [(value, text(event.key) if event else None, content_type, shard)]

    def write(self, items: list[Any]) -> None:
        kafka = package("confluent_kafka", "KafkaTarget", "confluent-kafka")
        if self._producer is None:
            self._producer = kafka.Producer(self._options)
            weakref.finalize(self, self._producer.flush, SECONDS)
        errors: list[Any] = []

        def delivered(error: Any, message: Any) -> None:
            if error is not None:
                errors.append(error)

        for value, key, content_type, shard in items:
            headers = {"content-type": content_type}
            self._producer.produce(self._topic, value, key, shard, delivered, headers=headers)
        left = self._producer.flush(SECONDS)
        if errors or left:
            raise kafka.KafkaException(errors[0] if errors else kafka.KafkaError(kafka.KafkaError._MSG_TIMED_OUT))
