"""The event that goes into a graph, made of whatever the graph was given."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, Unpack

from nbgraph.errors import RowError
from nbgraph.event import RAW, Event, EventFields, decode

F = TypeVar("F", bound=Callable[..., Any])


_DEFAULTS = {"path": "/"}
_FIELDS = [
    inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=_DEFAULTS.get(name), annotation=kind.__forward_arg__
    )
    for name, kind in EventFields.__annotations__.items()
]


def lists_event_fields(function: F) -> F:
    """Let the signature of a function with `**fields` name the fields, for whoever completes or reads it."""
    signature = inspect.signature(function)
    own = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
    function.__signature__ = signature.replace(parameters=[*own, *_FIELDS])  # type: ignore[attr-defined]  # of PEP 362
    return function


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
        if value is not None and value != _DEFAULTS.get(name):
            setattr(event, name, value)
    if (headers := fields.get("headers")) is not None:
        event.headers = {**event.headers, **headers}
