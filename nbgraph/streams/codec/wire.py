"""Wire: values of steps as bytes: JSON for callers, MessagePack for answers, exact values between functions."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping
from typing import Any

import msgspec

from nbgraph import event, introspection
from nbgraph.errors import NbgraphError
from nbgraph.streams.codec.values import UnfitError, freeze, thaw

VALUES = "application/vnd.nbgraph.values"  # the content type of what `pack` writes
JSON = "application/json"
SHOWN = 2000  # characters of a value that can't travel


class AnswerError(NbgraphError):
    """A body or an answer has something that JSON can't hold."""


UNFIT = (AnswerError, UnfitError, TypeError, ValueError, OverflowError, RecursionError)  # what packing raises


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
    """A body for the way between functions, where it is what it was: a tuple, a date, an array, a table.

    >>> unpack(pack({"a": (1, 2), 3: b"x"}))
    {'a': (1, 2), 3: b'x'}
    """
    try:
        return freeze(body)
    except UnfitError as error:
        raise UnfitError(
            f"It can't go to another function: {error} (no pickle). Hand on what is in it: a dict, an array, a table."
        ) from error


def pack_answer(answer: Any) -> bytes:
    """An answer for whoever gives it to the caller: what is Python's own stays, all else is as for `encode`.

    >>> import numpy
    >>> unpack(pack_answer({"a": (1, float("nan")), "b": numpy.arange(2)}))
    {'a': (1, nan), 'b': [0, 1]}
    """
    return freeze(answer, _simpler)


def _simpler(value: Any) -> Any:
    """What JSON makes of a value that is not Python's own."""
    if isinstance(value, dict | list | tuple):  # of a kind of their own
        return dict(value) if isinstance(value, dict) else list(value)
    if isinstance(value, float | int | str) or callable(getattr(value, "tolist", None)):
        return plain(value)
    return msgspec.to_builtins(value, enc_hook=plain)


def pack_or_show(value: Any) -> bytes:
    """As `pack`; of what can't travel, how it shows itself.

    >>> unpack(pack_or_show([1])), unpack(pack_or_show(object))
    ([1], "<class 'object'>")
    """
    try:
        return pack(value)
    except UNFIT:
        return pack(shown(value))


def is_json(value: Any) -> bool:
    """Whether JSON, which must be able to hold it, gives back the very same value.

    >>> is_json({"a": [1, None, "x"]}), is_json({"a": (1, 2)}), is_json({1: 2}), is_json([float("nan")])
    (True, False, False, False)
    """
    waiting = [value]
    while waiting:
        item = waiting.pop()
        kind = type(item)
        if kind is dict:
            waiting += item
            waiting += item.values()
            if not all(type(key) is str for key in item):
                return False
        elif kind is list:
            waiting += item
        elif kind is str:
            if not item.isascii() and _has_half_pair(item):
                return False
        elif not (item is None or kind is int or kind is bool or (kind is float and math.isfinite(item))):
            return False
    return True


def _has_half_pair(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def shown(value: Any) -> str:
    """How a value shows itself, as far as it does.

    >>> shown(object), shown("x" * 3000) == "'" + "x" * 1999
    ("<class 'object'>", True)
    """
    return introspection.shown(value)[:SHOWN]


def write_body(body: Any, kind: str | None = None) -> tuple[bytes, str]:
    """A body for a gateway, and its content type: JSON where that says the same, or is asked for; else the very values.

    >>> write_body({"a": 1}), write_body((1, 2))[1], write_body((1, 2), JSON)
    ((b'{"a":1}', 'application/json'), 'application/vnd.nbgraph.values', (b'[1,2]', 'application/json'))
    """
    try:
        content = encode(body)
    except UNFIT:
        if kind is not None:
            raise
        return pack(body), VALUES
    if kind is not None or is_json(body):
        return content, kind or JSON
    try:
        return pack(body), VALUES
    except UNFIT:  # a dataclass, say
        return content, JSON


def read_body(content: bytes, kind: str) -> Any:
    """What a gateway answered, by its content type; bytes where that says nothing of them.

    >>> read_body(b"[1]", JSON), read_body(b"hello", "text/plain; charset=utf-8"), read_body(b"x", "image/png")
    ([1], 'hello', b'x')
    """
    if kind == VALUES:
        return unpack(content)
    if event.is_json(kind):
        return msgspec.json.decode(content)
    return content.decode("utf-8", "replace") if kind.startswith("text/") else content


def unpack(body: bytes) -> Any:
    """The body that `pack` wrote, or the answer of `pack_answer`."""
    return thaw(body)


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
