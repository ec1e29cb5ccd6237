"""The transport over NATS JetStream: queues on disk, shared by any number of processes.

A queue is a stream with work-queue retention and one subject a shard; a shard has one durable consumer, which all
workers share. With keys a consumer has one message out at a time, so the server itself keeps the order of each key,
whoever reads. https://docs.nats.io/nats-concepts/jetstream
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from datetime import datetime
from typing import Any

import msgspec
import nats
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    Header,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import APIError, KeyNotFoundError, NotFoundError, ServiceUnavailableError
from nats.js.kv import KeyValue

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
from nbgraph.streams.codec.envelope import LONGEST, told_of
from nbgraph.streams.nats.client import NatsClient
from nbgraph.streams.nats.leases import Leases
from nbgraph.streams.nats.names import consumer_name, stream_name
from nbgraph.streams.nats.publisher import Publisher
from nbgraph.streams.nats.reader import DEDUPE, TOLD, NatsReader, headers_of, known_by, message_in

DUPLICATE_WINDOW = 600.0  # seconds in which the server recognises a message id
WRONG_SEQUENCE = 10071  # its code for "wrong last sequence": somebody else has written
# The server's codes for "maximum messages" or "bytes exceeded", and that its storage, or the disk, has no more room.
NO_ROOM = frozenset({10023, 10047, 10077})
MOST_BYTES, LEAST_BYTES = 1 << 30, 1 << 20  # of a queue: what it may hold, and what is tried at least on a small disk
# What comes of a server that is away, has just begun, or has no room: it may be asked again.
AWAY: tuple[type[Exception], ...] = (
    OSError, ServiceUnavailableError, nats.errors.NoRespondersError, nats.errors.NoServersError,
    nats.errors.ConnectionClosedError, nats.errors.ConnectionReconnectingError, nats.errors.StaleConnectionError,
)  # fmt: skip
LETTERS = "DEAD"
STATES = "states"
PAUSE = 0.02  # seconds before a server that is away is tried again; doubled up to a second
SOON = 0.05  # seconds before a full queue is tried again, at most
AGAIN_BYTES = 4_000_000  # a second, of a message that found no room and is sent again
PAGE = 256  # consumers that the server tells of at once


class _NatsInbox:
    def __init__(self, client: NatsClient) -> None:
        self._client = client
        self.address = client.new_inbox()
        self._heard: asyncio.Queue[tuple[Mapping[str, str], bytes]] = asyncio.Queue()

    async def open(self) -> _NatsInbox:
        self._subscription = await self._client.hear(self.address, self._hear)
        return self

    async def replies(self) -> AsyncIterator[tuple[Mapping[str, str], bytes]]:
        while True:
            yield await self._heard.get()

    async def close(self) -> None:
        with contextlib.suppress(Exception):  # the connection may be gone already
            await self._client.hear_no_more(self._subscription)

    def _hear(self, subject: bytes, reply: bytes, body: bytes, block: bytes) -> None:
        found = message_in(body, block, "")
        if not found.damage:  # else it is no reply of ours
            self._heard.put_nowait((found.headers, found.body))


class NatsBroker(Broker):
    """A connection to a NATS server with JetStream."""

    def __init__(self, client: NatsClient, leases: Leases) -> None:
        self._client, self._leases = client, leases
        self._jetstream: JetStreamContext = client.jetstream(timeout=10)
        self._publisher = Publisher(client)
        self._letters_made = False
        self._buckets: dict[float | None, KeyValue] = {}

    @classmethod
    async def connect(cls, url: str, *, token: str | None = None, patience: float = 60.0) -> NatsBroker:
        """Connect, waiting for a server that is not up yet; reconnects by itself whenever it has gone."""
        return cls(await _connected(url, token, patience), Leases(lambda: _connected(url, token, patience)))

    @property
    def is_connected(self) -> bool:
        return bool(self._client.is_connected)

    async def declare(self, queue: QueueSpec) -> None:
        name = stream_name(queue.name)
        await self._make_bounded(
            StreamConfig(
                name=name, subjects=[f"{name}.*"], retention=RetentionPolicy.WORK_QUEUE,
                discard=DiscardPolicy.NEW, max_msgs=queue.max_size, storage=StorageType.FILE,
                duplicate_window=DUPLICATE_WINDOW,
            )
        )  # fmt: skip
        for shard in range(queue.shards):
            await self._jetstream.add_consumer(
                name,
                ConsumerConfig(
                    durable_name=consumer_name(shard), filter_subject=f"{name}.{shard}", ack_policy=AckPolicy.EXPLICIT,
                    ack_wait=queue.lease, max_ack_pending=1 if queue.is_keyed else 1000, max_deliver=-1,
                ),
            )  # fmt: skip

    async def remove(self, queue: QueueSpec) -> None:
        with contextlib.suppress(NotFoundError):
            await self._jetstream.delete_stream(stream_name(queue.name))

    async def publish(self, queue: QueueSpec, message: Message) -> None:
        headers = headers_of(message)
        subject = f"{stream_name(queue.name)}.{queue.shard_of(message.key)}"
        pause = PAUSE
        while True:
            try:
                await self._publisher.publish(subject, message.body, headers)
                return
            except APIError as error:
                if error.err_code not in NO_ROOM:
                    raise
                pause = min(pause, SOON) + min(len(message.body) / AGAIN_BYTES, 2.0)
            except nats.errors.MaxPayloadError:
                raise MessageTooLargeError(queue.name, len(message.body), self._client.max_payload) from None
            except (nats.errors.TimeoutError, nats.errors.NoRespondersError):
                pass  # the server is away; the id keeps what did arrive from being doubled
            await asyncio.sleep(pause)
            pause = min(pause * 2, 1.0)

    def read(self, queue: QueueSpec, *, keeps_leases: bool = False) -> AsyncGenerator[Delivery, None]:
        return NatsReader(
            self._client, queue, stream_name(queue.name), self._leases if keeps_leases else None
        ).deliveries()

    async def backlog(self, queue: QueueSpec) -> int:
        return (await self.load(queue)).backlog

    async def load(self, queue: QueueSpec) -> Load:
        name = stream_name(queue.name)
        pages = [await self._jetstream.consumers_info(name, offset) for offset in range(0, queue.shards, PAGE)]
        in_flight = sum(consumer.num_ack_pending or 0 for page in pages for consumer in page)
        state = await self._state(name)  # after the consumers: what was done in between must not count as waiting
        messages = state["messages"]
        in_flight = min(in_flight, messages)
        age = time.time() - datetime.fromisoformat(state["first_ts"]).timestamp() if messages else 0.0
        return Load(messages - in_flight, in_flight, max(0.0, age))

    async def _state(self, stream: str) -> dict[str, Any]:
        """The server's own words on a stream; the client leaves the time of its first message out."""
        told = await self._client.request(f"$JS.API.STREAM.INFO.{stream}", timeout=10)
        answer = msgspec.json.decode(told.data)
        if "error" in answer:
            raise NotFoundError(**answer["error"])
        state: dict[str, Any] = answer["state"]
        return state

    async def bury(self, message: Message, reason: Mapping[str, Any]) -> None:
        await self._make_letters()
        letter = letter_of(message, reason, self._client.max_payload)
        id = known_by(f"{reason.get('queue', '')}/{message.id}")
        await self._publisher.publish(f"{LETTERS}.letter", letter, {DEDUPE: id})

    async def buried(self, limit: int = 100) -> list[dict[str, Any]]:
        await self._make_letters()
        state = (await self._jetstream.stream_info(LETTERS)).state
        letters: list[dict[str, Any]] = []
        for sequence in range(state.last_seq, max(state.first_seq, 1) - 1, -1):  # an empty stream's first one is 0
            if len(letters) == limit:
                break
            with contextlib.suppress(NotFoundError):
                stored = await self._jetstream.get_msg(LETTERS, sequence)
                place = f"{LETTERS}.{sequence}"
                letters.append({**read_letter(stored.data or b"", place), "sequence": sequence})
        return letters

    async def unbury(self, sequence: int) -> None:
        with contextlib.suppress(NotFoundError, APIError):  # somebody else has
            await self._jetstream.delete_msg(LETTERS, sequence)

    async def keep(self, name: str, state: bytes, revision: int | None = None, *, seconds: float | None = None) -> int:
        await self._states(seconds)
        expected = None if revision is None else {Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value: str(revision)}
        while True:
            try:
                return await self._publisher.publish(f"$KV.{_bucket(seconds)}.{_state_name(name)}", state, expected)
            except APIError as error:
                if error.err_code == WRONG_SEQUENCE:
                    raise StaleError(name, revision or 0) from None
                if error.err_code not in NO_ROOM:
                    raise
            except nats.errors.MaxPayloadError:
                raise StateTooLargeError(name, len(state), self._client.max_payload) from None
            await asyncio.sleep(SOON + min(len(state) / AGAIN_BYTES, 2.0))

    async def kept(self, name: str, *, seconds: float | None = None) -> tuple[bytes | None, int]:
        try:
            entry = await (await self._states(seconds)).get(_state_name(name))
            return entry.value, int(entry.revision or 0)
        except KeyNotFoundError:
            return None, 0

    async def inbox(self) -> Inbox:
        return await _NatsInbox(self._client).open()

    def is_inbox(self, address: str) -> bool:
        return re.fullmatch(r"_INBOX\.[A-Za-z0-9._-]{1,200}", address) is not None

    async def reply(self, address: str, headers: Mapping[str, str], body: bytes) -> None:
        await self._client.send(address, body, headers={TOLD: told_of(Message("", body, None, headers))})

    async def close(self) -> None:
        self._leases.close()
        with contextlib.suppress(Exception):  # a server that is gone can't be told
            await asyncio.wait_for(self._client.drain(), 2)

    async def _make_letters(self) -> None:
        if not self._letters_made:
            await self._make_bounded(
                StreamConfig(
                    name=LETTERS, subjects=[f"{LETTERS}.*"], discard=DiscardPolicy.NEW, storage=StorageType.FILE
                )
            )  # fmt: skip
            self._letters_made = True

    async def _make_bounded(self, config: StreamConfig) -> None:
        """Make a stream that is full before the disk is: while it grows, as much stays free for answers and letters."""
        with contextlib.suppress(NotFoundError):
            await self._jetstream.stream_info(str(config.name))
            return
        size = MOST_BYTES
        while True:
            try:
                await self._make_stream(config.evolve(max_bytes=2 * size))
                break
            except APIError as error:
                if error.err_code not in NO_ROOM or size <= LEAST_BYTES:
                    raise
                size //= 2
        await self._jetstream.update_stream(config.evolve(max_bytes=size))

    async def _make_stream(self, config: StreamConfig) -> None:
        try:
            await self._jetstream.add_stream(config)
        except APIError as error:
            if "already in use" not in str(error.description):
                raise

    async def _states(self, seconds: float | None) -> KeyValue:
        """The bucket of the states of one lifetime."""
        if seconds not in self._buckets:
            name = _bucket(seconds)
            try:
                self._buckets[seconds] = await self._jetstream.key_value(name)
            except NotFoundError:
                self._buckets[seconds] = await self._jetstream.create_key_value(bucket=name, ttl=seconds)
        return self._buckets[seconds]


def _state_name(name: str) -> str:
    """The name of a state in a subject, which must not be long."""
    return stream_name(name if len(name) <= LONGEST else known_by(name))


def _bucket(seconds: float | None) -> str:
    return STATES if seconds is None else f"{STATES}-{seconds:g}".replace(".", "_")


async def _connected(url: str, token: str | None, patience: float) -> NatsClient:
    deadline = asyncio.get_running_loop().time() + patience
    pause = PAUSE
    while True:
        try:
            client = NatsClient()
            left = max(deadline - asyncio.get_running_loop().time(), PAUSE)
            connecting = client.connect(
                url, token=token, max_reconnect_attempts=-1, connect_timeout=2, error_cb=_quiet, allow_reconnect=True,
                reconnect_time_wait=0.2,  # type: ignore[arg-type]  # it only sleeps so long
            )  # fmt: skip
            await asyncio.wait_for(connecting, left)  # by itself it would try for ever
            return client
        except (OSError, nats.errors.Error) as error:
            if asyncio.get_running_loop().time() > deadline:
                raise ConnectionError(f"No NATS server answers at {url}: {error}") from error
            await asyncio.sleep(pause)
            pause = min(pause * 2, 1.0)


async def _quiet(error: Exception) -> None:
    """The client reconnects by itself; readiness tells that it is away."""
