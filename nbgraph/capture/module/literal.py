"""Literals: small values as Python text that means the same again."""

from __future__ import annotations

import datetime
import decimal
import enum
import logging
import math
import pathlib
import pprint
import re
import struct
from collections.abc import Iterator
from typing import Any

LIMIT = 2048  # bytes of text; what is longer reads better in a file of its own
_ATOMS = (type(None), bool, int, float, complex, str, bytes)


def literal(value: Any) -> str | None:
    """The text of a value made of plain atoms, lists, tuples, dicts and sets; None for others and for long ones.

    >>> literal({"b": (1, 2.5), "a": {3, 1}}), literal(object()), literal(float("inf"))
    ("{'b': (1, 2.5), 'a': {1, 3}}", None, 'float("inf")')
    """
    if type(value) is float and not math.isfinite(value):
        return f'float("{value}")'
    if _is_long(value) or not _is_plain(value, 0) or is_entangled(value):
        return None
    text = pprint.pformat(value, width=110, sort_dicts=False)
    return text if len(text.encode("utf-8", "surrogatepass")) <= LIMIT else None


def mutable_parts(value: Any) -> Iterator[Any]:
    """The lists, dicts and sets in a value of plain data, itself among them, each as often as it is held."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if type(found) in (list, dict, set):
            yield found
        if type(found) in (list, tuple):
            waiting += found
        elif type(found) is dict:
            waiting += found.values()


def is_entangled(value: Any) -> bool:
    """Whether one list, dict or set is held twice in it, which a text would make two of.

    >>> one = [1]
    >>> is_entangled([one, one]), is_entangled([[1], [1]])
    (True, False)
    """
    seen: set[int] = set()
    for part in mutable_parts(value):
        if id(part) in seen:
            return True
        seen.add(id(part))
    return False


def _is_long(value: Any) -> bool:
    """Whether its text is surely too long, told without writing it: each item takes a character or more.

    >>> _is_long([0] * 3000), _is_long({"a": ["x" * 3000]}), _is_long([0] * 100)
    (True, True, False)
    """
    length, waiting = 0, [value]
    while waiting and length <= LIMIT:
        found = waiting.pop()
        kind = type(found)
        if kind in (str, bytes, list, tuple, set, frozenset, dict):
            length += len(found)
        if length <= LIMIT and kind in (list, tuple, set, frozenset, dict):
            waiting += found
            waiting += found.values() if kind is dict else ()
    return length > LIMIT


def _is_plain(value: Any, depth: int) -> bool:
    """Exact types only (a defaultdict or a bool's subclass means more than it shows), nothing that holds itself."""
    kind = type(value)
    if kind in _ATOMS:
        return not isinstance(value, float | complex) or math.isfinite(abs(value))
    if depth > 20 or (kind in (set, frozenset) and not value):
        return False
    if kind in (list, tuple, set, frozenset):
        return all(_is_plain(item, depth + 1) for item in value)
    return kind is dict and all(_is_plain(key, depth + 1) and _is_plain(item, depth + 1) for key, item in value.items())


def constructed(value: Any) -> tuple[str, tuple[Any, ...]] | None:
    """For a few types of the standard library: the call that makes the value, and what the call names.

    >>> constructed(re.compile("a+", re.I))
    ("re.compile('a+', re.IGNORECASE)", (<module 're' ...>,))
    >>> constructed(decimal.Decimal("1.50"))[0], constructed(3)
    ("Decimal('1.50')", None)
    """
    kind = type(value)
    if isinstance(value, re.Pattern):
        flags = re.RegexFlag(value.flags & ~(re.UNICODE if isinstance(value.pattern, str) else 0))
        return f"re.compile({value.pattern!r}" + (f", {flags!s}" if flags else "") + ")", (re,)
    if kind in (datetime.date, datetime.timedelta) or (
        kind in (datetime.datetime, datetime.time) and value.tzinfo is None
    ):
        return repr(value).removeprefix("datetime."), (kind,)
    if kind is decimal.Decimal:
        return repr(value), (kind,)
    if isinstance(value, pathlib.PurePath) and kind in (pathlib.PosixPath, pathlib.WindowsPath):
        return f"Path({value.as_posix()!r})", (pathlib.Path,)
    if isinstance(value, enum.Enum) and not isinstance(value, enum.Flag):
        return f"{kind.__name__}.{value.name}", (kind,)
    if kind is logging.Logger:
        return f"getLogger({value.name!r})", (logging.getLogger,)
    if kind is struct.Struct:
        return f"struct.Struct({value.format!r})", (struct,)
    if kind in (range, slice):
        return repr(value), ()
    if kind in (set, frozenset) and not value:
        return repr(value), ()
    return None
