"""Windows of time, and what is aggregated over them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar, Protocol

from nbgraph.errors import GraphError
from nbgraph.steps.arguments import names_of
from nbgraph.steps.operators.stateless import BODY, callable_of
from nbgraph.types import Section

__all__ = ["FieldAggregator", "FixedWindows", "SlidingWindows"]

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
OPERATIONS = ("count", "sum", "sqr", "avg", "min", "max", "first", "last", "stddev", "stdvar")
DURATION = r"([1-9][0-9]*)([smhd])"
EPOCH = datetime(1970, 1, 1)
FIELDS = {"name", "column", "operations", "windows", "period", "aggregation_filter", "max_value"}  # of a dict


def duration(text: str) -> int:
    """The seconds of "90s", "10m", "6h" or "7d".

    >>> duration("10m"), duration("7d")
    (600, 604800)
    """
    match = re.fullmatch(DURATION, text) if isinstance(text, str) else None
    if match is None:
        raise GraphError(
            f'{text!r} is not a duration; expected a number and one of s, m, h, d: "90s", "10m", "6h", "7d".'
        )
    return int(match[1]) * UNITS[match[2]]


def is_column(name: str) -> bool:
    """Whether a field is named as a windowed value is.

    >>> is_column("paid_sum_1h"), is_column("sum_1h"), is_column("paid_sum_total")
    (True, False, False)
    """
    _, operation, window = f"__{name}".rsplit("_", 2)
    return name.count("_") > 1 and operation in OPERATIONS and re.fullmatch(DURATION, window) is not None


def time_like(seconds: float, example: Any, form: str | None = None) -> Any:
    """The point in time in the form that the example has, which may be text of a form of its own.

    >>> time_like(3600.0, 5), time_like(3600.0, "1970-01-01")
    (3600.0, '1970-01-01T01:00:00')
    """
    if isinstance(example, str) and form is not None:
        return time_like(seconds, datetime.strptime(example, form)).strftime(form)
    if isinstance(example, str):
        return time_like(seconds, datetime.fromisoformat(example)).isoformat()
    if isinstance(example, datetime):
        moment = EPOCH + timedelta(seconds=seconds)
        return moment if example.tzinfo is None else moment.replace(tzinfo=UTC).astimezone(example.tzinfo)
    if isinstance(example, date) or (hasattr(example, "astype") and example.dtype.kind == "M"):
        return EPOCH + timedelta(seconds=seconds)
    return seconds


@dataclass(frozen=True)
class Spans:
    """Windows that are made of buckets of one length: each window's name and how many buckets it has."""

    period: int
    windows: tuple[tuple[str, int], ...]

    @property
    def longest(self) -> int:
        return max(buckets for _, buckets in self.windows)


class Windows(Protocol):
    """What FixedWindows and SlidingWindows have in common."""

    @property
    def windows(self) -> Sequence[str]: ...

    def spans(self) -> list[Spans]: ...


@dataclass(frozen=True)
class FixedWindows:
    """Windows that follow each other without overlap: "1h" from every full hour (UTC) to the next.

    They start at multiples of their length since 1970-01-01, which for "1d" is midnight.

    >>> FixedWindows(["1h", "1d"]).spans()
    [Spans(period=3600, windows=(('1h', 1),)), Spans(period=86400, windows=(('1d', 1),))]

    Parameters
    ----------
    windows
        Lengths: `["1h", "1d"]`, in s, m, h, d.
    """

    section: ClassVar[Section] = Section.WINDOWS

    windows: Sequence[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "windows", _durations(self.windows, "FixedWindows"))

    def spans(self) -> list[Spans]:
        return [Spans(duration(window), ((window, 1),)) for window in self.windows]


@dataclass(frozen=True)
class SlidingWindows:
    """Windows that move on by a period: "1h" by "10m" are the six buckets of ten minutes up to the event's own.

    Without a period it is half of the shortest window's unit ("30m" of "2h", "30s" of "5m").

    >>> SlidingWindows(["1h", "6h"], "10m").spans()
    [Spans(period=600, windows=(('1h', 6), ('6h', 36)))]

    Parameters
    ----------
    windows
        Lengths: `["1h", "1d"]`, in s, m, h, d.
    period
        Length by which they move; None: half of the shortest window's unit.
    """

    section: ClassVar[Section] = Section.WINDOWS

    windows: Sequence[str]
    period: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "windows", _durations(self.windows, "SlidingWindows"))
        for window in self.windows:
            if duration(window) % self._period():
                raise GraphError(
                    f'The period "{self.period}" does not divide the window "{window}"; '
                    "choose a period that goes into every window a whole number of times."
                )

    def _period(self) -> int:
        if self.period is not None:
            return duration(self.period)
        shortest = min(self.windows, key=duration)
        return max(UNITS[shortest[-1]] // 2, 1)

    def spans(self) -> list[Spans]:
        period = self._period()
        return [Spans(period, tuple((window, duration(window) // period) for window in self.windows))]


def _durations(given: Sequence[str], name: str) -> list[str]:
    """The windows' lengths, each once; a text alone is one."""
    if not (windows := names_of(given, name, "windows")):
        raise GraphError(f'{name} got {given!r}; expected a list of durations, such as ["1h", "1d"].')
    for window in windows:
        duration(window)
    if len(set(windows)) < len(windows):
        raise GraphError(f"{name} got {windows!r}, in which a window stands twice; name each once.")
    return windows


@dataclass(frozen=True)
class FieldAggregator:
    """What is aggregated: operations over a field of the body, in windows; columns `<name>_<operation>_<window>`.

    >>> FieldAggregator("paid", "amount", ["sum", "avg"], SlidingWindows(["1h", "6h"], "10m")).columns()
    ['paid_sum_1h', 'paid_sum_6h', 'paid_avg_1h', 'paid_avg_6h']

    `field` may be a function of the body, or None to count events whatever they hold. Only events for which
    `aggr_filter` (a function of the body, or an expression over `event`) is true are counted. A value above
    `max_value` is given as `max_value`.

    Parameters
    ----------
    name
        Begin of the columns' names.
    field
        Field, or function of the body; None: events are counted.
    aggr
        Operations: count, sum, sqr, avg, min, max, first, last, stddev, stdvar.
    windows
        FixedWindows or SlidingWindows.
    aggr_filter
        Function of the body, or expression over `event`: only events for which it holds are counted.
    max_value
        Largest value that is given.
    """

    section: ClassVar[Section] = Section.WINDOWS
    expressions: ClassVar[Mapping[str, tuple[str, ...]]] = {"aggr_filter": BODY}

    name: str
    field: str | Callable[[Any], Any] | None
    aggr: Sequence[str]
    windows: Windows
    aggr_filter: Callable[[Any], Any] | str | None = None
    max_value: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "aggr", names_of(self.aggr, f'FieldAggregator "{self.name}"', "aggr"))
        if not self.aggr:
            raise GraphError(f'FieldAggregator "{self.name}" got aggr={self.aggr!r}; expected a list, such as ["sum"].')
        for operation in self.aggr:
            if operation not in OPERATIONS:
                raise GraphError(
                    f'FieldAggregator "{self.name}" has no operation "{operation}"; known: {", ".join(OPERATIONS)}.'
                )
        if self.field is None and set(self.aggr) != {"count"}:
            raise GraphError(
                f'FieldAggregator "{self.name}" has no field, so it can only count; name a field, or ask for ["count"].'
            )
        if not isinstance(self.windows, FixedWindows | SlidingWindows):
            raise GraphError(
                f'FieldAggregator "{self.name}" got windows={self.windows!r}; '
                'expected FixedWindows(["1h"]) or SlidingWindows(["1h"], "10m").'
            )

    @classmethod
    def of(cls, given: FieldAggregator | Mapping[str, Any]) -> FieldAggregator:
        """The aggregator itself, or the one a dict means, in which MLRun's specs have them."""
        if isinstance(given, FieldAggregator):
            return given
        if isinstance(given, Mapping) and (unknown := sorted(map(str, given.keys() - FIELDS))):
            raise GraphError(
                f'AggregateByKey got "{unknown[0]}" in an aggregate; known are {", ".join(sorted(FIELDS))}.'
            )
        try:
            period = given.get("period")
            names = given["windows"]
            windows: Windows = SlidingWindows(names, period) if period else FixedWindows(names)
            return cls(
                given["name"],
                given["column"],
                given["operations"],
                windows,
                given.get("aggregation_filter"),
                given.get("max_value"),
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise GraphError(
                f"AggregateByKey got {given!r} as an aggregate; expected a FieldAggregator, or a dict with "
                "name, column, operations, windows and, for sliding ones, period."
            ) from error

    def ready(self) -> FieldAggregator:
        """The same with its filter as a function."""
        if self.aggr_filter is None:
            return self
        return replace(self, aggr_filter=callable_of(self.aggr_filter, FieldAggregator, "aggr_filter"))

    def columns(self) -> list[str]:
        return [f"{self.name}_{operation}_{window}" for operation in self.aggr for window in self.windows.windows]

    def spans(self) -> list[Spans]:
        return self.windows.spans()


def lateness_in(spans: Spans, seconds: int | None, windows: Windows) -> int:
    """How many buckets an event may be late and still count; by default, the longest window."""
    allowed = seconds if seconds is not None else max(duration(window) for window in windows.windows)
    return math.ceil(allowed / spans.period)
