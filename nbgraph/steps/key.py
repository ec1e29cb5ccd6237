"""Key: by what a step tells events apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbgraph.errors import GraphError
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
        return lambda event: event.body[key]
    if callable(key):
        return lambda event: key(event.body)
    raise GraphError(f'{step} got key={key!r}; expected the name of a field, "$key", or a function of the body.')
