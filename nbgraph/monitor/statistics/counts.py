"""FieldCounts: what is counted of one field, and adds up; the record of a window that travels and is kept."""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Self

import msgspec
import numpy as np

from nbgraph.monitor.statistics.bins import Bins, Cells, FieldKind
from nbgraph.monitor.statistics.column import Column

NAMED = 20  # classes that the baseline does not have, by their names


class FieldCounts(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """Counts of one field over a window; those of several workers add up to those of one, in any order.

    `total` and `squares` are the sums of deviations from the centre of the bins, kept as partial sums without any
    rounding (Shewchuk 1997), so that the order in which they are added does not matter.

    >>> bins = Bins(FieldKind.CLASS, classes=("a", "b"))
    >>> one, other = counts_of(Column.of(["a", "b"]), bins), counts_of(Column.of(["a", "c", None]), bins)
    >>> one + other == other + one, (one + other).cells, (one + other).unseen
    (True, (2, 1, 1), {'c': 1})
    """

    count: int = 0
    cells: tuple[int, ...] = ()
    low: float | None = None
    high: float | None = None
    total: tuple[float, ...] = ()
    squares: tuple[float, ...] = ()
    types: dict[str, int] = {}
    missing: int = 0
    infinite: int = 0
    outside: int = 0  # numbers below the least or above the greatest of the baseline
    unseen: dict[str, int] = {}  # classes that the baseline does not have

    @property
    def numbers(self) -> int:
        """How many finite numbers there are."""
        return sum(self.cells) if self.total or self.low is not None else 0

    def __add__(self, other: Self) -> FieldCounts:
        return FieldCounts(
            count=self.count + other.count,
            cells=_added(self.cells, other.cells),
            low=_least(self.low, other.low),
            high=_greatest(self.high, other.high),
            total=exact_sum(self.total, other.total),
            squares=exact_sum(self.squares, other.squares),
            types=_added_up(self.types, other.types),
            missing=self.missing + other.missing,
            infinite=self.infinite + other.infinite,
            outside=self.outside + other.outside,
            unseen=named(_added_up(self.unseen, other.unseen)),
        )


def counts_of(column: Column, bins: Bins, limits: tuple[float, float] | None = None) -> FieldCounts:
    """The counts of a column; `limits` are the least and the greatest number of the baseline."""
    cells, unseen, outside = np.zeros(bins.size, dtype=np.int64), dict[str, int](), 0
    low = high = None
    total: tuple[float, ...] = ()
    squares: tuple[float, ...] = ()
    if bins.kind is FieldKind.CLASS:
        cells, unseen = bins.count_classes(column.classes)
    elif bins.kind is FieldKind.NUMBER and len(column.numbers):
        numbers = column.numbers
        cells = bins.count(numbers)
        low, high = float(numbers.min()), float(numbers.max())
        if limits is not None and (low < limits[0] or high > limits[1]):
            outside = int(((numbers < limits[0]) | (numbers > limits[1])).sum())
        deviations = numbers - bins.centre
        total, squares = _partials(float(deviations.sum())), _partials(float(deviations @ deviations))
    return FieldCounts(
        column.count,
        _ints(cells),
        low,
        high,
        total,
        squares,
        dict(column.types),
        column.missing,
        column.infinite,
        outside,
        named(unseen),
    )


def exact_sum(first: Iterable[float], second: Iterable[float]) -> tuple[float, ...]:
    """Partial sums that together are exactly the sum of all the numbers.

    >>> exact_sum((1e16,), (1.0,)), math.fsum(exact_sum((1e16, 1.0), (-1e16,)))
    ((1.0, 1e+16), 1.0)
    """
    partials: list[float] = []
    for number in (*first, *second):
        kept = 0
        for partial in partials:
            larger, smaller = (number, partial) if abs(number) >= abs(partial) else (partial, number)
            high = larger + smaller
            low = smaller - (high - larger)
            if low:
                partials[kept] = low
                kept += 1
            number = high
        partials[kept:] = [number]
    return tuple(partials) if all(map(math.isfinite, partials)) else _overflown(first, second)


def _overflown(first: Iterable[float], second: Iterable[float]) -> tuple[float, ...]:
    total = sum(first) + sum(second)
    return (total,) if math.isfinite(total) else (math.copysign(math.inf, total),)


def _partials(total: float) -> tuple[float, ...]:
    return (total,) if total else ()


def _ints(cells: Cells) -> tuple[int, ...]:
    return tuple(cells.tolist())


def _added(first: Sequence[int], second: Sequence[int]) -> tuple[int, ...]:
    if not first or not second:
        return tuple(first or second)
    return tuple(map(operator.add, first, second))


def _added_up(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    if not first or not second:
        return dict(first or second)
    found = dict(first)
    for name, times in second.items():
        found[name] = found.get(name, 0) + times
    return found if len(found) == 1 else dict(sorted(found.items()))


def named(unseen: dict[str, int]) -> dict[str, int]:
    """The most frequent by their names, the rest together under an empty one."""
    if len(unseen) <= NAMED:
        return unseen
    ranked = sorted(unseen.items(), key=lambda one: (not one[0], -one[1], one[0]))
    kept, rest = ranked[:NAMED], ranked[NAMED:]
    found = Counter(dict(kept))
    found[""] += sum(times for _, times in rest)
    return dict(sorted(found.items()))


def _least(first: float | None, second: float | None) -> float | None:
    return min(first, second) if first is not None and second is not None else first if second is None else second


def _greatest(first: float | None, second: float | None) -> float | None:
    return max(first, second) if first is not None and second is not None else first if second is None else second
