"""Tally: the bodies of an edge become counts, block by block, until its window closes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from nbgraph.event import Event
from nbgraph.monitor.profile import Profile
from nbgraph.monitor.statistics.bins import Bins, Cells, FieldKind
from nbgraph.monitor.statistics.column import WHOLE, Column, columns_of
from nbgraph.monitor.statistics.counts import FieldCounts, exact_sum, named
from nbgraph.monitor.statistics.field_profile import FieldProfile

MISSING, UNSEEN = -1, -2  # in the place of a cell: without a value, of a class that the baseline does not have
Kept = tuple[Any, Event]  # a body as it went along an edge, and its event


class EdgeCounts(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """What was counted at an edge in a window; those of several workers add up.

    `events` were looked at, of the `passed` that went along; `dropped` could not be, since counting was behind.
    """

    edge: str
    start: float
    end: float
    events: int = 0
    passed: int = 0
    fields: dict[str, FieldCounts] = {}
    new: dict[str, int] = {}
    dropped: int = 0

    def __add__(self, other: Self) -> EdgeCounts:
        names = dict.fromkeys([*self.fields, *other.fields])
        return EdgeCounts(
            self.edge,
            min(self.start, other.start),
            max(self.end, other.end),
            self.events + other.events,
            self.passed + other.passed,
            {name: self.fields.get(name, FieldCounts()) + other.fields.get(name, FieldCounts()) for name in names},
            dict(sorted((Counter(self.new) + Counter(other.new)).items())),
            self.dropped + other.dropped,
        )

    def profile(self, base: Profile) -> Profile:
        """What it tells, in the bins of the baseline."""
        fields = {name: FieldProfile(base[name].bins, counts) for name, counts in self.fields.items() if name in base}
        return Profile(self.edge, fields, self.events, self.passed, self.start, self.end, self.new)


@dataclass(slots=True)
class _FieldTally:
    """One field: plain numbers that grow."""

    bins: Bins
    limits: tuple[float, float]  # the least and the greatest number of the baseline
    cells: Cells
    count: int = 0
    missing: int = 0
    infinite: int = 0
    outside: int = 0
    low: float = math.inf
    high: float = -math.inf
    total: tuple[float, ...] = ()
    squares: tuple[float, ...] = ()
    types: Counter[str] = field(default_factory=Counter)
    unseen: Counter[str] = field(default_factory=Counter)
    judged: NDArray[np.intp] | None = None  # the judged cell of each cell
    latest: dict[int, Kept] = field(default_factory=dict)  # the last event of each judged cell

    def add(self, column: Column, values: Sequence[Any], block: Sequence[Kept]) -> None:
        self.count += column.count
        self.missing += column.missing
        self.infinite += column.infinite
        self.types.update(column.types)
        if self.bins.kind is FieldKind.CLASS:
            cells, unseen = self.bins.count_classes(column.classes)
            self.cells += cells
            self.unseen.update(unseen)
            self._keep_classes(values, block)
        elif self.bins.kind is FieldKind.NUMBER and len(column.numbers):
            self._add_numbers(column.numbers, column.rows, block)
        if column.missing and self.bins.kind is not FieldKind.CLASS:
            row = next((row for row in range(len(values) - 1, -1, -1) if values[row] is None), None)
            if row is not None:
                self.latest[MISSING] = block[row]

    def _keep_classes(self, values: Sequence[Any], block: Sequence[Kept]) -> None:
        """The last event of each class; one that the baseline does not have is kept for all such."""
        last: dict[Any, int] = {}
        for row, value in enumerate(values):
            last[value if type(value) is str else str(value)] = row
        places, missing = self.bins.places, len(self.cells)
        for name, row in last.items():
            cell = missing if values[row] is None else places.get(name, UNSEEN)
            self.latest[cell] = block[row]

    def _add_numbers(self, numbers: NDArray[np.float64], rows: NDArray[np.intp] | None, block: Sequence[Kept]) -> None:
        places = self.bins.fine.searchsorted(numbers, side="right")
        self.cells += np.bincount(places, minlength=len(self.cells))
        low, high = float(numbers.min()), float(numbers.max())
        self.low, self.high = min(self.low, low), max(self.high, high)
        if low < self.limits[0] or high > self.limits[1]:
            self.outside += int(((numbers < self.limits[0]) | (numbers > self.limits[1])).sum())
        deviations = numbers - self.bins.centre
        self.total = exact_sum(self.total, (float(deviations.sum()),))
        self.squares = exact_sum(self.squares, (float(deviations @ deviations),))
        assert self.judged is not None
        last = np.full(len(self.bins.edges) + 1, -1, dtype=np.intp)
        last[self.judged[places]] = np.arange(len(numbers)) if rows is None else rows
        for cell, row in enumerate(last.tolist()):
            if row >= 0:
                self.latest[cell] = block[row]

    def counts(self) -> FieldCounts:
        has_numbers = self.low <= self.high
        return FieldCounts(
            self.count,
            tuple(self.cells.tolist()),
            self.low if has_numbers else None,
            self.high if has_numbers else None,
            self.total,
            self.squares,
            dict(self.types),
            self.missing,
            self.infinite,
            self.outside,
            named(dict(self.unseen)),
        )


class EdgeTally:
    """What went along one edge in its open window.

    >>> base = Profile("a -> b", {"x": FieldProfile.of([1.0, 2.0, 3.0])}, 3)
    >>> tally = EdgeTally(base)
    >>> tally.add([({"x": 2.0}, Event(None)), ({"x": 9.0, "y": 1}, Event(None))])
    >>> counts = tally.close(0.0, 60.0)
    >>> counts.events, counts.fields["x"].outside, counts.new
    (2, 1, {'y': 1})
    """

    def __init__(self, base: Profile) -> None:
        self._base = base
        self._tops = {name for name in base if "." not in name and "(" not in name}
        self._is_plain = len(self._tops) == len(base) and WHOLE not in base
        self._known = {name.partition("(")[2].rstrip(")") or name for name in base}
        self._roots = {name.split(".")[0] for name in self._known}
        self._closed: dict[str, _FieldTally] = {}
        self._open()

    @property
    def events(self) -> int:
        """How many the open window has."""
        return self._events

    def add(self, block: Sequence[Kept]) -> None:
        """Count bodies, each with its event."""
        bodies = [body for body, _ in block]
        self._events += len(bodies)
        are_dicts = set(map(type, bodies)) == {dict}
        for name, values in self._values(bodies, are_dicts=are_dicts):
            self._fields[name].add(Column.of(values), values, block)
        if are_dicts:
            self._count_new(bodies)

    def closed_events(self, name: str) -> list[Kept]:
        """Of the window that was closed last: the last event in each cell that has more than in the baseline.

        Those that have most more stand first; what has no value, or a class that the baseline does not have, before.
        """
        closed, base = self._closed.get(name), self._base[name].judged().astype(float)
        if closed is None:
            return []
        now = closed.bins.judged(closed.cells, closed.missing).astype(float)
        more = now / max(now.sum(), 1.0) - base / max(base.sum(), 1.0)
        weights = {cell: (cell < 0, float(more[cell]) if cell >= 0 else 0.0) for cell in closed.latest}
        cells = sorted(closed.latest, key=weights.__getitem__, reverse=True)
        return [closed.latest[cell] for cell in cells if cell < 0 or more[cell] > 0]

    def close(self, start: float, end: float, passed: int = 0, dropped: int = 0) -> EdgeCounts:
        """The counts of the window, which ends; the next one begins."""
        fields = {name: one.counts() for name, one in self._fields.items()}
        new = dict(self._new.most_common(20))
        found = EdgeCounts(self._base.edge, start, end, self._events, max(passed, self._events), fields, new, dropped)
        self._closed = self._fields
        self._open()
        return found

    def _open(self) -> None:
        self._events = 0
        self._new: Counter[str] = Counter()
        self._fields = {name: _tally_of(one) for name, one in self._base.items()}

    def _values(self, bodies: Sequence[Any], *, are_dicts: bool) -> Iterable[tuple[str, Sequence[Any]]]:
        if self._is_plain and are_dicts:
            for name in self._fields:
                yield name, [body.get(name) for body in bodies]
            return
        yield from columns_of(bodies, self._base)[0].items()

    def _count_new(self, bodies: Sequence[dict[str, Any]]) -> None:
        if self._roots.issuperset(set().union(*bodies)):
            return
        for body in bodies:
            self._new.update(str(key) for key in body.keys() - self._roots)


def _tally_of(base: FieldProfile) -> _FieldTally:
    bins = base.bins
    low = -math.inf if base.low is None else base.low
    high = math.inf if base.high is None else base.high
    judged = np.searchsorted(bins.edges, np.append(-np.inf, bins.fine), side="right") if bins.edges else None
    return _FieldTally(bins, (low, high), np.zeros(bins.size, dtype=np.int64), judged=judged)
