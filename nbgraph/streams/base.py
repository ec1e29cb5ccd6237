"""The contract of a transport: messages, deliveries, queues, a broker that keeps them.

What every broker promises, and `tests/streams/test_contract.py` holds each of them to: a published message is kept
until it is acknowledged; what is not acknowledged in time, or is refused, is delivered again, counted; messages of a
shard are delivered one at a time and in order; a full queue makes the publisher wait; a message id is taken once.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypedDict, Unpack

from nbgraph.errors import NbgraphError, RequestError
from nbgraph.values import same_for_equal

LOOK = 0.02  # seconds between two looks at a queue that is to run dry
UNSHARDED = 64  # messages of an unkeyed queue that one reader may have at once


def flat_name(name: str) -> str:
    """A name of letters, digits, "_" and "-", as streams, subjects and topics allow it; different for different names.

    >>> flat_name("fees"), flat_name("a.b")
    ('fees', 'a_2e_b')
    """
    return re.sub(r"[^A-Za-z0-9_-]", lambda found: f"_{ord(found[0]):x}_", name)


class StaleError(NbgraphError):
    """A state was not kept: it is of another revision by now, since somebody else has kept one."""

    def __init__(self, name: str, revision: int) -> None:
        super().__init__(f'The state "{name}" is no longer of revision {revision}; read it anew.')
        self.name, self.revision = name, revision


class StateTooLargeError(NbgraphError):
    """A state is larger than the broker takes in one piece."""

    def __init__(self, name: str, size: int, largest: int) -> None:
        super().__init__(f'The state "{name}" has {size:,} bytes; the broker takes {largest:,} in one piece.')
        self.name, self.size, self.largest = name, size, largest


class MessageTooLargeError(NbgraphError):
    """A message is larger than the broker takes."""

    def __init__(self, queue: str, size: int, largest: int) -> None:
        super().__init__(
            f'A message for queue "{queue}" has {size:,} bytes; the broker takes {largest:,}. Hand on where the data '
            "is (a path, the key of a table's row), not the data."
        )


class FullError(RequestError):
    """There is no room for a message now, nor has there been for a while."""

    def __init__(self, name: str) -> None:
        super().__init__(f'There is no room in "{name}", which is full; try again in a while.', 503)
        self.name = name


class DamageError(NbgraphError):
    """A message that nbgraph has not written, or that is not what it was."""


class QueueOptions(TypedDict, total=False):
    """What a `Queue` takes besides its name and key, and hands on to its `QueueSpec` under the same names."""

    shards: int
    max_size: int


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """A queue as a transport sees it; with `is_keyed` each shard keeps its order, one message at a time.

    `lease`: seconds after which a delivery that was neither acknowledged nor extended is delivered again.
    """

    name: str
    shards: int = 1
    max_size: int = 1000
    is_keyed: bool = False
    lease: float = 10.0

    @classmethod
    def of(cls, name: str, key: Any = None, **options: Unpack[QueueOptions]) -> QueueSpec:
        """The spec of a `Queue` by the arguments that the step takes.

        >>> QueueSpec.of("fees", "card", shards=4)
        QueueSpec(name='fees', shards=4, max_size=1000, is_keyed=True, lease=10.0)
        """
        return cls(name, **options, is_keyed=key is not None)

    def shard_of(self, key: Any) -> int:
        """The shard of a key: the same in every process, and for all keys that are equal.

        >>> QueueSpec("q", shards=16).shard_of("card-7") == QueueSpec("q", shards=16).shard_of("card-7")
        True
        """
        if type(key) is not str:  # as nearly every one
            key = same_for_equal(key)
        return zlib.crc32(repr(key).encode()) % self.shards if key is not None else 0


@dataclass(frozen=True, slots=True)
class Message:
    """Bytes with an id, by which duplicates are recognised, a key, and headers.

    `damage`: why what came with the body can't be read; `headers` are then as they were found.
    """

    id: str
    body: bytes
    key: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    damage: str = ""


@dataclass(frozen=True, slots=True)
class Load:
    """What a queue has before it: messages that wait, messages out with a reader, the age of the oldest of all.

    >>> Load(waiting=3, in_flight=1, oldest_seconds=0.5).backlog
    4
    """

    waiting: int = 0
    in_flight: int = 0
    oldest_seconds: float = 0.0

    @property
    def backlog(self) -> int:
        """All that is not done."""
        return self.waiting + self.in_flight


class Delivery(Protocol):
    """A message in the hand of a reader; `attempt` counts deliveries from 1, across crashes.

    `turn` counts the deliveries of its shard: with one that is one more than the last, nobody else had one in between.
    None where the broker can't tell.
    """

    message: Message
    attempt: int
    turn: int | None

    async def ack(self) -> None:
        """It is done; it will not be delivered again."""

    async def nack(self, delay: float = 0.0) -> None:
        """Deliver it again, after that many seconds."""

    async def extend(self) -> None:
        """It takes longer: the lease begins anew."""


class Inbox(Protocol):
    """Where replies come in: an address to send along, and the replies."""

    address: str

    def replies(self) -> AsyncIterator[tuple[Mapping[str, str], bytes]]:
        """Replies as they come: headers and body."""

    async def close(self) -> None: ...


class States(Protocol):
    """Keeps small states."""

    async def keep(self, name: str, state: bytes, revision: int | None = None, *, seconds: float | None = None) -> int:
        """Keep a state under a name; the revision it has now.

        Waits while the broker has no room. With `revision` only where that one still stands there (0: none): else
        `StaleError`. `StateTooLargeError` where there is no room for as many bytes. With `seconds` it is forgotten so
        long after it was written last; states of different lifetimes don't see each other.
        """

    async def kept(self, name: str, *, seconds: float | None = None) -> tuple[bytes | None, int]:
        """The state of that name and lifetime, and its revision; None and 0 where there is none."""


class Publishing(Protocol):
    """Takes messages for queues."""

    async def publish(self, queue: QueueSpec, message: Message) -> None:
        """Returns once the message is kept; waits while the queue is full; a known id is taken as done.

        `MessageTooLargeError` where the broker does not take as many bytes.
        """


class Broker(States, Publishing, Protocol):
    """Keeps queues, dead letters and small states; carries replies."""

    @property
    def is_connected(self) -> bool:
        """Whether it can be reached now."""

    async def declare(self, queue: QueueSpec) -> None:
        """Make the queue, or leave it as it is when it is there."""

    async def remove(self, queue: QueueSpec) -> None:
        """Drop the queue with all that it holds; nothing happens where it is not there."""

    def read(self, queue: QueueSpec, *, keeps_leases: bool = False) -> AsyncGenerator[Delivery, None]:
        """Deliveries, shared among all who read the queue; closing the iterator ends the reading, and their use.

        `keeps_leases`: they do not run out as long as this process lives, whatever keeps it busy.
        """

    async def backlog(self, queue: QueueSpec) -> int:
        """How many messages wait or are being worked on."""

    async def load(self, queue: QueueSpec) -> Load:
        """What waits, what is being worked on, and how old the oldest of all is."""

    async def drained(self, queue: QueueSpec) -> None:
        """Returns when nothing waits and nothing is worked on: the end of a queue that nobody writes to any more."""
        while (await self.load(queue)).backlog:
            await asyncio.sleep(LOOK)

    async def bury(self, message: Message, reason: Mapping[str, Any]) -> None:
        """Put a message among the dead letters; `reason["queue"]` names the one that it came from."""

    async def buried(self, limit: int = 100) -> list[dict[str, Any]]:
        """The newest dead letters first: the reason, with `id`, `headers`, `body` of the message, and a `sequence`.

        What is no dead letter is shown as one, its bytes as the body.
        """

    async def unbury(self, sequence: int) -> None:
        """Take the dead letter of that sequence away; nothing happens where it is not there."""

    async def inbox(self) -> Inbox:
        """A new address for replies."""

    def is_inbox(self, address: str) -> bool:
        """Whether an address is one for replies; others must not be written to on a message's word."""

    async def reply(self, address: str, headers: Mapping[str, str], body: bytes) -> None:
        """Send a reply to an address."""

    async def close(self) -> None: ...
