"""EventContext: what travels beside an event from function to function, and is true while one of them works on it.

Whoever asked waits on a reply inbox and must hear of the end of every branch, also of those that answer nothing. So
an event sets out with a credit; each message that it makes takes half of what is left along, and every function gives
back what it still has when its part is done. When all credit is back, nothing is under way any more (Mattern 1989,
"Global quiescence detection based on credit distribution and recovery"); the order of the replies does not matter.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Self

from nbgraph.errors import NbgraphError
from nbgraph.streams import traceparent
from nbgraph.streams.base import DamageError, Message, Publishing, QueueSpec

WHOLE = 1 << 200  # can be halved two hundred times: more branches in a row than any event takes
FARTHEST = 1000  # queues that one event may pass, so that a cycle over functions ends
PREFIX = "Nbgraph-"
ROOT, REPLY_TO, CREDIT = f"{PREFIX}Root", f"{PREFIX}Reply-To", f"{PREFIX}Credit"
DEADLINE, HOPS, KEPT = f"{PREFIX}Deadline", f"{PREFIX}Hops", f"{PREFIX}Kept"


class TooFarError(NbgraphError):
    """An event went through more queues than any useful way has."""


@dataclass(slots=True)
class EventContext:
    """`root` is the id of the event that entered, `message` that of the message that brought this part of it.

    `deadline` is in seconds since 1970, of the clock of the gateway that the event came to; `sent` counts the messages
    made, so that a part that runs again makes the same ids and the broker drops the doubles. With an `outbox` they are
    laid there instead of being published, for whoever must keep something else first.
    """

    broker: Publishing
    pack: Callable[[Any], bytes]
    root: str
    message: str
    reply_to: str | None = None
    credit: int = WHOLE
    deadline: float | None = None
    hops: int = 0
    beside: Mapping[str, str] = field(default_factory=dict)  # headers handed on as they are
    sent: int = 0
    outbox: list[tuple[QueueSpec, Message]] | None = None
    is_kept: bool = False  # whoever answers keeps the answer as well, for a caller who comes back for it

    @classmethod
    def of_message(cls, broker: Publishing, pack: Callable[[Any], bytes], message: Message) -> Self:
        """The passage that a message's headers tell of; `DamageError` where they are not what `send` writes."""
        headers = message.headers
        if message.damage:
            raise DamageError(message.damage)
        try:
            deadline, credit = headers.get(DEADLINE), int(headers.get(CREDIT, "0"), 16)
            read = cls(
                broker, pack, headers.get(ROOT, message.id), message.id, headers.get(REPLY_TO), credit,
                float(deadline) if deadline else None, int(headers.get(HOPS, "0")),
                {name: value for name, value in headers.items() if not name.startswith(PREFIX)},
                is_kept=KEPT in headers,
            )  # fmt: skip
        except (ValueError, OverflowError):
            raise _damage(headers) from None
        if not (0 <= credit <= WHOLE and read.hops >= 0 and math.isfinite(read.deadline or 0)):
            raise _damage(headers)
        return read

    async def send(self, queue: QueueSpec, body: Any, key: Any, headers: Mapping[str, str]) -> Any:
        """Hand the event on; returns once the broker keeps it.

        The result stands for the event among the answers of the part that sent it; None: its body does.
        """
        if self.hops >= FARTHEST:
            raise TooFarError(f"the event has passed {self.hops} queues, the most that one may (a cycle without end?)")
        share = self.credit >> 1
        self.credit -= share
        self.sent += 1
        told = {**self.beside, **headers, **traceparent.current.get()}
        told |= {ROOT: self.root, CREDIT: f"{share:x}", HOPS: str(self.hops + 1)}
        if self.reply_to is not None:
            told[REPLY_TO] = self.reply_to
        if self.is_kept:
            told[KEPT] = "1"
        if self.deadline is not None:
            told[DEADLINE] = repr(self.deadline)
        id = f"{self.message}/{queue.name}.{self.sent}"
        message = Message(id, self.pack(body), key, told)
        if self.outbox is None:
            await self.broker.publish(queue, message)
        else:
            self.outbox.append((queue, message))


def _damage(headers: Mapping[str, str]) -> DamageError:
    found = {name: headers[name][:100] for name in (CREDIT, DEADLINE, HOPS) if name in headers}
    return DamageError(f"What travels beside the event can't be read: no numbers, or none that nbgraph writes: {found}")


current: ContextVar[EventContext | None] = ContextVar("nbgraph_passage", default=None)

# Until when the event at hand is to be answered, in seconds since 1970; None where nobody waits.
deadline: ContextVar[float | None] = ContextVar("nbgraph_deadline", default=None)


def seconds_left() -> float | None:
    """What is left of the deadline, for a step that asks others on the event's behalf.

    >>> seconds_left() is None
    True
    """
    end = deadline.get()
    return None if end is None else end - time.time()
