"""PartitionShard: a partition of a reader: what waits, what is out, what is done behind an open message."""

from __future__ import annotations

import asyncio
import json
import math
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from nbgraph.streams.base import UNSHARDED, DamageError, Message
from nbgraph.streams.codec.envelope import is_plain, read, told_of
from nbgraph.streams.kafka.client import Headers

REMEMBERED = 1000  # message ids by which duplicates are recognised; read again when a partition gets another reader
HORIZON = 2000  # messages that may be begun behind one that is not done: so much of them can be kept beside an offset
OPEN = 200  # messages that may have been begun and not be done: with the horizon, 3,300 bytes of Kafka's 4,096
ID, TOLD = "nbgraph-id", "nbgraph"


@dataclass(frozen=True, slots=True)
class OffsetProgress:
    """How far a group has come: all before `low` is done, and what is in `done`; `tries` counts deliveries of others.

    >>> told = OffsetProgress(7, frozenset({8, 10}), {7: 2}, out=1).text()
    >>> told
    '{"done":"a","tries":{"0":2},"out":1}'
    >>> OffsetProgress.read(7, told) == OffsetProgress(7, frozenset({8, 10}), {7: 2}, out=1)
    True
    """

    low: int = 0
    done: frozenset[int] = frozenset()
    tries: dict[int, int] = field(default_factory=dict)
    out: int = 0

    @classmethod
    def of(cls, place: Any) -> OffsetProgress:
        """What Kafka keeps of a group and a partition."""
        return cls.read(place.offset, place.metadata) if place.offset >= 0 else cls()

    @classmethod
    def read(cls, low: int, text: str | None) -> OffsetProgress:
        told: dict[str, Any] = json.loads(text) if text else {"done": "0", "tries": {}, "out": 0}
        bits = int(told["done"], 16)
        done = frozenset(low + place for place in range(bits.bit_length()) if bits >> place & 1)
        return cls(low, done, {low + int(place): count for place, count in told["tries"].items()}, told["out"])

    def text(self) -> str:
        """What is kept beside the offset; the places count from there, so that it stays short."""
        bits = sum(1 << offset - self.low for offset in self.done)
        tries = {str(offset - self.low): count for offset, count in self.tries.items()}
        return json.dumps({"done": f"{bits:x}", "tries": tries, "out": self.out}, separators=(",", ":"))


class KafkaDelivery:
    """A message that is out; it comes back when its lease ends, and goes to another reader when this one does."""

    turn: int | None = None  # Kafka does not count deliveries over readers

    def __init__(self, shard: PartitionShard, offset: int, message: Message, attempt: int, lease: float) -> None:
        self.message, self.attempt = message, attempt
        self._shard, self._offset, self._lease = shard, offset, lease
        self._timer: asyncio.TimerHandle | None = None
        self._is_open = True
        self._start_timer()

    def is_from(self, shards: Iterable[PartitionShard]) -> bool:
        """Whether one of these holds the message."""
        return self._shard in shards

    async def ack(self) -> None:
        if self._close():
            self._shard.finish(self._offset)
            await self._shard.settle()

    async def nack(self, delay: float = 0.0) -> None:
        if self._close():
            asyncio.get_running_loop().call_later(delay, self._shard.put_back, self._offset)

    async def extend(self) -> None:
        if self._is_open:
            self._start_timer()

    def _start_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._lease != math.inf:
            self._timer = asyncio.get_running_loop().call_later(self._lease, self._back)

    def _back(self) -> None:
        if self._close():
            self._shard.put_back(self._offset)

    def _close(self) -> bool:
        was_open, self._is_open = self._is_open, False
        if self._timer is not None:
            self._timer.cancel()
        return was_open


class PartitionShard:
    """See the module's docstring; `settle` tells Kafka how far it is, `wake` the reader that there is something."""

    def __init__(
        self,
        partition: int,
        before: OffsetProgress,
        settle: Callable[[], Awaitable[None]],
        wake: Callable[[], object],
    ) -> None:
        self.partition, self.settle, self._wake = partition, settle, wake
        self._next = before.low  # the offset behind all that was fetched
        self._begin, self._done, self._tries = before.low, set(before.done), dict(before.tries)
        self._open: dict[int, Message] = {}  # in the order of their offsets
        self._waiting: deque[int] = deque()
        self._out: set[int] = set()
        self._seen: OrderedDict[str, None] = OrderedDict()

    @property
    def size(self) -> int:
        """Messages in hand."""
        return len(self._open)

    def fetched(self, record: Any) -> bool:
        """A record came from Kafka; True for a double of an earlier one. What is done already only tells its id."""
        message, offset = decoded(record), record.offset()
        is_double = message.id in self._seen
        self._seen[message.id] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        if offset < self._next or offset in self._done:
            self._next = max(self._next, offset + 1)
            return False
        self._next = offset + 1
        if is_double:
            self._done.add(offset)
        else:
            self._open[offset] = message
            self._waiting.append(offset)
        return is_double

    def take(self, lease: float, *, is_keyed: bool) -> list[KafkaDelivery]:
        """What may go out now: one message at a time with keys."""
        taken = []
        while self._waiting and len(self._out) < (1 if is_keyed else UNSHARDED) and self._is_near(self._waiting[0]):
            if self._waiting[0] not in self._tries and len(self._tries) >= OPEN:
                break  # what was given back comes first
            offset = self._waiting.popleft()
            self._tries[offset] = self._tries.get(offset, 0) + 1
            self._out.add(offset)
            taken.append(KafkaDelivery(self, offset, self._open[offset], self._tries[offset], lease))
        return taken

    def finish(self, offset: int) -> None:
        """That one is done."""
        self._out.discard(offset)
        self._open.pop(offset, None)
        self._tries.pop(offset, None)
        self._done.add(offset)
        self._wake()

    def put_back(self, offset: int) -> None:
        """That one is to be delivered again."""
        self._out.discard(offset)
        self._waiting.appendleft(offset)
        self._wake()

    def progress(self) -> OffsetProgress:
        low = next(iter(self._open), self._next)
        self._done = {offset for offset in self._done if offset >= low}
        return OffsetProgress(low, frozenset(self._done), dict(self._tries), len(self._out))

    def _is_near(self, offset: int) -> bool:
        return offset - next(iter(self._open)) < HORIZON


def encoded(message: Message) -> tuple[bytes, Headers]:
    """The value and the headers of a message on its way over Kafka."""
    id = {ID: message.id.encode()} if is_plain(message.id) else {}
    return message.body, {**id, TOLD: told_of(message).encode()}


def decoded(record: Any) -> Message:
    """The message of a record; who else writes into the topic may not have given one an id."""
    id, body = f"{record.topic()}-{record.partition()}-{record.offset()}", record.value() or b""
    try:
        found = dict(record.headers() or ())
    except Exception as error:  # a name that is no text
        return Message(id, body, damage=f"Its headers can't be read: {error}")
    try:
        key, headers, whole_id = read(found[TOLD] or b"") if TOLD in found else (None, {}, "")
        return Message(whole_id or (found.get(ID) or b"").decode() or id, body, key, headers)
    except UnicodeDecodeError:
        damage = f"Its id is no text: {found[ID]!r}"
    except DamageError as error:
        damage = str(error)
    return Message(id, body, None, {name: repr(value) for name, value in found.items()}, damage)
