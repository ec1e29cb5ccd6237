"""Bins: the cells in which the values of one field are counted; made once, from the baseline.

Counts in the same bins add up, in any order, to what one worker would have counted. Numbers have up to ten cells of
equal frequency, by which drift is judged, cut further by those of the picture; classes have a cell each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nbgraph.monitor.statistics.column import Column

Cells = NDArray[np.int64]
JUDGED = 10  # cells of equal frequency
DRAWN = 32  # cells of the picture, of equal width
CLASSES = 50  # the most frequent classes, which have a cell of their own
KNOWN = 1000  # classes that are remembered at all; a field with more is a text
REPEATED = 10  # a field with more than `CLASSES` different texts has classes where each comes that often


class FieldKind(StrEnum):
    """What the values of a field are, mostly."""

    NUMBER = "number"
    CLASS = "class"
    OTHER = "other"  # long texts, times, objects: present or not, and of which type


class Bins(msgspec.Struct, frozen=True, array_like=True, dict=True):
    """The cells of a field.

    >>> bins = bins_of(Column.of([1.0, 2.0, 3.0, 4.0]))
    >>> bins.kind, bins.edges[:4]
    (<FieldKind.NUMBER: 'number'>, (1.3, 1.6, 1.9, 2.2))
    >>> bins.judged(bins.count(np.array([1.0, 9.0]))).tolist()
    [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    """

    kind: FieldKind
    edges: tuple[float, ...] = ()
    drawn_edges: tuple[float, ...] = ()
    classes: tuple[str, ...] = ()
    rare: tuple[str, ...] = ()  # classes that the baseline has, counted as one cell
    centre: float = 0.0  # what sums are taken about, so that a deviation keeps its digits

    @cached_property
    def fine(self) -> NDArray[np.float64]:
        """All edges of numbers, by which they are counted."""
        return np.unique(np.array([*self.edges, *self.drawn_edges], dtype=float))

    @cached_property
    def places(self) -> dict[str, int]:
        """The cell of each known class; the last cell is that of all others."""
        return dict.fromkeys(self.rare, len(self.classes)) | {name: place for place, name in enumerate(self.classes)}

    @property
    def size(self) -> int:
        """How many cells are counted."""
        return len(self.fine) + 1 if self.kind is FieldKind.NUMBER else len(self.classes) + 1

    def count(self, numbers: NDArray[np.float64]) -> Cells:
        """How many of the numbers are in each cell."""
        return np.bincount(self.fine.searchsorted(numbers, side="right"), minlength=self.size)

    def count_classes(self, found: Counter[str]) -> tuple[Cells, dict[str, int]]:
        """How many are in each cell, and those of them that the baseline does not have."""
        cells = np.zeros(self.size, dtype=np.int64)
        unseen = {}
        for name, times in found.items():
            place = self.places.get(name)
            if place is None:
                unseen[name] = times
            cells[len(self.classes) if place is None else place] += times
        return cells, unseen

    def judged(self, cells: Sequence[int] | Cells, missing: int = 0) -> Cells:
        """The counts by which drift is judged; what is missing is a class of its own."""
        if self.kind is FieldKind.NUMBER:
            return self._grouped(cells, self.edges)
        return np.append(np.asarray(cells, dtype=np.int64), missing)

    def drawn(self, cells: Sequence[int] | Cells) -> Cells:
        """The counts of the picture."""
        if self.kind is FieldKind.NUMBER:
            return self._grouped(cells, self.drawn_edges)
        return np.asarray(cells, dtype=np.int64)

    def _grouped(self, cells: Sequence[int] | Cells, edges: tuple[float, ...]) -> Cells:
        begins = np.append(0, self.fine.searchsorted(edges) + 1)
        return np.add.reduceat(np.asarray(cells, dtype=np.int64), begins)


def bins_of(column: Column) -> Bins:
    """The cells that fit the values of a baseline."""
    classes = column.classes
    if len(column.numbers) >= classes.total() and len(column.numbers):
        return _number_bins(column.numbers)
    if classes and (len(classes) <= CLASSES or _is_repeated(classes)):
        names = [name for name, _ in sorted(classes.items(), key=lambda one: (-one[1], one[0]))]
        return Bins(FieldKind.CLASS, classes=tuple(names[:CLASSES]), rare=tuple(names[CLASSES:]))
    return Bins(FieldKind.OTHER)


def _is_repeated(classes: Counter[str]) -> bool:
    return len(classes) <= KNOWN and classes.total() >= REPEATED * len(classes)


def _number_bins(numbers: NDArray[np.float64]) -> Bins:
    low, high = float(numbers.min()), float(numbers.max())
    if low == high:  # a constant: what is below or above it is somewhere else
        return Bins(FieldKind.NUMBER, (low, float(np.nextafter(low, np.inf))), centre=low)
    edges = np.unique(np.quantile(numbers, np.arange(1, JUDGED) / JUDGED))
    begin, end = _floats(np.quantile(numbers, [0.005, 0.995]))
    drawn = np.unique(np.linspace(begin, end, DRAWN - 1)) if begin < end else edges
    centre = float(np.median(numbers))
    return Bins(FieldKind.NUMBER, _floats(edges), _floats(drawn), centre=centre)


def _floats(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
