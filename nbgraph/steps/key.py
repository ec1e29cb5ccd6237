"""Key: by what a step tells events apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nbgraph.errors import GraphError, NbgraphError
from nbgraph.event import Event
from nbgraph.values import normal_key

Key = str | Callable[[Any], Any] | None  # a field's name, "$key" for the event's own, a function of the body


def key_of(key: Key, step: str) -> Callable[[Event], Any]:
    """The function that gives an event's key, in the normal form.

    >>> event = Event({"card": 7.0}, key="k")
    >>> key_of("card", "Batch")(event), key_of("$key", "Batch")(event), key_of(len, "Batch")(event)
    (7, 'k', 1)
    """
    if key is None:
        return lambda event: None
    if key == "$key":
        return lambda event: normal_key(event.key)
    if isinstance(key, str):
        return _field_of_event(key, step)
    if callable(key):
        return lambda event: normal_key(key(event.body))
    raise GraphError(f'{step} got key={key!r}; expected the name of a field, "$key", or a function of the body.')


def _field_of_event(name: str, step: str) -> Callable[[Event], Any]:
    def read(event: Event) -> Any:
        try:
            key = event.body[name]
        except (KeyError, TypeError, IndexError):
            raise _missing(name, step, event.body) from None
        kind = type(key)
        return key if kind is str or kind is int else normal_key(key)

    return read


def field_of(names: str | Sequence[str], step: str) -> Callable[[Any], Any]:
    """The function that reads a key from a body: a field, or a tuple of several.

    >>> field_of("card", "Batch")({"card": 7}), field_of(["shop", "card"], "Batch")({"shop": 1, "card": 7})
    (7, (1, 7))
    """
    if not isinstance(names, str):
        readers = [field_of(name, step) for name in names]
        return lambda body: tuple([read(body) for read in readers])

    def read(body: Any) -> Any:
        try:
            return body[names]
        except (KeyError, TypeError, IndexError):
            raise _missing(names, step, body) from None

    return read


def _missing(name: str, step: str, body: Any) -> NbgraphError:
    has = ", ".join(map(str, body)) if isinstance(body, Mapping) else f"no fields: it is a {type(body).__name__}"
    return NbgraphError(f'{step} takes its key from the field "{name}"; the body has {has or "none"}.')
