"""FieldProfile: one field of an edge over a window: its counts, and what they tell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from nbgraph.errors import NbgraphError
from nbgraph.monitor.statistics.bins import Bins, Cells, FieldKind, bins_of
from nbgraph.monitor.statistics.column import Column, Numbers
from nbgraph.monitor.statistics.counts import FieldCounts, counts_of
from nbgraph.monitor.statistics.distance import DistanceKind, between, kind_of, wasserstein
from nbgraph.monitor.statistics.sketch import Sketch, sketch_of

SHARES = tuple(float(share) for share in (np.arange(500) + 0.5) / 500)  # quantiles that Wasserstein's distance compares


@dataclass(frozen=True, slots=True)
class FieldProfile:
    """The counts of a field in the bins of a baseline; profiles in the same bins add up.

    >>> profile = FieldProfile.of([1.0, 2.0, 3.0, None])
    >>> profile.count, profile.missing, profile.mean, profile.sd, profile.quantile(0.5)
    (4, 1, 2.0, 1.0, 2.0)
    >>> (profile + profile).count
    8

    Parameters
    ----------
    bins
        The cells that values are counted in.
    counts
        How many there are.
    sketch
        How many different values there are, and their quantiles, where it is known.
    values
        The numbers themselves, as long as the profile of a baseline is in memory.
    """

    bins: Bins
    counts: FieldCounts
    sketch: Sketch | None = None
    values: Numbers | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, values: Sequence[Any], bins: Bins | None = None) -> FieldProfile:
        """The profile of values.

        Parameters
        ----------
        values
            What a field had, event by event.
        bins
            Cells to count in; None: such as fit the values.
        """
        return cls.of_column(Column.of(list(values)), bins)

    @classmethod
    def of_column(cls, column: Column, bins: Bins | None = None) -> FieldProfile:
        """The profile of a column, as a baseline keeps it."""
        bins = bins or bins_of(column)
        kept = np.sort(column.numbers) if bins.kind is FieldKind.NUMBER else None
        return cls(bins, counts_of(column, bins), sketch_of(column), kept)

    # --- what was counted ---

    @property
    def count(self) -> int:
        """Events, those without a value among them."""
        return self.counts.count

    @property
    def missing(self) -> int:
        """Events in which the field is absent, None or NaN."""
        return self.counts.missing

    @property
    def types(self) -> Mapping[str, int]:
        """Values by the name of their type."""
        return self.counts.types

    @property
    def low(self) -> float | None:
        """The least number."""
        return self.counts.low

    @property
    def high(self) -> float | None:
        """The greatest number."""
        return self.counts.high

    @property
    def mean(self) -> float:
        """The mean of the numbers; NaN where there are none."""
        numbers = self.counts.numbers
        return self.bins.centre + math.fsum(self.counts.total) / numbers if numbers else math.nan

    @property
    def sd(self) -> float:
        """The standard deviation of the numbers (of a sample); NaN for fewer than two."""
        numbers = self.counts.numbers
        if numbers < 2:
            return math.nan
        about = math.fsum(self.counts.total) ** 2 / numbers
        return math.sqrt(max(math.fsum(self.counts.squares) - about, 0.0) / (numbers - 1))

    @property
    def distinct(self) -> int | None:
        """How many different values there are, estimated; None where that was not counted."""
        if self.sketch is not None:
            return self.sketch.distinct_values()
        if self.bins.kind is not FieldKind.CLASS or self.bins.rare:
            return None
        return sum(1 for times in self.counts.cells[:-1] if times) + len(self.counts.unseen)

    @property
    def top(self) -> list[tuple[str, int]]:
        """The most frequent classes with their counts; those that the baseline does not have among them."""
        known = zip(self.bins.classes, self.counts.cells, strict=False)
        found = [*known, *((name, times) for name, times in self.counts.unseen.items() if name)]
        return sorted(((name, times) for name, times in found if times), key=lambda one: (-one[1], one[0]))

    @property
    def missing_share(self) -> float:
        """The share of the events that have no value."""
        return self.missing / self.count if self.count else 0.0

    @property
    def unseen_share(self) -> float:
        """The share of the values whose class the baseline does not have."""
        classes = sum(self.counts.cells) if self.bins.kind is FieldKind.CLASS else 0
        return sum(self.counts.unseen.values()) / classes if classes else 0.0

    @property
    def outside_share(self) -> float:
        """The share of the numbers below the least or above the greatest of the baseline."""
        numbers = self.counts.numbers + self.counts.infinite
        return (self.counts.outside + self.counts.infinite) / numbers if numbers else 0.0

    @property
    def is_constant(self) -> bool:
        """Whether all its values are one."""
        if self.bins.kind is FieldKind.NUMBER:
            return self.low is not None and self.low == self.high
        return len(self.top) == 1 and not (self.counts.cells and self.counts.cells[-1] and not self.counts.unseen)

    def judged(self) -> Cells:
        """The counts by which drift is judged."""
        return self.bins.judged(self.counts.cells or (0,) * self.bins.size, self.missing)

    def histogram(self) -> Cells:
        """The counts of the picture, one more than there are edges; those of classes in the order of `top`'s bins."""
        return self.bins.drawn(self.counts.cells or (0,) * self.bins.size)

    def quantile(self, share: float) -> float:
        """The number that a share of all numbers is below; NaN where there are none.

        Parameters
        ----------
        share
            Between 0 and 1: 0.5 is the median.
        """
        found = self.quantiles([share])
        return found[0] if found else math.nan

    def quantiles(self, shares: Sequence[float]) -> list[float]:
        """As `quantile`, for several shares; an empty list where there are no numbers.

        Parameters
        ----------
        shares
            Between 0 and 1.
        """
        if self.sketch is not None:
            return self.sketch.quantiles(shares)
        if self.low is None or self.high is None or self.bins.kind is not FieldKind.NUMBER:
            return []
        places = np.clip(np.concatenate([[self.low], self.bins.fine, [self.high]]), self.low, self.high)
        below = np.concatenate([[0], np.cumsum(self.counts.cells)]) / max(self.counts.numbers, 1)
        return [float(np.interp(share, below, places)) for share in shares]

    # --- compared ---

    def distance(self, other: FieldProfile, kind: str = "jsd") -> float:
        """How far its values are from those of another profile, in the bins of the other; NaN where one has none.

        Parameters
        ----------
        other
            The one it is compared with, a baseline's.
        kind
            `"jsd"`, `"psi"`, `"kl"`, `"hellinger"`, `"tvd"`, `"ks"`, `"chi2"`, `"g"`, or `"wasserstein"`.
        """
        wanted = kind_of(kind)
        if wanted is DistanceKind.WASSERSTEIN:
            now, base = self._spread(), other._spread()
            return wasserstein(now, base) if len(now) and len(base) else math.nan
        if self.bins == other.bins:
            return between(self.judged(), other.judged(), wanted)
        return between(*self._in_bins_of(other), wanted)

    def in_bins(self, bins: Bins) -> FieldProfile:
        """The profile in other bins, as long as the values are there."""
        if bins == self.bins:
            return self
        if self.values is None:
            raise NbgraphError(
                "The profile was counted in other bins, and its values are gone; profile the events again with the "
                "baseline that it is compared with."
            )
        column = Column(self.count, self.missing, self.counts.infinite, numbers=self.values)
        counted = counts_of(column, bins)
        return replace(self, bins=bins, counts=counted)

    def _in_bins_of(self, other: FieldProfile) -> tuple[Any, Cells]:
        if self.bins.kind is not other.bins.kind:
            raise NbgraphError(f"A {self.bins.kind} can't be compared with a {other.bins.kind}: the field has changed.")
        if self.bins.kind is FieldKind.CLASS:
            return self._classes_in(other), other.judged()
        if self.values is not None:
            return other.bins.judged(other.bins.count(self.values)), other.judged()
        if self.sketch is not None:
            return np.array(self.sketch.shares(other.bins.edges)) * self.counts.numbers, other.judged()
        places = np.array(self.quantiles(SHARES))
        return other.bins.judged(other.bins.count(places)) * (self.counts.numbers / len(SHARES)), other.judged()

    def _classes_in(self, other: FieldProfile) -> Cells:
        cells = np.zeros(other.bins.size, dtype=np.int64)
        for name, times in self.top:
            cells[other.bins.places.get(name, other.bins.size - 1)] += times
        cells[-1] += sum(self.counts.cells) - cells.sum()
        return other.bins.judged(cells, self.missing)

    def _spread(self) -> Any:
        """The values, or quantiles that stand for them."""
        return self.quantiles(SHARES) if self.values is None else self.values

    def __add__(self, other: Self) -> FieldProfile:
        if self.bins != other.bins:
            raise NbgraphError("Profiles add up where they were counted in the same bins, those of one baseline.")
        has_both = self.sketch is not None and other.sketch is not None
        sketch = self.sketch + other.sketch if has_both else None  # type: ignore[operator]
        return FieldProfile(self.bins, self.counts + other.counts, sketch)
