"""Sketch: how many different values there are, and their quantiles, in a few kilobytes that add up.

Only baselines have one. It needs the package `datasketches` (extra `monitor`); without it quantiles come from the
bins, and how many different numbers there are is not told.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, Self

import msgspec
import numpy as np

from nbgraph.monitor.statistics.column import Column

PRECISION = 11  # of distinct values: 2^11 hashes are kept, an error of 2.2 %
QUANTILES = 200  # KLL's k: a rank is off by 1.33 % at most (99 %)


class Sketch(msgspec.Struct, frozen=True, array_like=True):
    """The two sketches of a field, as bytes: `distinct` (theta) does not depend on the order of what was added.

    >>> sketch = sketch_of(Column.of([1.0, 2.0, 2.0]))
    >>> sketch.distinct_values(), (sketch + sketch).distinct_values(), sketch.quantiles([0.5])
    (2, 2, [2.0])
    """

    distinct: bytes
    numbers: bytes

    def distinct_values(self) -> int:
        """An estimate of how many different values there are."""
        from datasketches import compact_theta_sketch

        estimate: float = compact_theta_sketch.deserialize(self.distinct).get_estimate()
        return round(estimate)

    def quantiles(self, shares: Sequence[float]) -> list[float]:
        """The numbers that such shares of all numbers are below; none where there are no numbers."""
        sketch = _quantiles(self.numbers)
        return [] if sketch.is_empty() else [float(value) for value in sketch.get_quantiles(list(shares))]

    def shares(self, edges: Sequence[float]) -> list[float]:
        """The share of the numbers in each of the cells between the edges."""
        return [float(share) for share in _quantiles(self.numbers).get_pmf(list(edges))]

    def __add__(self, other: Self) -> Sketch:
        from datasketches import compact_theta_sketch, theta_union

        union = theta_union(PRECISION)
        union.update(compact_theta_sketch.deserialize(self.distinct))
        union.update(compact_theta_sketch.deserialize(other.distinct))
        numbers = _quantiles(self.numbers)
        numbers.merge(_quantiles(other.numbers))
        return Sketch(union.get_result().serialize(), numbers.serialize())


def _quantiles(given: bytes) -> Any:
    from datasketches import kll_doubles_sketch

    return kll_doubles_sketch.deserialize(given)


def sketch_of(column: Column) -> Sketch | None:
    """The sketch of a column; None where `datasketches` is not installed."""
    if find_spec("datasketches") is None:
        return None
    from datasketches import kll_doubles_sketch, update_theta_sketch

    distinct, numbers = update_theta_sketch(PRECISION), kll_doubles_sketch(QUANTILES)
    for value in np.unique(column.numbers).tolist():
        distinct.update(value)
    for name in column.classes:
        distinct.update(name)
    if len(column.numbers):
        numbers.update(column.numbers)
    distinct.trim()
    return Sketch(distinct.compact().serialize(), numbers.serialize())
