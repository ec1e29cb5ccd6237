"""Column: the values of one field in many bodies, sorted by what they are; and how bodies become columns."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nbgraph.values import is_missing, number_of

WHOLE = "event"  # the one field of a body that has no fields
MOST_FIELDS = 200  # an edge; what is beyond is counted as "not watched"
DEEPEST = 4  # dictionaries inside of dictionaries
_NUMBERS = frozenset({int, float})
_EMPTY: Mapping[str, Any] = {}
Numbers = NDArray[np.float64]


@dataclass(slots=True)
class Column:
    """The values of a field.

    >>> column = Column.of([1, 2.5, None, float("inf"), True, "a"])
    >>> column.missing, column.infinite, column.numbers.tolist(), dict(column.classes)
    (1, 1, [1.0, 2.5], {'True': 1, 'a': 1})

    `rows` are the places of the numbers among all values.
    """

    count: int
    missing: int = 0
    infinite: int = 0
    types: Counter[str] = field(default_factory=Counter)
    numbers: Numbers = field(default_factory=lambda: np.empty(0))
    rows: NDArray[np.intp] | None = None
    classes: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, values: Sequence[Any]) -> Column:
        """Sort values by what they are: numbers, classes (texts and truth values), what is missing, all else."""
        kinds = set(map(type, values))
        if kinds <= _NUMBERS:
            return cls._of_numbers(values, kinds)
        if kinds == {str}:
            return cls(len(values), types=Counter({"str": len(values)}), classes=Counter(values))
        return _mixed(values)

    @classmethod
    def absent(cls, count: int) -> Column:
        """The column of a field that no event has."""
        return cls(count, missing=count)

    @classmethod
    def joined(cls, columns: Sequence[Column]) -> Column:
        """Several columns, one behind the other; the places of numbers are lost."""
        whole = cls(sum(one.count for one in columns))
        for one in columns:
            whole.missing += one.missing
            whole.infinite += one.infinite
            whole.types.update(one.types)
            whole.classes.update(one.classes)
        whole.numbers = np.concatenate([one.numbers for one in columns]) if columns else whole.numbers
        return whole

    def __add__(self, other: Self) -> Column:
        return Column.joined([self, other])

    @classmethod
    def _of_numbers(cls, values: Sequence[Any], kinds: set[type]) -> Column:
        types: Counter[str] = Counter()
        if len(kinds) == 1:
            types[next(iter(kinds)).__name__] = len(values)
        else:
            types.update(type(value).__name__ for value in values)
        return _finite(cls(len(values), types=types), _as_floats(values), None)


def _finite(column: Column, numbers: Numbers, rows: NDArray[np.intp] | None) -> Column:
    """Put the finite ones of numbers into a column; NaN is missing, and what is infinite is counted apart."""
    is_finite = np.isfinite(numbers)
    if not is_finite.all():
        nans = int(np.isnan(numbers).sum())
        column.missing += nans
        column.infinite += len(numbers) - int(is_finite.sum()) - nans
        rows = np.flatnonzero(is_finite) if rows is None else rows[is_finite]
        numbers = numbers[is_finite]
    column.numbers, column.rows = numbers, rows
    return column


def _as_floats(values: Sequence[Any]) -> Numbers:
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError:  # an int beyond all floats
        return np.array([_as_float(value) for value in values])


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _mixed(values: Sequence[Any]) -> Column:
    column = Column(len(values), types=Counter(type(value).__name__ for value in values))
    numbers, rows = [], []
    for row, value in enumerate(values):
        kind = type(value)
        if kind is str:
            column.classes[value] += 1
        elif kind is bool or kind is np.bool_:
            column.classes[str(value)] += 1
        elif value is None or (kind not in _NUMBERS and is_missing(value)):
            column.missing += 1
        else:
            number = value if kind in _NUMBERS else number_of(value)
            if isinstance(number, int | float | Decimal):
                numbers.append(number)
                rows.append(row)
    return _finite(column, _as_floats(numbers), np.array(rows, dtype=np.intp))


# --- bodies ---


def columns_of(bodies: Sequence[Any], fields: Iterable[str] | None = None) -> tuple[dict[str, list[Any]], set[str]]:
    """The values of each field, those of an inner dictionary under a path; and the fields that are not watched.

    A list or an array has its length, mean, least and greatest, a text its length.

    >>> columns_of([{"amount": 1, "card": {"country": "NL"}}, {"amount": 2}])[0]
    {'amount': [1, 2], 'card.country': ['NL', None], 'len(card.country)': [2, None]}
    >>> columns_of([3, 4])[0]
    {'event': [3, 4]}
    """
    wanted = None if fields is None else list(fields)
    found: dict[str, list[Any]] = {}
    _spread(found, "", bodies, DEEPEST, wanted)
    if wanted is not None:
        return {path: found.get(path, [None] * len(bodies)) for path in wanted}, set()
    paths = list(found)
    return {path: found[path] for path in paths[:MOST_FIELDS]}, set(paths[MOST_FIELDS:])


def _spread(
    found: dict[str, list[Any]], path: str, values: Sequence[Any], depth: int, wanted: list[str] | None
) -> None:
    """Put values into columns: those of dictionaries under the paths of their keys, all others as they are."""
    kinds = set(map(type, values))
    if dict in kinds and depth:
        inner = values if kinds == {dict} else [value if type(value) is dict else _EMPTY for value in values]
        for key in dict.fromkeys(key for value in inner for key in value):
            below = f"{path}.{key}" if path else str(key)
            if wanted is None or any(_leads_to(below, one) for one in wanted):
                _spread(found, below, [value.get(key) for value in inner], depth - 1, wanted)
        if kinds <= {dict, type(None)}:
            return
        values = [None if type(value) is dict else value for value in values]
    name = path or WHOLE
    if wanted is None or name in wanted:
        found[name] = list(values)
    for measure, function in _measures(kinds):
        if wanted is None or f"{measure}({name})" in wanted:
            found[f"{measure}({name})"] = [function(value) for value in values]


def _leads_to(path: str, wanted: str) -> bool:
    inner = wanted[wanted.find("(") + 1 : -1] if wanted.endswith(")") else wanted
    return inner == path or inner.startswith(f"{path}.")


def _measures(kinds: set[type]) -> list[tuple[str, Callable[[Any], Any]]]:
    if kinds & {list, tuple, np.ndarray}:
        return _OF_ARRAYS
    return [("len", _length)] if str in kinds else []


def _length(value: Any) -> int | None:
    return len(value) if isinstance(value, str | list | tuple) or np.ndim(value) else None


def _of_elements(function: Callable[[Any], Any]) -> Callable[[Any], float | None]:
    def measured(value: Any) -> float | None:
        try:
            elements = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            return None  # no numbers, or lists of several lengths
        return float(function(elements)) if elements.ndim and elements.size else None

    return measured


_OF_ARRAYS: list[tuple[str, Callable[[Any], Any]]] = [
    ("len", _length),
    ("mean", _of_elements(np.mean)),
    ("min", _of_elements(np.min)),
    ("max", _of_elements(np.max)),
]
