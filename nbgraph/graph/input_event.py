"""The event that goes into a graph, made of whatever the graph was given."""

from __future__ import annotations

from typing import Any, Unpack

from nbgraph.errors import RowError
from nbgraph.event import RAW, Event, EventFields, decode


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
