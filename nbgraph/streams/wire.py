"""Wire: values of steps as bytes, JSON for callers and MessagePack between functions."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from typing import Any

import msgspec

from nbgraph.errors import NbgraphError

SHOWN = 2000  # characters of a value that can't travel


class AnswerError(NbgraphError):
    """A body or an answer has something that JSON can't hold."""


UNFIT = (AnswerError, TypeError, ValueError, OverflowError, RecursionError)  # what packing raises


def encode(value: Any) -> bytes:
    """JSON of plain data, of numbers and arrays of NumPy, of tables, dates and dataclasses; NaN becomes null.

    >>> encode({"at": datetime.date(2013, 1, 1), (1, 2): {3}})
    b'{"at":"2013-01-01","(1, 2)":[3]}'
    """
    try:
        return _encoder.encode(value)
    except (
        RecursionError,
        UnicodeEncodeError,
        TypeError,
        AnswerError,
    ):  # a key that is no text, half of a surrogate pair
        return _encoder.encode(_with_text_keys(value, 0))


def pack(body: Any) -> bytes:
    """A body for the way between functions: MessagePack, which keeps bytes, dates and integer keys.

    >>> unpack(pack({"a": (1, 2), 3: b"x"}))
    {'a': [1, 2], 3: b'x'}
    """
    return msgspec.msgpack.encode(body, enc_hook=plain)


def pack_or_show(value: Any) -> bytes:
    """As `pack`; of what can't travel, how it shows itself.

    >>> unpack(pack_or_show([1])), unpack(pack_or_show(object))
    ([1], "<class 'object'>")
    """
    try:
        return pack(value)
    except UNFIT:
        return pack(repr(value)[:SHOWN])


def unpack(body: bytes) -> Any:
    """The body that `pack` wrote."""
    return msgspec.msgpack.decode(body, strict=False)


def plain(value: Any) -> Any:
    """Values of libraries that this module must not import, known by what they can do."""
    if isinstance(value, float | int | str):  # NumPy's numbers and texts are subclasses of Python's
        item = getattr(value, "item", None)
        return item() if callable(item) else _of_base(value)
    if type(value).__name__ in ("NaTType", "NAType"):
        return None
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    for method in ("to_dicts", "model_dump", "tolist", "to_list", "to_pylist"):
        convert = getattr(value, method, None)
        if callable(convert):
            return convert()
    if callable(getattr(value, "to_dict", None)):
        return value.to_dict("records") if hasattr(value, "columns") else value.to_dict()
    if isinstance(value, Mapping):
        return dict(value)
    raise AnswerError(
        f"There is a {type(value).__module__}.{type(value).__qualname__} in it, which JSON can't hold; "
        "let the step return plain data, text or bytes."
    )


def _of_base(value: float | int | str) -> Any:
    return next(base(value) for base in (str, float, int) if isinstance(value, base))


def _with_text_keys(value: Any, depth: int) -> Any:
    if depth > 200:
        raise AnswerError("It is nested more than 200 deep, or holds itself; let the step return less.")
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_key(key): _with_text_keys(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_with_text_keys(item, depth + 1) for item in value]
    if value is None or isinstance(value, int | float | bytes):
        return value
    return value if _is_written_whole(value) else _with_text_keys(plain(value), depth + 1)


def _is_written_whole(value: Any) -> bool:
    """Whether the encoder knows the value by itself: a date, a UUID, a dataclass."""
    try:
        msgspec.json.encode(value)
    except Exception:
        return False
    return True


def _key(key: Any) -> str:
    plain = key.item() if callable(getattr(key, "item", None)) else key
    if isinstance(plain, str):
        return plain.encode("utf-8", "replace").decode()
    if plain is None or isinstance(plain, bool):
        return json.dumps(plain)
    if isinstance(plain, datetime.datetime | datetime.date | datetime.time):
        return plain.isoformat()
    return str(plain)


_encoder = msgspec.json.Encoder(enc_hook=plain)
