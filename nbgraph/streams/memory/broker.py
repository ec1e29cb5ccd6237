"""The transport of one process: queues in memory, for notebooks and tests."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nbgraph.streams.base import UNSHARDED, Broker, Delivery, Inbox, Load, Message, QueueSpec, StaleError

REMEMBERED = 100_000  # message ids of a queue by which duplicates are recognised
LETTERS = 10_000


@dataclass(eq=False, slots=True)
class _QueuedMessage:
    """A message in a queue, since when, and how often it was delivered."""

    message: Message
    since: float = field(default_factory=time.monotonic)
    attempts: int = 0


class MemoryDelivery:
    """A message that is out; it comes back when its lease ends."""

    def __init__(self, shard: _MemoryShard, kept: _QueuedMessage, lease: float) -> None:
        self.message, self.attempt = kept.message, kept.attempts
        self.turn: int | None = shard.next_turn()
        self._shard, self._kept, self._lease = shard, kept, lease
        self._timer = asyncio.get_running_loop().call_later(lease, self._back)
        self._is_open = True

    async def ack(self) -> None:
        if self._close():
            self._shard.done(self._kept)

    async def nack(self, delay: float = 0.0) -> None:
        if self._close():
            asyncio.get_running_loop().call_later(delay, self._shard.put_back, self._kept)

    async def extend(self) -> None:
        if self._is_open:
            self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(self._lease, self._back)

    def _back(self) -> None:
        if self._close():
            self._shard.put_back(self._kept)

    def _close(self) -> bool:
        was_open, self._is_open = self._is_open, False
        self._timer.cancel()
        return was_open


class _MemoryShard:
    """The waiting messages of one shard, and how many are out."""

    def __init__(self, queue: _MemoryQueue) -> None:
        self._queue = queue
        self.waiting: deque[_QueuedMessage] = deque()
        self.out = 0
        self._turns = itertools.count()

    def next_turn(self) -> int:
        return next(self._turns)

    def done(self, kept: _QueuedMessage) -> None:
        self.out -= 1
        del self._queue.kept[kept]
        self._queue.wake()

    def put_back(self, kept: _QueuedMessage) -> None:
        self.out -= 1
        self.waiting.appendleft(kept)
        self._queue.wake()


class _MemoryQueue:
    def __init__(self, spec: QueueSpec) -> None:
        self.spec = spec
        self.kept: dict[_QueuedMessage, None] = {}  # all that is not done, the oldest first
        self.shards = [_MemoryShard(self) for _ in range(spec.shards)]
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._changed = asyncio.Condition()
        self._turn = itertools.cycle(range(spec.shards))

    def wake(self) -> None:
        asyncio.get_running_loop().create_task(self._notify())

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def put(self, message: Message) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.kept) < self.spec.max_size or message.id in self._seen)
            if message.id in self._seen:
                return
            self._seen[message.id] = None  # a known id means that it is kept, not that somebody wanted to
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
            kept = _QueuedMessage(message)
            self.kept[kept] = None
            self.shards[self.spec.shard_of(message.key)].waiting.append(kept)
            self._changed.notify_all()

    async def take(self, lease: float) -> MemoryDelivery:
        async with self._changed:
            await self._changed.wait_for(lambda: self._free() is not None)
            shard = self._free()
            assert shard is not None
            kept = shard.waiting.popleft()
            kept.attempts += 1
            shard.out += 1
        return MemoryDelivery(shard, kept, lease)

    def load(self) -> Load:
        oldest = next(iter(self.kept), None)
        in_flight = sum(shard.out for shard in self.shards)
        return Load(len(self.kept) - in_flight, in_flight, time.monotonic() - oldest.since if oldest else 0.0)

    def _free(self) -> _MemoryShard | None:
        """A shard with something waiting that may be worked on now, each in turn."""
        most = 1 if self.spec.is_keyed else UNSHARDED
        for _ in self.shards:
            shard = self.shards[next(self._turn)]
            if shard.waiting and shard.out < most:
                return shard
        return None


class _MemoryInbox:
    def __init__(self, inboxes: dict[str, _MemoryInbox], address: str) -> None:
        self.address, self._inboxes = address, inboxes
        self.queue: asyncio.Queue[tuple[Mapping[str, str], bytes]] = asyncio.Queue()
        inboxes[address] = self

    async def replies(self) -> AsyncIterator[tuple[Mapping[str, str], bytes]]:
        while True:
            yield await self.queue.get()

    async def close(self) -> None:
        self._inboxes.pop(self.address, None)


class MemoryBroker(Broker):
    """Everything a broker does, as long as the process lives."""

    def __init__(self) -> None:
        self._queues: dict[str, _MemoryQueue] = {}
        self._letters: deque[dict[str, Any]] = deque(maxlen=LETTERS)
        self._states: dict[float | None, OrderedDict[str, tuple[bytes, int, float]]] = {}  # by their lifetime
        self._inboxes: dict[str, _MemoryInbox] = {}
        self._numbers = itertools.count()

    @property
    def is_connected(self) -> bool:
        return True

    async def declare(self, queue: QueueSpec) -> None:
        self._queues.setdefault(queue.name, _MemoryQueue(queue))

    async def remove(self, queue: QueueSpec) -> None:
        self._queues.pop(queue.name, None)

    async def publish(self, queue: QueueSpec, message: Message) -> None:
        await self._queues[queue.name].put(message)

    async def read(self, queue: QueueSpec, *, keeps_leases: bool = False) -> AsyncGenerator[Delivery, None]:
        while True:
            yield await self._queues[queue.name].take(math.inf if keeps_leases else queue.lease)

    async def backlog(self, queue: QueueSpec) -> int:
        return (await self.load(queue)).backlog

    async def load(self, queue: QueueSpec) -> Load:
        return self._queues[queue.name].load()

    async def bury(self, message: Message, reason: Mapping[str, Any]) -> None:
        told = {"id": message.id, "headers": dict(message.headers), "body": message.body}
        letter = {**reason, **told, "sequence": next(self._numbers)}
        self._letters.appendleft(letter)

    async def buried(self, limit: int = 100) -> list[dict[str, Any]]:
        return list(itertools.islice(self._letters, limit))

    async def unbury(self, sequence: int) -> None:
        left = [letter for letter in self._letters if letter["sequence"] != sequence]
        self._letters = deque(left, maxlen=LETTERS)

    async def keep(self, name: str, state: bytes, revision: int | None = None, *, seconds: float | None = None) -> int:
        states = self._states.setdefault(seconds, OrderedDict())
        found = (await self.kept(name, seconds=seconds))[1]
        if revision is not None and revision != found:
            raise StaleError(name, revision)
        states[name] = state, found + 1, time.monotonic() + (math.inf if seconds is None else seconds)
        states.move_to_end(name)  # the first is the one to be forgotten first
        return found + 1

    async def kept(self, name: str, *, seconds: float | None = None) -> tuple[bytes | None, int]:
        states = self._states.get(seconds, OrderedDict())
        while states and next(iter(states.values()))[2] <= time.monotonic():
            states.popitem(last=False)
        return states[name][:2] if name in states else (None, 0)

    async def inbox(self) -> Inbox:
        return _MemoryInbox(self._inboxes, f"inbox-{next(self._numbers)}")

    def is_inbox(self, address: str) -> bool:
        return address.startswith("inbox-")

    async def reply(self, address: str, headers: Mapping[str, str], body: bytes) -> None:
        inbox = self._inboxes.get(address)
        if inbox is not None:  # whoever asked may be gone
            inbox.queue.put_nowait((headers, body))

    async def close(self) -> None:
        self._inboxes.clear()
