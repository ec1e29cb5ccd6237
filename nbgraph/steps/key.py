"""Key: by what a step tells events apart."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from nbgraph.errors import GraphError, NbgraphError
from nbgraph.event import Event

Key = str | Callable[[Any], Any] | None  # a field's name, "$key" for the event's own, a function of the body


def key_of(key: Key, step: str) -> Callable[[Event], Any]:
    """The function that gives an event's key.

    >>> event = Event({"card": 7}, key="k")
    >>> key_of("card", "Batch")(event), key_of("$key", "Batch")(event), key_of(len, "Batch")(event)
    (7, 'k', 1)
    """
    if key is None:
        return lambda event: None
    if key == "$key":
        return lambda event: event.key
    if isinstance(key, str):
        return partial(_field, key, step)
    if callable(key):
        return lambda event: key(event.body)
    raise GraphError(f'{step} got key={key!r}; expected the name of a field, "$key", or a function of the body.')


def _field(name: str, step: str, event: Event) -> Any:
    try:
        return event.body[name]
    except (KeyError, TypeError, IndexError):
        body = event.body
        there = ", ".join(map(str, body)) if isinstance(body, dict) else f"no fields: it is a {type(body).__name__}"
        raise NbgraphError(f'{step} takes its key from the field "{name}"; the body has {there or "none"}.') from None
