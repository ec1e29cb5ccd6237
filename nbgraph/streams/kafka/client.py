"""Kafka's client, which is an extra: `pip install nbgraph[kafka]`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

from nbgraph.errors import NbgraphError

try:
    import confluent_kafka as kafka
    import confluent_kafka.admin
except ModuleNotFoundError as error:
    raise NbgraphError("KafkaBroker needs the package confluent-kafka: pip install confluent-kafka") from error

__all__ = ["administration", "kafka"]
administration: Any = confluent_kafka.admin  # its types do not tell what it exports


# A Sender: messages to Kafka, and its word on each.


Headers = dict[str, str | bytes | None]
FULL = 0.01  # seconds before a message is tried again that found no room in the client


class KafkaSender:
    """A producer, and the thread on which it tells that messages are kept."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._producer = kafka.Producer({**options, "enable.idempotence": True, "linger.ms": 0})
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True, name="nbgraph-kafka")
        self._thread.start()

    async def send(
        self, topic: str, value: bytes, headers: Headers, *, key: bytes | None = None, partition: int
    ) -> int:
        """The offset of the message, once the brokers keep it."""
        loop = asyncio.get_running_loop()
        told: asyncio.Future[int] = loop.create_future()

        def heard(error: Any, message: Any) -> None:
            loop.call_soon_threadsafe(_settle, told, error, message)

        while True:
            try:
                self._producer.produce(topic, value, key, partition, heard, headers=headers)
                return await told
            except BufferError:
                await asyncio.sleep(FULL)

    async def close(self) -> None:
        self._is_closed.set()
        await asyncio.to_thread(self._thread.join)

    def _serve(self) -> None:
        while not self._is_closed.is_set():
            self._producer.poll(0.1)
        self._producer.flush(2)


def _settle(told: asyncio.Future[int], error: Any, message: Any) -> None:
    if told.done():
        return
    if error is not None:
        told.set_exception(kafka.KafkaException(error))
    else:
        told.set_result(message.offset())
