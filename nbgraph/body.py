"""Copier: copies the body of an event where it branches, so that no branch sees what another one changes."""

from __future__ import annotations

import copy
import datetime
import decimal
import enum
import fractions
import re
import types
import uuid
from collections.abc import Callable, Iterator
from typing import Any

IMMUTABLE: frozenset[type] = frozenset({
    object, type(None), bool, int, float, complex, str, bytes, range, slice, type(Ellipsis), type(NotImplemented),
    datetime.date, datetime.time, datetime.datetime, datetime.timedelta, datetime.timezone,
    decimal.Decimal, fractions.Fraction, uuid.UUID, re.Pattern,
    type, enum.EnumType, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType,
})  # fmt: skip  # a set that reads better in rows

SCALARS = (
    int,
    str,
    float,
    bool,
    type(None),
    bytes,
)  # the most common; a tuple is looked through faster
ARROW = frozenset({"Table", "RecordBatch", "Array", "ChunkedArray", "Schema", "Scalar", "Buffer"})


class Copier:
    """Copies bodies for the branches of one plan.

    Values that nobody can change are shared; so are those that can't be copied, whose types stand in `shared`.
    `bytes` counts what was copied of arrays and frames. One object that a body holds twice is one object in its copy.

    >>> before = {"a": [1], "n": 1}
    >>> after = Copier()(before)
    >>> after["a"].append(2)
    >>> before, after
    ({'a': [1], 'n': 1}, {'a': [1, 2], 'n': 1})
    """

    def __init__(self) -> None:
        self.shared: dict[str, None] = {}  # ordered: what check() says must not depend on hash seeds
        self.bytes = 0

    def __call__(self, body: Any) -> Any:
        kind = type(body)
        if kind in IMMUTABLE:
            return body
        if kind is dict and IMMUTABLE.issuperset(map(type, body.values())):
            return body.copy()
        return self._copied(body, {})

    def _copied(self, value: Any, known: dict[int, Any]) -> Any:
        """The copy of a value; `known` holds those made so far by their originals' ids, as a deepcopy memo does."""
        kind = type(value)
        if kind in IMMUTABLE:
            return value
        if id(value) in known:
            return known[id(value)]
        make = CONTAINERS.get(kind)
        return make(self, value, known) if make is not None else self._object(value, known)

    def _dict(self, value: dict[Any, Any], known: dict[int, Any]) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        known[id(value)] = made  # before its values, which may hold it
        for key, item in value.items():
            made[key] = self._copied(item, known)
        return made

    def _list(self, value: list[Any], known: dict[int, Any]) -> list[Any]:
        made: list[Any] = []
        known[id(value)] = made
        made += [self._copied(item, known) for item in value]
        return made

    def _tuple(self, value: tuple[Any, ...], known: dict[int, Any]) -> tuple[Any, ...]:
        made = tuple([self._copied(item, known) for item in value])
        if id(value) in known:  # a list inside holds it, and was copied with it
            copied: tuple[Any, ...] = known[id(value)]
            return copied
        known[id(value)] = made = value if all(map(_is, made, value)) else made
        return made

    def _set(self, value: set[Any], known: dict[int, Any]) -> set[Any]:
        known[id(value)] = made = value.copy()  # what has a hash is taken for what does not change
        return made

    def _bytearray(self, value: bytearray, known: dict[int, Any]) -> bytearray:
        known[id(value)] = made = bytearray(value)
        return made

    def _object(self, value: Any, known: dict[int, Any]) -> Any:
        """By the library that the value's class is of, else by `copy.deepcopy`."""
        by_library = LIBRARIES.get(type(value).__module__.partition(".")[0])
        try:
            made = by_library(self, value) if by_library is not None else None
            if made is None:
                made = copy.deepcopy(value, known)
        except Exception:  # whatever a class's own copying raises: a socket, a lock, a generator
            self.shared[f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")] = None
            made = value
        known[id(value)] = made
        return made

    def _array(self, value: Any) -> Any:
        """A NumPy array; None for those that hold objects, and for all else of NumPy but its scalars."""
        if type(value).__name__ != "ndarray":
            return value if hasattr(value, "dtype") and not hasattr(value, "__setitem__") else None
        if value.dtype.hasobject:
            return None
        if not value.flags.writeable and value.base is None:
            return value
        self.bytes += value.nbytes
        return value.copy()

    def _frame(self, value: Any) -> Any:
        """A DataFrame, Series or Index of pandas; it copies what is written to where it can."""
        if not hasattr(value, "memory_usage"):
            return value  # a Timestamp, a Timedelta, NA: nobody can change them
        import pandas

        is_lazy = not pandas.__version__.startswith(("1.", "2.")) or pandas.get_option("mode.copy_on_write") is True
        if not is_lazy:
            usage = value.memory_usage()
            self.bytes += int(usage.sum() if hasattr(usage, "sum") else usage)
        made = value.copy(deep=not is_lazy)
        for place, column in _object_columns(value):
            cells = pandas.Series([self._copied(cell, {}) for cell in column], column.index, object, column.name)
            if column is value:
                return cells
            made.isetitem(place, cells)
        return made

    def _polars(self, value: Any) -> Any:
        return value.clone() if hasattr(value, "clone") else value

    def _arrow(self, value: Any) -> Any:
        return value if type(value).__name__ in ARROW or type(value).__name__.endswith(("Array", "Scalar")) else None


CONTAINERS: dict[type, Callable[[Copier, Any, dict[int, Any]], Any]] = {
    dict: Copier._dict,
    list: Copier._list,
    tuple: Copier._tuple,
    set: Copier._set,
    bytearray: Copier._bytearray,
    frozenset: lambda copier, value, known: value,
}
LIBRARIES: dict[str, Callable[[Copier, Any], Any]] = {
    "numpy": Copier._array,
    "pandas": Copier._frame,
    "polars": Copier._polars,
    "pyarrow": Copier._arrow,
}


def _object_columns(value: Any) -> Iterator[tuple[int, Any]]:
    """The columns of a frame (a Series is its own) whose cells are objects that can be changed in place."""
    if not hasattr(value, "iloc"):
        return  # an Index, whose values have a hash
    columns = [value] if value.ndim == 1 else (value.iloc[:, place] for place in range(value.shape[1]))
    for place, column in enumerate(columns):
        if column.dtype == object and not IMMUTABLE.issuperset(map(type, column.array)):
            yield place, column


def _is(one: Any, other: Any) -> bool:
    return one is other
