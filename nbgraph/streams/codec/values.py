"""Values as bytes, and back as the very same values: what travels between functions, and what steps remember.

MessagePack, with marks for what it does not tell apart by itself, so that a value is the same in another function as in
the notebook: a tuple stays a tuple, an array an array. No pickle: whoever can write to the broker must not be able to
run code here.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from msgspec.msgpack import Ext

from nbgraph.errors import NbgraphError
from nbgraph.event import Event
from nbgraph.streams.codec import arrays, tables

Simpler = Callable[[Any], Any]
_PLAIN = frozenset({type(None), bool, int, float, str, bytes})
_FIELDS = ("body", "key", "id", "path", "method", "headers", "content_type", "time", "params", "origin")
DICTS: set[type] = {dict}  # what is read and written as a dict
DEEPEST = 950  # containers in containers


class UnfitError(NbgraphError):
    """A value has something in it that can't be written, or that this process can't read."""


def freeze(value: Any, simpler: Simpler | None = None) -> bytes:
    """The bytes of plain data: numbers, texts, lists, tuples, dicts, sets, dates, Events; arrays and tables.

    With `simpler` what is not Python's own is written as what that makes of it.

    >>> thaw(freeze({("a", 1): (2, [3.5, {4}]), None: 10**30}))
    {('a', 1): (2, [3.5, {4}]), None: 1000000000000000000000000000000}
    """
    try:
        marked = value if is_plain(value) else _marked(value, simpler)
        try:
            return _encoder.encode(marked)
        except (OverflowError, UnicodeEncodeError):  # a number or a text that MessagePack has no room for
            return _encoder.encode(_marked(value, simpler, is_odd=True))
    except RecursionError as error:
        raise UnfitError("it is nested too deeply, or holds itself") from error


def thaw(data: bytes) -> Any:
    """The value that `freeze` was given."""
    try:
        return _decoder.decode(data)
    except ModuleNotFoundError as error:
        raise UnfitError(
            f'It holds an array or a table of "{error.name}", and that is not among the packages of this function; '
            f'deploy with requirements=["{error.name}"].'
        ) from error


def is_plain(value: Any) -> bool:
    """Whether the encoder alone keeps everything, looked at level by level, since deep ones must not end the stack."""
    level = [value]
    for _ in range(DEEPEST):
        deeper: dict[int, Any] = {}
        for item in level:
            kind = type(item)
            if kind is list:
                within = item
            elif kind is dict:
                if not _PLAIN.issuperset(map(type, item)):
                    return False
                within = item.values()
            elif kind in _PLAIN:
                continue
            else:
                return False
            if not _PLAIN.issuperset(map(type, within)):
                deeper |= {id(one): one for one in within if type(one) not in _PLAIN}
        if not deeper:
            return True
        level = list(deeper.values())
    return False


def _marked(value: Any, simpler: Simpler | None, is_odd: bool = False) -> Any:
    """The value with marks; `is_odd`: also around integers and texts that MessagePack has no room for."""
    kind = type(value)
    if kind in _PLAIN:
        return _marked_odd(value) if is_odd else value
    if kind is list:
        if not is_odd and _PLAIN.issuperset(map(type, value)):
            return value
        return [_marked(item, simpler, is_odd) for item in value]
    if kind in DICTS:
        return _marked_dict(value, simpler, is_odd)
    return _mark(kind, value, simpler, is_odd)


def _marked_dict(value: dict[Any, Any], simpler: Simpler | None, is_odd: bool) -> Any:
    if all(type(key) in _PLAIN and not (is_odd and isinstance(_marked_odd(key), Ext)) for key in value):
        return {key: _marked(item, simpler, is_odd) for key, item in dict.items(value)}
    return Ext(_PAIRS, freeze([[key, item] for key, item in dict.items(value)], simpler))


def _marked_odd(value: Any) -> Any:
    if type(value) is int and not -(1 << 63) <= value < 1 << 64:
        return Ext(_INT, f"{value:x}".encode())
    if type(value) is str and not value.isascii():
        data = value.encode("utf-8", "surrogatepass")
        return value if data.decode("utf-8", "ignore") == value else Ext(_TEXT, data)
    return value


def _mark(kind: type, value: Any, simpler: Simpler | None, is_odd: bool) -> Any:
    for code, (known, plain, _) in KINDS.items():
        if kind is known:
            return Ext(code, freeze(plain(value), simpler))
    if simpler is not None:
        return _marked(simpler(value), simpler, is_odd)
    array, table = arrays.plain(value), tables.plain(value)
    if array is not None:
        return Ext(_ARRAY, freeze(array))
    if table is not None:
        name, content = table
        return Ext(_TABLE, freeze([name, freeze(content)]))
    bases: tuple[Any, ...] = (int, float, str, bytes)
    for base in bases:  # of one's own or a library's, as an IntEnum: equal to what it is made of
        if isinstance(value, base):
            return Ext(_SAME, freeze(base(value)))
    raise UnfitError(f"there is a {kind.__module__}.{kind.__qualname__} in it, and only plain data can be kept")


def _unmarked(code: int, data: memoryview) -> Any:
    if code == _INT:
        return int(bytes(data), 16)
    if code == _TEXT:
        return bytes(data).decode("utf-8", "surrogatepass")
    if code not in KINDS and code not in (_SAME, _PAIRS, _ARRAY, _TABLE):
        raise UnfitError(
            f"there is a value of the kind {code} in it, which is not known here: whoever wrote it may be newer"
        )
    plain = thaw(bytes(data))
    if code == _SAME:
        return plain
    if code == _PAIRS:
        return dict(map(tuple, plain))
    if code == _ARRAY:
        return arrays.value(plain)
    if code == _TABLE:
        name, content = plain
        if not tables.is_known(name):  # it may come from outside, and must not choose what is imported
            raise UnfitError(f"there is a {name!r} in it, which is no table that is known here")
        import_module(name.partition(".")[0])  # first, since what is missing is told by its name
        return tables.value(name, thaw(content))
    return KINDS[code][2](plain)


def _event(fields: list[Any]) -> Event:
    *given, origin = fields
    event = Event(*given)
    event.origin = origin
    return event


def _of_datetime(value: datetime) -> Any:
    if isinstance(value.tzinfo, ZoneInfo) and value.tzinfo.key:
        return [value.replace(tzinfo=None).isoformat(), value.tzinfo.key, value.fold]
    return value.isoformat()


def _datetime(plain: Any) -> datetime:
    if isinstance(plain, str):
        return datetime.fromisoformat(plain)
    text, zone, fold = plain
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


def _of_defaultdict(value: defaultdict[Any, Any]) -> list[Any]:
    factory = value.default_factory
    if factory is not None and factory not in _FACTORIES.values():
        raise UnfitError(f"there is a defaultdict of {factory!r} in it, and only plain data can be kept")
    return [factory and factory.__name__, dict(value)]


_FACTORIES: dict[str, Any] = {kind.__name__: kind for kind in (int, float, str, list, dict, set, tuple, bool)}
_INT, _ARRAY, _PAIRS, _TABLE, _TEXT, _SAME = 1, 2, 14, 15, 16, 17
_Kind = tuple[type, Callable[[Any], Any], Callable[[Any], Any]]  # the type, its plain form, and back
KINDS: dict[int, _Kind] = {
    3: (tuple, list, tuple),
    4: (set, list, set),
    5: (frozenset, list, frozenset),
    6: (deque, lambda value: [list(value), value.maxlen], lambda plain: deque(*plain)),
    7: (datetime, _of_datetime, _datetime),
    8: (date, date.isoformat, date.fromisoformat),
    9: (time, time.isoformat, time.fromisoformat),
    10: (timedelta, lambda value: [value.days, value.seconds, value.microseconds], lambda plain: timedelta(*plain)),
    11: (Decimal, str, Decimal),
    12: (bytearray, bytes, bytearray),
    13: (Event, lambda event: [getattr(event, field) for field in _FIELDS], _event),
    18: (UUID, lambda value: value.bytes, lambda plain: UUID(bytes=plain)),
    19: (complex, lambda value: [value.real, value.imag], lambda plain: complex(*plain)),
    20: (range, lambda value: [value.start, value.stop, value.step], lambda plain: range(*plain)),
    21: (Fraction, lambda value: [value.numerator, value.denominator], lambda plain: Fraction(*plain)),
    22: (OrderedDict, dict, OrderedDict),
    23: (Counter, dict, Counter),
    25: (type(Path()), str, Path),
    24: (defaultdict, _of_defaultdict, lambda plain: defaultdict(_FACTORIES.get(plain[0]), plain[1])),
}
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(ext_hook=_unmarked, strict=False)
