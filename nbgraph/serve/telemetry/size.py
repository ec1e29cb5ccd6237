"""Size: the bytes of a body, as nearly as they can be told without much ado."""

from __future__ import annotations

from typing import Any

from nbgraph.event import Event
from nbgraph.introspection import attribute
from nbgraph.streams.codec.wire import UNFIT, pack

_PACKED = (dict, list, tuple, int, float, bool)  # what is measured by what a queue would carry of it


def size_of(value: Any) -> int:
    """The bytes of a text, an array, a table, or of plain data on a queue; 0 for what has no such measure.

    >>> size_of("abc"), size_of({"x": 1}), size_of(memoryview(b"1234")), size_of(iter([1]))
    (3, 4, 4, 0)
    """
    body = value.body if isinstance(value, Event) else value
    if isinstance(body, str | bytes | bytearray):
        return len(body)
    if isinstance(body, _PACKED):
        try:
            return len(pack(body))
        except UNFIT:
            return 0
    held = attribute(body, "nbytes")
    return held if isinstance(held, int) else _size_of_table(body)


def _size_of_table(body: Any) -> int:
    usage = attribute(body, "memory_usage")  # pandas: each column's bytes
    return int(usage().sum()) if callable(usage) else 0
