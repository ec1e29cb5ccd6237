"""Values as JSON documents, and back as equal values; values that can't be encoded become marked previews.

Values of JSON are written unchanged; all others as `{"$": kind, "value": ...}`, with the kinds that queues carry.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable
from typing import Any

from nbgraph.event import Event
from nbgraph.introspection import Preview, preview
from nbgraph.streams.codec import arrays, tables
from nbgraph.streams.codec.values import DICTS, KINDS, UnfitError

MARK, VALUE = "$", "value"
WHOLE = 2**63  # whole numbers from there on are written as texts
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # meaningless in another process
# Without the headers, which may hold credentials.
_OF_EVENT = ("body", "key", "id", "path", "method", "content_type", "time", "params", "origin")


def to_document(value: Any) -> Any:
    """The value as a JSON document.

    >>> to_document({"a": (1, float("nan")), "b": [2.5]})
    {'a': {'$': 'tuple', 'value': [1, {'$': 'float', 'value': 'nan'}]}, 'b': [2.5]}
    """
    try:
        return _encoded(value)
    except RecursionError:
        return _preview(value, "it is nested too deeply, or holds itself")


def from_document(document: Any) -> Any:
    """The value that `to_document` encoded.

    >>> from_document(to_document({1: {2, 3}, "at": (b"x",)}))
    {1: {2, 3}, 'at': (b'x',)}
    """
    if type(document) is list:
        return [from_document(item) for item in document]
    if type(document) is not dict:
        return document
    if document.keys() == {MARK, VALUE} and isinstance(document[MARK], str):
        return _decoded(document[MARK], document[VALUE])
    return {key: from_document(item) for key, item in document.items()}


def _encoded(value: Any) -> Any:
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is str:
        return value if value.isascii() or _is_whole(value) else _marked("text", _base64(_surrogates(value)))
    if kind is int:
        return value if -WHOLE <= value < WHOLE else _marked("int", f"{value:x}")
    if kind is float:
        return value if math.isfinite(value) else _marked("float", repr(value))
    if kind is list:
        return [_encoded(item) for item in value]
    if kind in DICTS:
        return _encoded_dict(value)
    if kind is bytes:
        return _marked("bytes", _base64(value))
    return _encoded_object(kind, value)


def _encoded_dict(value: dict[Any, Any]) -> Any:
    if MARK not in value and all(type(key) is str and (key.isascii() or _is_whole(key)) for key in value):
        return {key: _encoded(item) for key, item in value.items()}
    return _marked("dict", [[_encoded(key), _encoded(item)] for key, item in value.items()])


def _encoded_object(kind: type, value: Any) -> Any:
    if kind is Preview:
        return _marked("preview", [value.type, value.why, value.text])
    if issubclass(kind, Event):
        return _marked("Event", {name: _encoded(getattr(value, name)) for name in _OF_EVENT})
    try:
        if (known := _ENCODERS.get(kind)) is not None:
            name, plain = known
            items = [_encoded(item) for item in value] if kind in (set, frozenset) else _encoded(plain(value))
            return _marked(name, sorted(items, key=repr) if kind in (set, frozenset) else items)
        if (array := arrays.plain(value)) is not None:
            return _marked("array", _encoded(array))
        if (table := tables.plain(value)) is not None:
            name, content = table
            return _marked("table", [name, _encoded(content)])
    except UnfitError as error:
        return _preview(value, str(error))
    return _preview(value, "a trace keeps plain data")


def _preview(value: Any, why: str) -> Any:
    found = preview(value, why)
    return _marked("preview", [found.type, found.why, _ADDRESS.sub("", found.text)])


def _decoded(name: str, value: Any) -> Any:
    try:
        return _DECODERS[name](value) if name in _DECODERS else {MARK: name, VALUE: from_document(value)}
    except Exception as error:  # a library that is not installed, a file that was edited
        return Preview(name, f"it can't be read here ({type(error).__name__})", str(value)[:200])


def _decoded_table(value: Any) -> Any:
    name, content = value
    if not tables.is_known(name):
        raise UnfitError(f"there is no table {name!r}")
    return tables.value(name, from_document(content))


def _decoded_event(value: dict[str, Any]) -> Event:
    fields = {name: from_document(item) for name, item in value.items()}
    origin = fields.pop("origin", None)
    event = Event(**fields)
    event.origin = origin
    return event


def _marked(name: str, value: Any) -> dict[str, Any]:
    return {MARK: name, VALUE: value}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _surrogates(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _is_whole(text: str) -> bool:
    """Whether it has no half of a surrogate pair, for which JSON has no bytes."""
    return text.encode("utf-8", "ignore") == _surrogates(text)


def _decoder(back: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: back(from_document(value))


_NAMES = {code: known.__name__ for code, (known, _, _) in KINDS.items()} | {25: "Path"}
_ENCODERS = {known: (_NAMES[code], plain) for code, (known, plain, _) in KINDS.items() if known is not Event}
_DECODERS: dict[str, Callable[[Any], Any]] = {
    **{_NAMES[code]: _decoder(back) for code, (_, _, back) in KINDS.items()},
    "Event": _decoded_event,
    "float": float,
    "int": lambda value: int(value, 16),
    "bytes": base64.b64decode,
    "text": lambda value: base64.b64decode(value).decode("utf-8", "surrogatepass"),
    "dict": lambda value: {from_document(key): from_document(item) for key, item in value},
    "preview": lambda value: Preview(*value),
    "array": lambda value: arrays.value(from_document(value)),
    "table": _decoded_table,
}
