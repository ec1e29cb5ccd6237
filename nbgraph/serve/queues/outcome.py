"""QueueOutcome: the result of a message, complete enough to be sent a second time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nbgraph.streams.base import Message, QueueSpec

ANSWER, LATE, DONE, FAILED = "answer", "late", "done", "failed"
KIND, ROOT, CREDIT, STATUS = "Kind", "Root", "Credit", "Status"  # headers of replies
Sent = tuple[QueueSpec, Message]


@dataclass(frozen=True, slots=True)
class QueueOutcome:
    """The reply to whoever asked, with the credit that goes back; and the messages that were laid in the outbox."""

    kind: str
    reply: bytes = b""
    status: int = 200
    credit: int = 0
    sent: tuple[Sent, ...] = ()

    def giving_back(self, credit: int) -> QueueOutcome:
        """The same, with the credit."""
        return QueueOutcome(self.kind, self.reply, self.status, credit, self.sent)

    def plain(self) -> list[Any]:
        """As plain data, to be kept."""
        return [self.kind, self.reply, self.status, self.credit, plain_of(self.sent)]

    @classmethod
    def of_plain(cls, plain: list[Any], queues: Mapping[str, QueueSpec]) -> QueueOutcome:
        """The outcome that `plain` told of.

        >>> QueueOutcome.of_plain(QueueOutcome(ANSWER, b"42").plain(), {})
        QueueOutcome(kind='answer', reply=b'42', status=200, credit=0, sent=())
        """
        kind, reply, status, credit, sent = plain
        return cls(kind, reply, status, credit, sent_of(sent, queues))


def plain_of(sent: tuple[Sent, ...]) -> list[Any]:
    """Messages for queues as plain data."""
    return [[queue.name, message.id, message.body, message.key, dict(message.headers)] for queue, message in sent]


def sent_of(plain: list[Any], queues: Mapping[str, QueueSpec]) -> tuple[Sent, ...]:
    """The messages that `plain_of` told of; those for queues that are gone since have nowhere to go."""
    return tuple((queues[queue], Message(*told)) for queue, *told in plain if queue in queues)
