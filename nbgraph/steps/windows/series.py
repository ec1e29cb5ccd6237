"""Series: the buckets of one key, from which the values of its windows are made.

A bucket has the number of its period since 1970 and, for each slot, the count, sum, least ... of the values that fell
into it: its *raws*. A series is one flat list of plain values, so that it can be copied, compared and stored:

    number, *raws,                       the newest bucket, in which most events land
    numbers, *columns,                   the closed buckets that may still matter, oldest first, a list for each raw
    *base, start, end, *back, *stacks    for each window of more than one bucket

A window's value is `base` (its closed buckets) merged with the newest bucket. `base` is only made anew when a bucket
closes, and without ever taking a value back out of a sum, which would leave rounding errors behind: `stacks` hold, for
each raw, the values of the last one, two, three ... of the closed buckets before `end`, `back` that of the closed
buckets since. `start` is the oldest bucket in the window; when it reaches `end` the stacks are made again. A bucket
is put on a stack once, so that on average an event costs the same however long the windows are.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Any

from nbgraph.steps.windows.spec import FieldAggregator, Spans, lateness_in

NAN = math.nan
Raws = list[Any]

# What is kept in a bucket for each operation; m2 is the sum of squared distances from the mean.
RAWS = {
    "count": ("count",),
    "sum": ("sum",),
    "sqr": ("sqr",),
    "avg": ("count", "sum"),
    "min": ("count", "min"),
    "max": ("count", "max"),
    "first": ("count", "first_time", "first"),
    "last": ("count", "last_time", "last"),
    "stddev": ("count", "sum", "m2"),
    "stdvar": ("count", "sum", "m2"),
}
# The order in which a value is taken in: first what fails for a value that is no number, so that it leaves no trace.
EMPTY = {
    "sum": 0,
    "sqr": 0,
    "min": math.inf,
    "max": -math.inf,
    "count": 0,
    "m2": 0.0,
    "first_time": math.inf,
    "first": NAN,
    "last_time": -math.inf,
    "last": NAN,
}


@dataclass(frozen=True)
class Slots:
    """Where the raws of one aggregator stand, counted from 0 within a bucket's raws."""

    aggregator: int
    at: dict[str, int]

    @property
    def stacks_alone(self) -> bool:
        """Whether each raw can be merged without looking at the others."""
        return self.at.keys() <= {"sum", "sqr", "min", "max", "count"}


@dataclass(frozen=True)
class Series:
    """The layout of the buckets that aggregators with the same windows share."""

    spans: Spans
    late: int  # an event may be so many buckets behind the newest one and still count
    slots: tuple[Slots, ...]

    @cached_property
    def size(self) -> int:
        return sum(len(slots.at) for slots in self.slots)

    @property
    def empty(self) -> Raws:
        return [*self._empty]

    @cached_property
    def _empty(self) -> Sequence[Any]:
        return [EMPTY[raw] for slots in self.slots for raw in slots.at]

    @property
    def numbers(self) -> int:
        """Where the numbers of the closed buckets stand; the columns of their raws follow."""
        return 1 + self.size

    @property
    def kept(self) -> int:
        """How many buckets are remembered, so that also the latest event that counts finds whole windows."""
        return self.spans.longest + self.late

    def base(self, window: int) -> int:
        """Where a window's base stands, and then its start and end, its back and its stacks."""
        return self.numbers + 1 + self.size + window * (3 * self.size + 2)

    def start(self, window: int) -> int:
        return self.base(window) + self.size

    def back(self, window: int) -> int:
        return self.start(window) + 2

    def stacks(self, window: int) -> int:
        return self.back(window) + self.size

    def new(self) -> list[Any]:
        """A series without events."""
        return [-math.inf, *self._empty, [], *self._lists(), *self._windows()]

    def _windows(self) -> list[Any]:
        """What a series has of its windows, without events."""
        found: list[Any] = []
        for _ in self.spans.windows:
            found += [*self._empty, 0, 0, *self._empty, *self._lists()]
        return found

    def _lists(self) -> list[list[Any]]:
        return [[] for _ in range(self.size)]

    def buckets(self, series: Sequence[Any]) -> Iterator[list[Any]]:
        """Every bucket as `[number, *raws]`, oldest first."""
        yield from map(list, zip(*series[self.numbers : self.numbers + 1 + self.size], strict=True))
        yield series[: self.numbers]  # type: ignore[misc]  # of a list, a list

    def merged(self, older: Sequence[Any], newer: Sequence[Any]) -> Raws:
        """The raws of two groups of values, of which the one is older."""
        merged: Raws = []
        for slots in self.slots:
            for raw, at in slots.at.items():
                merged.append(self._merge(raw, at, slots.at, older, newer))
        return merged

    @staticmethod
    def _merge(raw: str, at: int, place: dict[str, int], older: Sequence[Any], newer: Sequence[Any]) -> Any:
        one, other = older[at], newer[at]
        if raw in ("count", "sum", "sqr"):
            return added(one, other)
        if raw == "min":
            return other if other < one else one
        if raw == "max":
            return other if other > one else one
        if raw == "m2":
            count, total = place["count"], place["sum"]
            return merged_m2(older[count], older[total], one, newer[count], newer[total], other)
        if raw in ("first", "first_time"):
            return one if older[place["first_time"]] <= newer[place["first_time"]] else other
        return other if newer[place["last_time"]] >= older[place["last_time"]] else one

    def until(self, series: Sequence[Any], number: float) -> list[Any]:
        """The series as if it had ended with the bucket of that number; its windows are still to be made."""
        numbers, *columns = series[self.numbers : self.numbers + 1 + self.size]
        first, end = bisect_right(numbers, number - self.spans.longest), bisect_left(numbers, number)
        closed = [column[first:end] for column in (numbers, *columns)]
        raws = self.empty
        if number == series[0]:
            raws = series[1 : self.numbers]  # type: ignore[assignment]  # of a list, a list
        elif number > series[0] > number - self.spans.longest:
            for column, value in zip(closed, series, strict=False):
                column.append(value)
        elif end < len(numbers) and numbers[end] == number:
            raws = [column[end] for column in columns]
        return [number, *raws, *closed, *self._windows()]

    def has_any(self, series: Sequence[Any], time: float) -> bool:
        """Whether an event stands in the longest window that ends with the period of a time."""
        number = time // self.spans.period
        return any(number - self.spans.longest < bucket[0] <= number for bucket in self.buckets(series))

    def add_late(self, series: list[Any], number: float, add: Callable[[list[Any]], None]) -> bool:
        """Let `add` put an event into the closed bucket of that number; False where it is too long ago to count."""
        if number < series[0] - self.late:
            return False
        numbers, *columns = series[self.numbers : self.numbers + 1 + self.size]
        position = bisect_left(numbers, number)
        if position == len(numbers) or numbers[position] != number:
            numbers.insert(position, number)
            for column, raw in zip(columns, self.empty, strict=True):
                column.insert(position, raw)
        bucket = [number, *(column[position] for column in columns)]
        add(bucket)
        for column, raw in zip(columns, bucket[1:], strict=True):
            column[position] = raw
        return True

    def prune(self, series: list[Any]) -> None:
        """Forget the buckets that no event can ask for any more."""
        cut = bisect_right(series[self.numbers], series[0] - self.kept)
        for column in series[self.numbers : self.numbers + 1 + self.size]:
            del column[:cut]
        for window in range(len(self.spans.windows)):
            start = self.start(window)
            series[start : start + 2] = [max(series[start] - cut, 0), max(series[start + 1] - cut, 0)]


def added(one: Any, other: Any) -> Any:
    """The sum of two numbers; a Decimal and a float, which Python does not add up, come to a float.

    >>> added(Decimal("1.5"), 2.0), added(Decimal("1.5"), 2)
    (3.5, Decimal('3.5'))
    """
    one, other = alike(one, other)
    return one + other


def alike(*numbers: Any) -> tuple[Any, ...]:
    """Numbers that can be worked with together: floats, where one is a Decimal and another a float or a Fraction."""
    kinds = set(map(type, numbers))
    return tuple(map(float, numbers)) if Decimal in kinds and kinds & {float, Fraction} else numbers


def grown_m2(m2: Any, count: int, total: Any, value: Any) -> Any:
    """The sum of squared distances with one value more, which the count and the total know already."""
    of = Decimal if type(total) is Decimal else float
    m2, total, value = map(of, (m2, total, value))
    distance = count * value - total
    return m2 + distance * distance / (count * (count - 1))


def merged_m2(count: int, total: Any, m2: Any, other_count: int, other_total: Any, other_m2: Any) -> Any:
    """The sum of squared distances from the common mean (Chan, Golub and LeVeque)."""
    if not count:
        return other_m2
    if not other_count:
        return m2
    try:
        distance = total / count - other_total / other_count
        square = distance * distance + (distance - distance)  # of an infinite distance NaN
        return m2 + other_m2 + square * count * other_count / (count + other_count)
    except TypeError:  # a Decimal, which mixes with integers, but not with what they come to, nor with floats
        if Decimal not in map(type, (total, m2, other_total, other_m2)):
            raise
    of = Decimal if Decimal in map(type, alike(total, other_total)) else float
    total, m2, other_total, other_m2 = map(of, (total, m2, other_total, other_m2))
    return merged_m2(count, total, m2, other_count, other_total, other_m2)


def root(value: Any) -> Any:
    """The square root of a number that is no float: of a Decimal a Decimal."""
    return value.sqrt() if isinstance(value, Decimal) else math.sqrt(value)


def series_of(aggregators: Sequence[FieldAggregator], lateness: int | None, delay: float = 0) -> list[Series]:
    """The series that the aggregators need; those of the same windows share one. What a policy delays is kept too."""
    groups: dict[tuple[Spans, int], list[int]] = {}
    for index, aggregator in enumerate(aggregators):
        for spans in aggregator.spans():
            late = max(lateness_in(spans, lateness, aggregator.windows), math.ceil(delay / spans.period))
            groups.setdefault((spans, late), []).append(index)
    return [Series(spans, late, _slots(aggregators, indexes)) for (spans, late), indexes in groups.items()]


def _slots(aggregators: Sequence[FieldAggregator], indexes: Sequence[int]) -> tuple[Slots, ...]:
    found: list[Slots] = []
    position = 0
    for index in indexes:
        needed = {raw for operation in aggregators[index].aggr for raw in RAWS[operation]}
        at = {raw: position + number for number, raw in enumerate(raw for raw in EMPTY if raw in needed)}
        position += len(at)
        found.append(Slots(index, at))
    return tuple(found)
