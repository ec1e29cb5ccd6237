"""Queue: a buffered border between steps, and what stands in its place where a deployment is cut there.

A graph that is cut at a queue has a `QueueWriter` at the end of one function and a `QueueReader` at the beginning of
the next; the broker between them keeps messages, whose headers carry what belongs to an event beside its body.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Unpack

import msgspec

from nbgraph.errors import GraphError, NbgraphError
from nbgraph.event import Event
from nbgraph.handler import Handler
from nbgraph.steps.arguments import whole
from nbgraph.steps.key import Key, key_of
from nbgraph.streams.base import DamageError, QueueOptions, QueueSpec
from nbgraph.streams.codec.values import freeze, thaw
from nbgraph.streams.event_context import current
from nbgraph.types import Section, Shape, StepKind
from nbgraph.values import normal_key

__all__ = ["Queue", "QueueReader", "QueueWriter"]

HEADERS = "Event-Headers"
KEY = "Event-Key"
PARAMS = "Event-Params"
# Headers between a caller and the gateway, which no message carries on: credentials, the transport, preferences.
NOT_KEPT = {
    "accept", "accept-encoding", "accept-language", "authorization", "connection", "content-length", "content-type",
    "cookie", "expect", "host", "idempotency-key", "origin", "prefer", "proxy-authorization", "referer", "te",
    "traceparent", "tracestate", "transfer-encoding", "upgrade", "user-agent", "x-request-timeout",
}  # fmt: skip  # a set that reads better in rows
IN_JSON = (str, int, float, bool, type(None))
TIME = "Event-Time"
READ = (HEADERS, KEY, PARAMS, TIME)  # those whose values are parsed
METADATA = {"path": "Event-Path", "method": "Event-Method", "content_type": "Event-Content-Type"}
_headers = msgspec.json.Decoder(dict[str, str])
_params = msgspec.json.Decoder(dict[str, str | list[str]])


class Queue(Handler):
    """Here events may wait, and the graph may be cut into functions.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(str.strip).to(Queue("cleaned")).to(str.upper)
    >>> graph.run(" hello ")
    'HELLO'

    A queue with a `key` (a field's name, "$key", a function of the body) keeps the order of each key over all its
    `shards`, and behind it that is the event's key; it holds at most `max_size` events, then whoever fills it waits.

    Parameters
    ----------
    name
        Name, by which replicas, metrics and dead letters speak of it.
    key
        Field, `"$key"`, or function of the body: events of a key stay in order.
    shards
        Parts that can be worked on side by side.
    max_size
        Events that it holds.
    """

    section = Section.QUEUES
    kind = StepKind.QUEUE
    is_named_first = True

    do: Callable[[Any], None]
    hands_over = True

    def __init__(self, name: str = "queue", key: Key = None, shards: int = 1, max_size: int = 1000) -> None:
        for argument, value in (("shards", shards), ("max_size", max_size)):
            whole(f'Queue "{name}"', argument, value)
        if shards > 1 and key is None:
            raise GraphError(f'Queue "{name}" has {shards} shards and no key to spread events by; give it a key.')
        self.name, self.key, self.shards, self.max_size = name, key, shards, max_size
        self._key_of = key_of(key, "Queue")
        self.shape = Shape.EACH if key is None else Shape.EVENT
        self.do = self._pass if key is None else self._under_key

    def _pass(self, body: Any) -> None:
        """The body goes on as it is."""

    def _under_key(self, event: Event) -> None:
        key = self._key_of(event)
        event.key = event.key if key is None else key


class QueueWriter(Handler):
    """The end of a function: the event is handed to the broker, and is done here once the broker keeps it.

    >>> QueueWriter("scored", key="card", shards=16).spec.is_keyed
    True

    Parameters
    ----------
    queue
        Name of the queue.
    key
        As the Queue's.
    **options
        The Queue's other options.
    """

    section = Section.QUEUES
    io = "a message broker"
    is_border = True
    shape = Shape.EVENT

    def __init__(self, queue: str, key: Key = None, **options: Unpack[QueueOptions]) -> None:
        self.spec = QueueSpec.of(queue, key, **options)
        self._key = key_of(key, "Queue")

    async def do(self, event: Event) -> Event | None:
        context = current.get()
        if context is None:
            raise NbgraphError(
                f'Queue "{self.spec.name}" is a border of a deployed function, and no worker runs it; run the whole '
                "graph instead."
            )
        key = self._key(event)
        key, headers = encode_key(event.key if key is None else key, metadata_of(event))
        replacement = await context.send(self.spec, event.body, key, headers)
        return None if replacement is None else event.with_body(replacement)


class QueueReader(Handler):
    """The beginning of a function: events that a worker reads from the broker go on from here.

    >>> QueueReader("scored").do({"p": 0.9})
    {'p': 0.9}

    Parameters
    ----------
    queue
        Name of the queue.
    key
        As the Queue's.
    params
        Parameters of requests that handlers behind it name.
    **options
        The Queue's other options.
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
        """It holds nothing back itself: events come from the broker, and enter the graph behind it."""
        return ()


def encode_key(key: object, headers: dict[str, str]) -> tuple[object, dict[str, str]]:
    """A key as brokers take it, which is JSON, and the headers that say what it was where JSON has no such value.

    >>> encode_key(("a", 7.0), {}), encode_key(b"x", {})
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
    headers = {"Event-Id": event.id, TIME: event.time.isoformat()}
    for field, header in METADATA.items():
        value = getattr(event, field)
        if value is not None:
            headers[header] = value
    if event.origin is not None:
        headers["Event-Origin"] = event.origin
    if event.params:
        headers[PARAMS] = json.dumps(event.params)
    if event.headers:
        kept = {name: value for name, value in event.headers.items() if name.lower() not in NOT_KEPT}
        if kept:
            headers[HEADERS] = json.dumps(kept)
    return headers


def read_event(body: object, key: object, headers: dict[str, str]) -> Event:
    """As `event_of`; a `DamageError` for headers that `metadata_of` has not written."""
    try:
        return event_of(body, key, headers)
    except Exception as error:  # headers of others may be anything
        found = {name: value[:100] for name, value in headers.items() if name in READ}
        raise DamageError(f"The headers of the event can't be read ({error}): {found}") from None


def event_of(body: object, key: object, headers: dict[str, str]) -> Event:
    """The event of a message.

    >>> event_of(1, "k", {"Event-Id": "e1", "Event-Path": "/a", "Event-Headers": '{"x-tenant": "t1"}'}).headers
    {'x-tenant': 't1'}
    """
    time = headers.get(TIME)
    key = thaw(base64.b64decode(headers[KEY])) if KEY in headers else normal_key(key)  # on the way it was JSON
    return Event(
        body,
        key,
        headers.get("Event-Id"),
        headers.get(METADATA["path"], "/"),
        headers.get(METADATA["method"]),
        _headers.decode(headers[HEADERS]) if HEADERS in headers else None,
        content_type=headers.get(METADATA["content_type"]),
        time=datetime.fromisoformat(time) if time else None,
        params=_params.decode(headers[PARAMS]) if PARAMS in headers else None,
    )
