"""Freeze: what a step remembers as bytes, and back as the very same values.

MessagePack, with marks for what it does not tell apart by itself, so that a state is the same after a worker's crash
as in a notebook: a tuple stays a tuple. No pickle: whoever can write to the broker must not be able to run code here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from msgspec.msgpack import Ext

from nbgraph.errors import NbgraphError
from nbgraph.event import Event
from nbgraph.serve.noted import Noted

_PLAIN = frozenset({type(None), bool, int, float, str, bytes})
_FIELDS = ("body", "key", "id", "path", "method", "headers", "content_type", "time", "origin")


class StateError(NbgraphError):
    """A state has something in it that can't be kept."""


def freeze(value: Any) -> bytes:
    """The bytes of plain data: numbers, texts, lists, tuples, dicts, sets, dates, Events, arrays of numpy.

    >>> thaw(freeze({("a", 1): (2, [3.5, {4}]), None: 10**30}))
    {('a', 1): (2, [3.5, {4}]), None: 1000000000000000000000000000000}
    """
    try:
        return _encoder.encode(_marked(value))
    except OverflowError:
        return _encoder.encode(_without_large(_marked(value)))
    except (RecursionError, UnicodeEncodeError) as error:
        raise StateError(f"it can't be written: {error}") from error


def thaw(data: bytes) -> Any:
    """The value that `freeze` was given."""
    return _decoder.decode(data)


def _marked(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is list:
        if _PLAIN.issuperset(map(type, value)):
            return value
        return [item if type(item) in _PLAIN else _marked(item) for item in value]
    if kind is dict or kind is Noted:
        return _marked_dict(value)
    return _mark(kind, value)


def _marked_dict(value: dict[Any, Any]) -> Any:
    if all(type(key) in _PLAIN and not _is_large(key) for key in value):
        if _PLAIN.issuperset(map(type, dict.values(value))):
            return value
        return {key: item if type(item) in _PLAIN else _marked(item) for key, item in dict.items(value)}
    return Ext(_PAIRS, freeze([[key, item] for key, item in dict.items(value)]))


def _without_large(value: Any) -> Any:
    """With a mark around integers that MessagePack has no room for."""
    if isinstance(value, list):
        return [_without_large(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_large(item) for key, item in value.items()}
    return Ext(_INT, str(value).encode()) if _is_large(value) else value


def _is_large(value: Any) -> bool:
    return type(value) is int and not -(1 << 63) <= value < 1 << 64


def _mark(kind: type, value: Any) -> Ext:
    for code, (known, plain, _) in _KINDS.items():
        if kind is known:
            return Ext(code, freeze(plain(value)))
    if kind.__module__ == "numpy" and hasattr(value, "tobytes"):
        return Ext(_ARRAY, freeze([value.dtype.str, list(value.shape), value.tobytes()]))
    raise StateError(f"there is a {kind.__module__}.{kind.__qualname__} in it, and only plain data can be kept")


def _unmarked(code: int, data: memoryview) -> Any:
    if code == _INT:
        return int(bytes(data))
    plain = thaw(bytes(data))
    if code == _PAIRS:
        return dict(map(tuple, plain))
    return _array(*plain) if code == _ARRAY else _KINDS[code][2](plain)


def _array(kind: str, shape: list[int], data: bytes) -> Any:
    import numpy as np

    array = np.frombuffer(data, np.dtype(kind)).reshape(shape)
    return array.copy() if shape else array[()]


def _event(fields: list[Any]) -> Event:
    *given, origin = fields
    event = Event(*given)
    event.origin = origin
    return event


_INT, _ARRAY, _PAIRS = 1, 2, 14
_Kind = tuple[type, Callable[[Any], Any], Callable[[Any], Any]]  # the type, its plain form, and back
_KINDS: dict[int, _Kind] = {
    3: (tuple, list, tuple),
    4: (set, list, set),
    5: (frozenset, list, frozenset),
    6: (deque, lambda value: [list(value), value.maxlen], lambda plain: deque(*plain)),
    7: (datetime, datetime.isoformat, datetime.fromisoformat),
    8: (date, date.isoformat, date.fromisoformat),
    9: (time, time.isoformat, time.fromisoformat),
    10: (timedelta, lambda value: [value.days, value.seconds, value.microseconds], lambda plain: timedelta(*plain)),
    11: (Decimal, str, Decimal),
    12: (bytearray, bytes, bytearray),
    13: (Event, lambda event: [getattr(event, field) for field in _FIELDS], _event),
}
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(ext_hook=_unmarked, strict=False)
