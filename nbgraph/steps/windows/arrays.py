"""Arrays: what `windows_series.py` does for one event, for all rows of a frame at once.

Rows are ordered by key, and in a key as they came; a segment is the rows of one key that fall into one bucket. Every
raw is an array; `merged` and `values_of` are the array forms of their namesakes.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd

from nbgraph.steps.windows.series import EMPTY, NAN

Array = Any  # numpy's arrays, whose element types say nothing about windows
Raws = dict[str, Array]


def running(needed: list[str], values: Array, valid: Array, times: Array, segments: Array) -> Raws:
    """For each row, the raws of its segment up to it."""
    groups = pd.Series(segments)
    found: Raws = {}
    numbers = np.where(valid, values, np.zeros(1, values.dtype))

    def cumulated(of: Array, how: str) -> Array:
        return getattr(pd.Series(of).groupby(groups, sort=False), how)().to_numpy()

    if "count" in needed or "m2" in needed:
        found["count"] = cumulated(valid.astype(np.int64), "cumsum")
    if "sum" in needed or "m2" in needed:
        found["sum"] = cumulated(numbers, "cumsum")
    if "sqr" in needed:
        found["sqr"] = cumulated(numbers * numbers, "cumsum")
    if "m2" in needed:
        count = np.maximum(found["count"], 2).astype(float)
        grown = (count * numbers - found["sum"]) ** 2 / (count * (count - 1))
        found["m2"] = cumulated(np.where(valid & (found["count"] > 1), grown, 0.0), "cumsum")
    if "min" in needed:
        found["min"] = cumulated(np.where(valid, values, np.inf), "cummin")
    if "max" in needed:
        found["max"] = cumulated(np.where(valid, values, -np.inf), "cummax")
    if "first" in needed:
        found["first_time"] = cumulated(np.where(valid, times, np.inf), "cummin")
        is_new = valid & (times < _before(found["first_time"], segments, np.inf))
        found["first"] = _latest(values, is_new, cumulated)
    if "last" in needed:
        found["last_time"] = cumulated(np.where(valid, times, -np.inf), "cummax")
        is_new = valid & (times >= _before(found["last_time"], segments, -np.inf))
        found["last"] = _latest(values, is_new, cumulated)
    return {raw: found[raw] for raw in EMPTY if raw in needed}


def _before(values: Array, segments: Array, empty: float) -> Array:
    """Each row's predecessor in its segment."""
    before = np.concatenate(([empty], values[:-1]))
    before[np.concatenate(([True], segments[1:] != segments[:-1]))] = empty
    return before


def _latest(values: Array, is_new: Array, cumulated: Callable[[Array, str], Array]) -> Array:
    """For each row, the value of the last row of its segment up to it that is new; NaN where there is none."""
    position = cumulated(np.where(is_new, np.arange(len(values)), -1), "cummax")
    return np.where(position >= 0, values[position], NAN)


def merged(older: Raws, newer: Raws) -> Raws:
    """The raws of two groups of values, row by row."""
    found: Raws = {}
    for raw, one in older.items():
        other = newer[raw]
        if raw in ("sum", "sqr", "count"):
            found[raw] = one + other
        elif raw == "min":
            found[raw] = np.minimum(one, other)
        elif raw == "max":
            found[raw] = np.maximum(one, other)
        elif raw == "m2":
            found[raw] = _merged_m2(older, newer)
        elif raw in ("first", "first_time"):  # by time: both may be parts of one bucket
            found[raw] = np.where(older["first_time"] <= newer["first_time"], one, other)
        else:
            found[raw] = np.where(newer["last_time"] >= older["last_time"], other, one)
    return found


def _merged_m2(older: Raws, newer: Raws) -> Array:
    one, other = older["count"], newer["count"]
    distance = older["sum"] / np.maximum(one, 1) - newer["sum"] / np.maximum(other, 1)
    square = distance * distance + (distance - distance)  # of an infinite distance NaN
    between = square * one * other / np.maximum(one + other, 1)
    return older["m2"] + newer["m2"] + np.where((one > 0) & (other > 0), between, 0.0)


def taken(raws: Raws, rows: Array) -> Raws:
    return {raw: values[rows] for raw, values in raws.items()}


def over_last(raws: Raws, ends: Array, lengths: Array) -> Raws:
    """For each pair, the merged raws of so many buckets before an end.

    Buckets are first merged in twos, fours, eights ...; a window is put together from those, as a number is from its
    binary digits, so that its length hardly matters and nothing is ever subtracted.
    """
    found = {raw: np.full(len(ends), EMPTY[raw], np.result_type(raws[raw], type(EMPTY[raw]))) for raw in raws}
    ends, width, level = ends.copy(), 1, raws
    while (lengths >= width).any():
        rows = np.flatnonzero(lengths & width)
        part = merged(taken(level, ends[rows] - 1), taken(found, rows))
        for raw, values in part.items():
            found[raw][rows] = values
        ends[rows] -= width
        if width < len(next(iter(level.values()))):
            behind = taken(level, slice(None, -width))
            wider = merged(behind, taken(level, slice(width, None)))
            level = {raw: np.concatenate((level[raw][:width], values)) for raw, values in wider.items()}
        width *= 2
    return found


def values_of(operation: str, raws: Raws, limit: float | None) -> Array:
    """The values of one column."""
    value = _VALUES[operation](raws)
    if operation not in ("count", "sum", "sqr", "first", "last"):
        enough = raws["count"] > (1 if operation.startswith("std") else 0)
        value = value if enough.all() else np.where(enough, value, NAN)
    if limit is not None:
        value = np.where(value > limit, limit, value)
    return value


_VALUES: dict[str, Callable[[Raws], Array]] = {
    **{raw: itemgetter(raw) for raw in ("count", "sum", "sqr", "min", "max", "first", "last")},
    "avg": lambda raws: raws["sum"] / np.maximum(raws["count"], 1),
    "stdvar": lambda raws: raws["m2"] / np.maximum(raws["count"] - 1, 1),
    "stddev": lambda raws: np.sqrt(raws["m2"] / np.maximum(raws["count"] - 1, 1)),
}
