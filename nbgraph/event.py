"""An Event: one item that travels through a graph; its payload is the body."""

from __future__ import annotations

import copy
import itertools
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypedDict, Unpack, cast

import msgspec

from nbgraph.errors import BodyError, RowError
from nbgraph.introspection import shown

_process = os.urandom(8).hex()
_numbers = itertools.count()


def _refresh_process() -> None:
    global _process
    _process = os.urandom(8).hex()


os.register_at_fork(after_in_child=_refresh_process)  # a fork must not repeat its parent's ids


class EventFields(TypedDict, total=False):
    """What may be given beside a body: the fields of its event.

    Parameters
    ----------
    path
        Path of the request; where the graph has routes, with its query.
    method
        HTTP method; None: POST.
    headers
        Headers by name.
    key
        Key: events of one key stay in order.
    id
        Id; None: a new one.
    content_type
        Content type, by which a text or bytes are decoded.
    """

    path: str
    method: str | None
    headers: Mapping[str, str] | None
    key: Any
    id: str | None
    content_type: str | None


class Event:
    """A body with its key, id, path, method, headers, content type and time.

    >>> event = Event({"amount": 120}, key="card-7")
    >>> event.body["amount"], event.key, event.path
    (120, 'card-7', '/')

    In a graph with routes `params` has the parameters of the path and the query, and `entry` is the route's step.
    `error` and `origin` (the exception and the name of the step it rose in) are set inside error handlers.
    The id and the time are made when first asked for, since most runs never look at them.

    Parameters
    ----------
    body
        Payload.
    key
        Orders and shards events.
    id
        Id; None: a new one when it is first asked for.
    path
        Path of the request.
    method
        HTTP method.
    headers
        Headers by name.
    content_type
        Content type of the body.
    time
        Event time; None: now, when it is first asked for.
    params
        Parameters of path and query.
    """

    __slots__ = (
        "_id",
        "_time",
        "body",
        "content_type",
        "entry",
        "error",
        "headers",
        "key",
        "method",
        "origin",
        "params",
        "path",
    )

    def __init__(
        self,
        body: Any,
        key: Any = None,
        id: str | None = None,
        path: str = "/",
        method: str | None = None,
        headers: Mapping[str, str] | None = None,
        content_type: str | None = None,
        time: datetime | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        self.body = body
        self.key = key
        self._id = id
        self.path = path
        self.method = method
        self.headers: dict[str, str] = dict(headers) if headers else {}
        self.content_type = content_type
        self.params: dict[str, Any] = dict(params) if params else {}
        self.entry: str | None = None
        self._time = time
        self.error: BaseException | None = None
        self.origin: str | None = None

    @property
    def id(self) -> str:
        if self._id is None:
            self._id = f"{_process}-{next(_numbers):x}"
        return self._id

    @id.setter
    def id(self, value: str) -> None:
        self._id = value

    @property
    def time(self) -> datetime:
        if self._time is None:
            self._time = datetime.now(UTC)
        return self._time

    @time.setter
    def time(self, value: datetime) -> None:
        self._time = value

    @property
    def origin_state(self) -> str | None:
        """`origin`, as MLRun's handlers of errors call it."""
        return self.origin

    def with_body(self, body: Any) -> Event:
        """A second Event, of the same id, around another body; what a branch or a chunk travels in.

        >>> event = Event(1)
        >>> chunk = event.with_body(2)
        >>> chunk.body, chunk.id == event.id
        (2, True)

        Parameters
        ----------
        body
            The other body.
        """
        twin = Event.__new__(Event)
        twin.body = body
        twin.key = self.key
        twin._id = self.id
        twin.path = self.path
        twin.method = self.method
        twin.headers = dict(self.headers)
        twin.content_type = self.content_type
        twin.params = dict(self.params)
        twin.entry = self.entry
        twin._time = self.time
        twin.error = self.error
        twin.origin = self.origin
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Event:
        return self.with_body(copy.deepcopy(self.body, memo))  # of the same id, which may not have been asked for yet

    def describe(self, **fields: Unpack[EventFields]) -> None:
        """Set the fields that were given beside the body; for an Event that was made only when a step failed."""
        known = Event(self.body, **fields)
        self.path, self.method, self.headers = known.path, known.method, known.headers
        self.key, self.content_type = known.key, known.content_type
        self._id = known._id or self._id

    def __repr__(self) -> str:
        return f"Event({shown(self.body)}, key={shown(self.key)}, id={self.id!r}, path={self.path!r})"


class Chunk(Event):
    """An event of a stream: one of the results of a generator, and what becomes of it."""

    __slots__ = ()

    def with_body(self, body: Any) -> Chunk:
        return Chunk.of(super().with_body(body))

    @classmethod
    def of(cls, event: Event) -> Chunk:
        """The event as a chunk; who gives it away has no more use for it."""
        event.__class__ = cls
        return cast(Chunk, event)


# what is looked at before it enters a graph; the rest is a body
RAW = frozenset({str, bytes, bytearray, Event, RowError})


def is_json(content_type: str | None) -> bool:
    """True for `application/json` and its `+json` relatives, whatever the parameters.

    >>> is_json("application/json; charset=utf-8"), is_json("application/problem+json"), is_json("text/plain")
    (True, True, False)
    """
    kind = (content_type or "").split(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def decode(body: str | bytes | bytearray, content_type: str | None = None) -> Any:
    """The value of a text or bytes body: JSON where declared, or where undeclared and it parses; else text.

    >>> decode(b'{"a": 1}'), decode("hello"), decode("[1]", "text/plain")
    ({'a': 1}, 'hello', '[1]')
    >>> decode("{", "application/json")
    Traceback (most recent call last):
    nbgraph.errors.BodyError: The body is declared as application/json but is not JSON: Input data was truncated
    """
    declared = is_json(content_type)
    if declared or not content_type:
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if declared:
                raise BodyError(f"The body is declared as {content_type} but is not JSON: {error}") from error
    return _text(body)


def _text(body: str | bytes | bytearray) -> str | bytes:
    """Bytes that are UTF-8 become text; other bytes (an image) stay bytes."""
    if isinstance(body, str):
        return body
    try:
        return body.decode()
    except UnicodeDecodeError:
        return bytes(body)


def entering(body: Any, **fields: Unpack[EventFields]) -> Event:
    """The event that goes in: around the body, or the copy of an Event that was given; texts are decoded.

    >>> entering('{"a": 1}', key="k").body, entering("hello").body
    ({'a': 1}, 'hello')
    """
    if isinstance(body, Event):
        check_fields(fields)
        event = body.with_body(body.body)
        _override(event, fields)
    else:
        event = Event(body, **fields)
    if type(event.body) in RAW:
        if isinstance(event.body, RowError):
            raise event.body
        event.body = decode(event.body, event.content_type)
    return event


def check_fields(fields: EventFields) -> None:
    """Refuse a name that no field of an event has, as a call with named parameters would."""
    for name in fields:
        if name not in EventFields.__annotations__:
            known = ", ".join(EventFields.__annotations__)
            raise TypeError(f'got an unexpected keyword argument "{name}"; the fields of an event are {known}')


def _override(event: Event, fields: EventFields) -> None:
    """What is given beside an Event wins over its own fields."""
    for name in ("path", "method", "key", "content_type", "id"):
        value = fields.get(name)
        if value is not None and not (name == "path" and value == "/"):
            setattr(event, name, value)
    if (headers := fields.get("headers")) is not None:
        event.headers = {**event.headers, **headers}
