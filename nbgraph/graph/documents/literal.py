"""Literal: values that can be written out exactly, as plain data of a document and as Python text."""

from __future__ import annotations

import ast
import base64
import binascii
import datetime
import math
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from numbers import Number
from types import MappingProxyType
from typing import Any

_PLAIN = (type(None), bool, int, str)
_DATES = (datetime.datetime, datetime.date, datetime.time)
_TAG = "$"


class NotLiteralError(ValueError):
    """A value, or an expression, that can't be written out; the message names its type."""


def refuse(value: Any) -> Any:
    """What happens to a value that is no literal, where nothing else is said."""
    raise NotLiteralError(type_name(value))


def plain(value: Any, other: Callable[[Any], Any] = refuse) -> Any:
    """The value as JSON can hold it: what JSON knows as it is, the rest tagged; `other` writes what is no literal.

    >>> plain({"a": [1, (2, 3)], "$x": b"hi"})
    {'$dict': [['a', [1, {'$tuple': [2, 3]}]], ['$x', {'$bytes': 'aGk='}]]}
    """
    value = _unwrapped(value)
    kind = type(value)
    if kind in _PLAIN or (kind is float and math.isfinite(value)):
        return value
    if kind in (list, tuple):
        items = [plain(item, other) for item in value]
        return items if kind is list else {f"{_TAG}tuple": items}
    if kind is dict:
        return _plain_dict(value, other)
    if kind in _WRITERS:
        tag, write = _WRITERS[kind]
        return {f"{_TAG}{tag}": write(value)}
    return other(value)


def value_of(document: Any, other: Mapping[str, Callable[[Any], Any]] = MappingProxyType({})) -> Any:
    """The value that `plain` wrote; `other` reads tags of its own.

    >>> value_of({"$tuple": [1, {"$set": [2]}]})
    (1, {2})
    """
    if isinstance(document, list):
        return [value_of(item, other) for item in document]
    if not isinstance(document, dict):
        return document
    tag = next((key for key in document if isinstance(key, str) and key.startswith(_TAG)), None)
    if tag is None:
        return {key: value_of(item, other) for key, item in document.items()}
    if len(document) != 1 or tag[1:] not in {*_READERS, *other}:
        raise NotLiteralError(f'the tag "{tag}" is unknown; known tags: {", ".join(sorted({*_READERS, *other}))}')
    try:
        if tag[1:] in other:
            return other[tag[1:]](document[tag])
        if tag[1:] == "tuple":
            return tuple(value_of(item, other) for item in document[tag])
        if tag[1:] == "dict":
            return {value_of(key): value_of(item, other) for key, item in document[tag]}
        return _READERS[tag[1:]](document[tag])
    except (TypeError, ValueError, ArithmeticError, binascii.Error) as error:
        raise NotLiteralError(f'the value of "{tag}" does not fit: {error}') from error


def python(value: Any) -> str:
    """The value as Python text that `read` understands.

    >>> python({"a": (1, float("inf")), "b": {2, 1}})
    '{"a": (1, float("inf")), "b": {1, 2}}'
    """
    value = _unwrapped(value)
    kind = type(value)
    if kind is str:
        return quoted(value)
    if kind is float and not math.isfinite(value):
        return f'float("{value}")'
    if kind is complex:
        return f"complex({python(value.real)}, {python(value.imag)})"
    if kind is dict:
        return "{" + ", ".join(f"{python(key)}: {python(item)}" for key, item in value.items()) + "}"
    if kind is list:
        return "[" + ", ".join(map(python, value)) + "]"
    if kind is tuple:
        return "(" + ", ".join(map(python, value)) + ("," if len(value) == 1 else "") + ")"
    if kind in (set, frozenset):
        items = ", ".join(sorted(map(python, value)))
        written = f"{{{items}}}" if items else "set()"
        return written if kind is set else f"frozenset({written if items else ''})"
    if kind is Decimal:
        return f'decimal.Decimal("{value}")'
    if kind in (*_PLAIN, float, bytes, datetime.timedelta) or (kind in _DATES and _is_exact(value)):
        return repr(value)
    raise NotLiteralError(type_name(value))


def read(node: ast.expr, other: Callable[[ast.expr], Any] | None = None) -> Any:
    """The value of an expression that is written out; `other` reads the parts that are not.

    >>> read(ast.parse("[1, datetime.timedelta(days=2)]", mode="eval").body)
    [1, datetime.timedelta(days=2)]
    """
    try:
        return _read(node, other)
    except NotLiteralError:
        if other is None:
            raise
        return other(node)


def _read(node: ast.expr, other: Callable[[ast.expr], Any] | None) -> Any:
    match node:
        case ast.Constant(value=value) if value is not ...:
            return value
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=ast.Constant(value=int() | float() as number)):
            return -number if isinstance(sign, ast.USub) else number
        case ast.List(elts=items) | ast.Tuple(elts=items) if not any(isinstance(item, ast.Starred) for item in items):
            values = [read(item, other) for item in items]
            return values if isinstance(node, ast.List) else tuple(values)
        case ast.Set(elts=items):
            return _hashed(set, map(read, items))
        case ast.Dict(keys=keys, values=values) if None not in keys:
            pairs = zip(keys, values, strict=True)
            return _hashed(dict, [(read(key), read(value, other)) for key, value in pairs if key])
        case ast.Call(func=function, args=args, keywords=keywords) if (name := ast.unparse(function)) in _CALLS:
            named = {keyword.arg: read(keyword.value) for keyword in keywords if keyword.arg}
            return _hashed(lambda given: _CALLS[name](*given, **named), [read(arg) for arg in args])
        case ast.Attribute() if ast.unparse(node) == "datetime.timezone.utc":
            return datetime.UTC
    raise NotLiteralError(ast.unparse(node))


def is_literal(node: ast.expr) -> bool:
    """Whether an expression is written out."""
    try:
        read(node)
    except NotLiteralError:
        return False
    return True


def quoted(text: str) -> str:
    """The text as a Python string, in double quotes where that needs no escapes.

    >>> print(quoted("on"), quoted('say "x"'))
    "on" 'say "x"'
    """
    return f'"{text}"' if text.isprintable() and '"' not in text and "\\" not in text else repr(text)


def type_name(value: Any) -> str:
    """A type as an error message names it: `pandas.DataFrame`, `open file`, `int`."""
    kind = type(value)
    module = kind.__module__.split(".")[0]
    return kind.__qualname__ if module in ("builtins", "__main__") else f"{module}.{kind.__qualname__}"


def _unwrapped(value: Any) -> Any:
    """A NumPy number as the Python number it is."""
    is_numpy = type(value).__module__ == "numpy"
    is_number = isinstance(value, Number) or type(value).__name__ in ("bool", "bool_")
    return value.item() if is_numpy and is_number else value


def _plain_dict(value: dict[Any, Any], other: Callable[[Any], Any]) -> dict[str, Any]:
    if all(type(key) is str and not key.startswith(_TAG) for key in value):
        return {key: plain(item, other) for key, item in value.items()}
    return {f"{_TAG}dict": [[plain(key), plain(item, other)] for key, item in value.items()]}


def _plain_set(value: Iterable[Any]) -> list[Any]:
    return [plain(item) for item in sorted(value, key=python)]  # the order of a set depends on the hash seed


def _is_exact(value: Any) -> bool:
    """A named time zone would come back as its offset of that day."""
    return isinstance(getattr(value, "tzinfo", None), datetime.timezone | None)


def _iso(value: Any) -> str:
    if not _is_exact(value):
        raise NotLiteralError(f"{type_name(value)} with the time zone {value.tzinfo}")
    return str(value.isoformat())


def _hashed(build: Callable[[Any], Any], items: Any) -> Any:
    try:
        return build(items)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise NotLiteralError(str(error)) from error


_WRITERS: Mapping[type, tuple[str, Callable[[Any], Any]]] = {
    set: ("set", _plain_set),
    frozenset: ("frozenset", _plain_set),
    bytes: ("bytes", lambda value: base64.b64encode(value).decode()),
    float: ("float", str),  # nan, inf
    complex: ("complex", lambda value: [plain(value.real), plain(value.imag)]),
    Decimal: ("decimal", str),
    datetime.datetime: ("datetime", _iso),
    datetime.date: ("date", _iso),
    datetime.time: ("time", _iso),
    datetime.timedelta: ("timedelta", lambda value: [value.days, value.seconds, value.microseconds]),
}
_READERS: Mapping[str, Callable[[Any], Any]] = {
    "tuple": tuple,
    "dict": dict,
    "set": lambda items: set(map(value_of, items)),
    "frozenset": lambda items: frozenset(map(value_of, items)),
    "bytes": lambda text: base64.b64decode(text, validate=True),
    "float": float,
    "complex": lambda parts: complex(*map(value_of, parts)),
    "decimal": Decimal,
    "datetime": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
    "timedelta": lambda parts: datetime.timedelta(*parts),
}
_CALLS: Mapping[str, Callable[..., Any]] = {
    "set": set,
    "frozenset": frozenset,
    "float": float,
    "complex": complex,
    "decimal.Decimal": Decimal,
    "datetime.datetime": datetime.datetime,
    "datetime.date": datetime.date,
    "datetime.time": datetime.time,
    "datetime.timedelta": datetime.timedelta,
    "datetime.timezone": datetime.timezone,
}
