"""Borders: what stands in the place of a Queue where a deployment is cut, one side in each function."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Unpack

import msgspec

from nbgraph.errors import NbgraphError
from nbgraph.event import Event
from nbgraph.handler import Handler
from nbgraph.steps.key import Key, key_of
from nbgraph.streams.base import DamageError, QueueOptions, QueueSpec
from nbgraph.streams.codec.values import freeze, thaw
from nbgraph.streams.event_context import current
from nbgraph.types import Section, Shape
from nbgraph.values import normal_key

__all__ = ["QueueReader", "QueueWriter"]

HEADERS = "Event-Headers"
KEY = "Event-Key"
PARAMS = "Event-Params"
NOT_KEPT = {  # what is between the caller and the gateway: credentials, the transport, wishes for the answer
    "accept", "accept-encoding", "accept-language", "authorization", "connection", "content-length", "content-type",
    "cookie", "expect", "host", "idempotency-key", "origin", "prefer", "proxy-authorization", "referer", "te",
    "traceparent", "tracestate", "transfer-encoding", "upgrade", "user-agent", "x-request-timeout",
}  # fmt: skip
IN_JSON = (str, int, float, bool, type(None))
TIME = "Event-Time"
READ = (HEADERS, KEY, PARAMS, TIME)  # those that can be wrong
METADATA = {"path": "Event-Path", "method": "Event-Method", "content_type": "Event-Content-Type"}


_headers = msgspec.json.Decoder(dict[str, str])
_params = msgspec.json.Decoder(dict[str, str | list[str]])


class QueueWriter(Handler):
    """The near side: the event is handed to the broker, and is done here once the broker keeps it.

    >>> QueueWriter("scored", key="card", shards=16).spec.is_keyed
    True
    """

    section = Section.QUEUES
    io = "a message broker"
    is_border = True
    shape = Shape.EVENT

    def __init__(self, queue: str, key: Key = None, **options: Unpack[QueueOptions]) -> None:
        self.spec = QueueSpec.of(queue, key, **options)
        self._key = key_of(key, "Queue")

    async def do(self, event: Event) -> Event | None:
        passage = current.get()
        if passage is None:
            raise NbgraphError(
                f'Queue "{self.spec.name}" is a border of a deployed function, and no worker runs it; run the whole '
                "graph instead."
            )
        key = self._key(event)
        key, headers = told_key(event.key if key is None else key, metadata_of(event))
        stead = await passage.send(self.spec, event.body, key, headers)
        return None if stead is None else event.with_body(stead)


class QueueReader(Handler):
    """The far side: events that a worker reads from the broker go on from here.

    >>> QueueReader("scored").do({"p": 0.9})
    {'p': 0.9}
    """

    section = Section.QUEUES
    io = "a message broker"
    is_border = True
    is_entry = False  # what a queue brings goes on from here, and callers don't come here

    def __init__(
        self, queue: str, key: Key = None, *, params: Sequence[str] = (), **options: Unpack[QueueOptions]
    ) -> None:
        self.spec = QueueSpec.of(queue, key, **options)

    def do(self, body: object) -> object:
        return body

    def release(self) -> tuple[()]:
        """It holds nothing itself: what it lets go comes from the broker, and enters the graph behind it."""
        return ()


def told_key(key: object, headers: dict[str, str]) -> tuple[object, dict[str, str]]:
    """A key as brokers take it, who know JSON, and the headers that tell what it was where that is something else.

    >>> told_key(("a", 7.0), {}), told_key(b"x", {})
    ((('a', 7), {}), ('xAF4', {'Event-Key': 'xAF4'}))
    """
    key = normal_key(key)
    if all(type(part) in IN_JSON for part in (key if isinstance(key, tuple) else (key,))):
        return key, headers
    text = base64.b64encode(freeze(key)).decode()
    return text, {**headers, KEY: text}


def metadata_of(event: Event) -> dict[str, str]:
    """What belongs to an event beside its body and key, as headers of a message.

    >>> metadata_of(Event(1, id="e1", path="/a", time=datetime.fromisoformat("2013-01-01T00:00:00+00:00")))
    {'Event-Id': 'e1', 'Event-Time': '2013-01-01T00:00:00+00:00', 'Event-Path': '/a'}
    """
    told = {"Event-Id": event.id, TIME: event.time.isoformat()}
    for field, header in METADATA.items():
        value = getattr(event, field)
        if value is not None:
            told[header] = value
    if event.origin is not None:
        told["Event-Origin"] = event.origin
    if event.params:
        told[PARAMS] = json.dumps(event.params)
    if event.headers:
        kept = {name: value for name, value in event.headers.items() if name.lower() not in NOT_KEPT}
        if kept:
            told[HEADERS] = json.dumps(kept)
    return told


def read_event(body: object, key: object, headers: dict[str, str]) -> Event:
    """As `event_of`; headers that `metadata_of` has not written are a `DamageError`."""
    try:
        return event_of(body, key, headers)
    except Exception as error:  # whatever reading foreign headers comes to
        found = {name: value[:100] for name, value in headers.items() if name in READ}
        raise DamageError(f"What travels beside the event can't be read ({error}): {found}") from None


def event_of(body: object, key: object, headers: dict[str, str]) -> Event:
    """The event of a message.

    >>> event_of(1, "k", {"Event-Id": "e1", "Event-Path": "/a", "Event-Headers": '{"x-tenant": "t1"}'}).headers
    {'x-tenant': 't1'}
    """
    time = headers.get(TIME)
    key = thaw(base64.b64decode(headers[KEY])) if KEY in headers else normal_key(key)  # on the way it was JSON
    return Event(
        body, key, headers.get("Event-Id"), headers.get(METADATA["path"], "/"), headers.get(METADATA["method"]),
        _headers.decode(headers[HEADERS]) if HEADERS in headers else None,
        content_type=headers.get(METADATA["content_type"]), time=datetime.fromisoformat(time) if time else None,
        params=_params.decode(headers[PARAMS]) if PARAMS in headers else None,
    )  # fmt: skip
