"""The transport of one process: queues in memory, for notebooks and tests."""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Mapping
from typing import Any

from nbgraph.streams.base import UNSHARDED, Broker, Delivery, Inbox, Message, QueueSpec

REMEMBERED = 100_000  # message ids by which duplicates are recognised
LETTERS = 10_000


class MemoryDelivery:
    """A message that is out; it comes back when its lease ends."""

    def __init__(self, shard: _Shard, message: Message, attempt: int, lease: float) -> None:
        self.message, self.attempt = message, attempt
        self._shard, self._lease = shard, lease
        self._timer = asyncio.get_running_loop().call_later(lease, self._back)
        self._is_open = True

    async def ack(self) -> None:
        if self._close():
            self._shard.done(self.message)

    async def nack(self, delay: float = 0.0) -> None:
        if self._close():
            asyncio.get_running_loop().call_later(delay, self._shard.put_back, self.message, self.attempt)

    async def extend(self) -> None:
        if self._is_open:
            self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(self._lease, self._back)

    def _back(self) -> None:
        if self._close():
            self._shard.put_back(self.message, self.attempt)

    def _close(self) -> bool:
        was_open, self._is_open = self._is_open, False
        self._timer.cancel()
        return was_open


class _Shard:
    """The waiting messages of one shard, and how many are out."""

    def __init__(self, queue: _Queue) -> None:
        self._queue = queue
        self.waiting: deque[tuple[Message, int]] = deque()
        self.out = 0

    def done(self, message: Message) -> None:
        self.out -= 1
        self._queue.size -= 1
        self._queue.wake()

    def put_back(self, message: Message, attempt: int) -> None:
        self.out -= 1
        self.waiting.appendleft((message, attempt))
        self._queue.wake()


class _Queue:
    def __init__(self, spec: QueueSpec) -> None:
        self.spec = spec
        self.size = 0
        self.shards = [_Shard(self) for _ in range(spec.shards)]
        self._changed = asyncio.Condition()
        self._turn = itertools.cycle(range(spec.shards))

    def wake(self) -> None:
        asyncio.get_running_loop().create_task(self._notify())

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def put(self, message: Message) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self.size < self.spec.max_size)
            self.size += 1
            self.shards[self.spec.shard_of(message.key)].waiting.append((message, 0))
            self._changed.notify_all()

    async def take(self) -> MemoryDelivery:
        async with self._changed:
            await self._changed.wait_for(lambda: self._free() is not None)
            shard = self._free()
            assert shard is not None
            message, attempt = shard.waiting.popleft()
            shard.out += 1
        return MemoryDelivery(shard, message, attempt + 1, self.spec.lease)

    def _free(self) -> _Shard | None:
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
        self._queues: dict[str, _Queue] = {}
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._letters: deque[dict[str, Any]] = deque(maxlen=LETTERS)
        self._states: dict[str, bytes] = {}
        self._inboxes: dict[str, _MemoryInbox] = {}
        self._numbers = itertools.count()

    async def declare(self, queue: QueueSpec) -> None:
        self._queues.setdefault(queue.name, _Queue(queue))

    async def publish(self, queue: QueueSpec, message: Message) -> None:
        seen = (queue.name, message.id)
        if seen in self._seen:
            return
        self._seen[seen] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        await self._queues[queue.name].put(message)

    async def read(self, queue: QueueSpec) -> AsyncIterator[Delivery]:
        while True:
            yield await self._queues[queue.name].take()

    async def backlog(self, queue: QueueSpec) -> int:
        return self._queues[queue.name].size

    async def bury(self, message: Message, reason: Mapping[str, Any]) -> None:
        letter = {**reason, "id": message.id, "headers": dict(message.headers), "body": message.body}
        self._letters.appendleft(letter)

    async def buried(self, limit: int = 100) -> list[dict[str, Any]]:
        return list(itertools.islice(self._letters, limit))

    async def keep(self, name: str, state: bytes) -> None:
        self._states[name] = state

    async def kept(self, name: str) -> bytes | None:
        return self._states.get(name)

    async def inbox(self) -> Inbox:
        return _MemoryInbox(self._inboxes, f"inbox-{next(self._numbers)}")

    async def reply(self, address: str, headers: Mapping[str, str], body: bytes) -> None:
        inbox = self._inboxes.get(address)
        if inbox is not None:  # whoever asked may be gone
            inbox.queue.put_nowait((headers, body))

    async def close(self) -> None:
        self._inboxes.clear()
