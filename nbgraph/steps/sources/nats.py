"""NatsSource: the messages of a NATS JetStream stream."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from nbgraph.event import Event
from nbgraph.steps.optional import package
from nbgraph.steps.runtime.loop_thread import call, finish
from nbgraph.steps.sources.base import Source

__all__ = ["NatsSource"]

FETCH = 0.5  # seconds to wait for messages at a time


class NatsSource(Source):
    """The messages of a JetStream subject as Events: body, key and headers are the message's.

    >>> source = NatsSource("nats://localhost:4222", "payments.>", durable="scoring")

    A message is acknowledged when its event is through; one that is not, within `ack_seconds`, comes again. The
    source ends when no message came for `idle_seconds`; without them it goes on.

    Parameters
    ----------
    servers
        Addresses, `"nats://host:4222"`.
    subject
        Subject; `*` and `>` stand for parts of it.
    durable
        Name of the consumer, which remembers how far it has come.
    stream
        JetStream stream; None: the one that has the subject.
    idle_seconds
        Seconds without a message after which the source ends; None: never.
    ack_seconds
        Seconds after which a message that is not through comes again.
    batch_size
        Rows or messages that are fetched at once.
    """

    io = "the network"

    def __init__(
        self,
        servers: str | Sequence[str],
        subject: str,
        durable: str = "nbgraph",
        stream: str | None = None,
        idle_seconds: float | None = None,
        ack_seconds: float = 60,
        batch_size: int = 100,
    ) -> None:
        self._servers = servers if isinstance(servers, str) else list(servers)
        self._subject, self._durable, self._stream = subject, durable, stream
        self._idle, self._ack_seconds, self._batch_size = idle_seconds, ack_seconds, batch_size
        self._client: Any = None
        self._lock = threading.RLock()  # who reads and who commits may be on different threads
        self._is_over = False
        self._open: deque[tuple[str, Any]] = deque()  # ids of events that are not through yet, and their messages

    def __iter__(self) -> Iterator[Event]:
        self.close()
        try:
            subscription = call(self._subscribed())
            last = time.monotonic()
            while self._idle is None or time.monotonic() - last < self._idle:
                for message in call(self._fetched(subscription)):
                    event = _event(message)
                    self._open.append((event.id, message))
                    yield event
                    last = time.monotonic()
            self._is_over = True
            self._close_when_through()
        except BaseException:  # also when the reader goes away: what it did not finish will come again
            self.close()
            raise

    async def _subscribed(self) -> Any:
        nats = package("nats", "NatsSource", "nats-py")
        self._client = await nats.connect(self._servers)
        # No limit of pending acks: a batch may hold as many events as it likes before any of them is through.
        config = nats.js.api.ConsumerConfig(ack_wait=self._ack_seconds, max_ack_pending=-1)
        js = self._client.jetstream()
        return await js.pull_subscribe(self._subject, self._durable, stream=self._stream, config=config)

    async def _fetched(self, subscription: Any) -> list[Any]:
        try:
            return list(await subscription.fetch(self._batch_size, timeout=FETCH))
        except TimeoutError:  # the client's own, or asyncio's, which a busy machine lets through
            return []

    def commit(self, event: Event) -> None:
        with self._lock:
            if not any(name == event.id for name, _ in self._open):
                return
            through = []
            name = ""
            while name != event.id:
                name, message = self._open.popleft()
                through.append(message)
            call(_acknowledge(through))
            self._close_when_through()

    def _close_when_through(self) -> None:
        with self._lock:
            if self._is_over and not self._open:
                self.close()

    def close(self) -> None:
        """Send what is still on its way and hang up."""
        with self._lock:
            if self._client is not None:
                finish(self._client.close())
                self._client = None
            self._open.clear()
            self._is_over = False


async def _acknowledge(messages: list[Any]) -> None:
    for message in messages:
        await message.ack()


def _event(message: Any) -> Event:
    headers = dict(message.headers or {})
    place = message.metadata
    return Event(
        message.data,
        key=headers.get("Nbgraph-Key"),
        id=f"{place.stream}-{place.sequence.stream}",
        headers=headers,
        content_type=headers.get("Content-Type"),
        time=place.timestamp,
    )
