"""Codec: rows and keys of tables as stored: rows are encoded as queues encode values, and come back unchanged."""

from __future__ import annotations

import base64
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

import msgspec

from nbgraph.streams.codec.values import UnfitError, freeze, thaw
from nbgraph.values import normal_key, same_for_equal

_FROZEN = b"\xc1"  # begins neither MessagePack nor text: without it a row is JSON of an earlier version
_BIG = 2**53  # integers below are exact in every reader of JSON
_MARKED = "~"  # begins no JSON text
_IN_JSON = frozenset({str, int, float, bool, type(None)})
_KINDS = _IN_JSON | {bytes, datetime, date, time, timedelta, Decimal, Fraction, UUID}


def row_bytes(row: Any, key: Any, driver: object) -> bytes:
    """A row as bytes; refused if it would not come back unchanged.

    >>> row_from(row_bytes({"at": date(2026, 1, 1), "of": (1, Decimal("1.10"))}, "a", None))
    {'at': datetime.date(2026, 1, 1), 'of': (1, Decimal('1.10'))}
    """
    try:
        return _FROZEN + freeze(row)
    except UnfitError as error:
        raise UnfitError(
            f"{type(driver).__name__} can't keep the row of {key!r}: {error}. Store plain values: numbers, texts, "
            "times, lists, dicts, arrays."
        ) from error


def row_from(stored: bytes | str) -> Any:
    """The row that `row_bytes` encoded, or JSON of an earlier version.

    >>> row_from('{"n":1}')
    {'n': 1}
    """
    if isinstance(stored, bytes) and stored.startswith(_FROZEN):
        return thaw(stored[len(_FROZEN) :])
    return msgspec.json.decode(stored)


def key_text(key: Any) -> str:
    """A key as text, different for different keys: JSON where that is exact, else marked.

    >>> key_text(7.0), key_text("7"), key_text(("a", 1)), key_from(key_text(date(2026, 1, 1)))
    ('7', '"7"', '["a",1]', datetime.date(2026, 1, 1))
    """
    key = normal_key(key)
    is_plain = type(key) is str or (type(key) is int and abs(key) < _BIG)
    kinds = {type(key)} if is_plain else _kinds_in(key)
    if strange := kinds - _KINDS:
        raise UnfitError(
            f"{key!r} can't be a key of this table: it has a {strange.pop().__qualname__}; expected a number, "
            "text, bytes, a date, a time, a UUID, None, or a tuple of these."
        )
    if kinds <= _IN_JSON:
        try:
            text = msgspec.json.encode(key).decode()
            if is_plain or normal_key(key_from(text)) == key:
                return text
        except (UnicodeEncodeError, OverflowError):
            pass
    return _MARKED + base64.b64encode(freeze(same_for_equal(key))).decode()


def former_texts(key: Any) -> tuple[str, ...]:
    """The other texts under which a row may be stored: those of equal keys, and of earlier versions.

    >>> former_texts(7), former_texts(True), former_texts("a")
    (('7.0',), ('1', '1.0'), ())
    """
    key = normal_key(key)
    if not isinstance(key, int):
        return ()
    number = int(key)
    texts = [str(number), f"{number}.0", *(["true"] if number == 1 else ["false", "-0.0"] if number == 0 else [])]
    own = key_text(key)
    return tuple([text for text in texts if text != own])


def key_from(text: str | bytes) -> Any:
    """The key of a text.

    >>> key_from('["a",1]')
    ('a', 1)
    """
    text = text.decode() if isinstance(text, bytes) else text
    if text.startswith(_MARKED):
        return thaw(base64.b64decode(text[len(_MARKED) :]))
    return normal_key(msgspec.json.decode(text))


def _kinds_in(key: Any) -> set[type]:
    if not isinstance(key, tuple):
        return {type(key)}
    return set().union(*map(_kinds_in, key)) if key else {type(None)}
