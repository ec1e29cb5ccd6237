"""Entry: the event that goes into a graph, of whatever it was given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbgraph.errors import RowError
from nbgraph.event import RAW, Event, decode


def entering(
    body: Any,
    path: str = "/",
    method: str | None = None,
    headers: Mapping[str, str] | None = None,
    key: Any = None,
    id: str | None = None,
    content_type: str | None = None,
) -> Event:
    """The event that goes in: around the body, or the copy of an Event that was given; texts are decoded.

    >>> entering('{"a": 1}', key="k").body, entering("hello").body
    ({'a': 1}, 'hello')
    """
    if isinstance(body, Event):
        event = body.with_body(body.body)
        _override(event, path, method, headers, key, id, content_type)
    else:
        event = Event(body, key, id, path, method, headers, content_type)
    if type(event.body) in RAW:
        if isinstance(event.body, RowError):
            raise event.body
        event.body = decode(event.body, event.content_type)
    return event


def _override(
    event: Event,
    path: str,
    method: str | None,
    headers: Mapping[str, str] | None,
    key: Any,
    id: str | None,
    content_type: str | None,
) -> None:
    """What is told beside an Event wins over what stands in it."""
    event.path = event.path if path == "/" else path
    event.method = event.method if method is None else method
    event.key = event.key if key is None else key
    event.content_type = event.content_type if content_type is None else content_type
    if headers is not None:
        event.headers = {**event.headers, **headers}
    if id is not None:
        event.id = id
