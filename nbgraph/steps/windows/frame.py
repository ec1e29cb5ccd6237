"""Frame: a whole DataFrame through AggregateByKey, as if its rows had come one by one.

Keys whose events come in the order of their periods are worked out with arrays; the others, and values that are not
plain numbers, go the way of single events, so that the results are the same either way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from typing import Any, Protocol

import numpy as np
import pandas as pd

from nbgraph.steps.windows.arrays import Array, merged, over_last, running, taken, values_of
from nbgraph.steps.windows.codegen import Part, WindowCode, reader
from nbgraph.steps.windows.series import Series, Slots
from nbgraph.steps.windows.spec import FieldAggregator
from nbgraph.values import normal_key, seconds_of

EXACT = 2.0**62  # sums of squares of whole numbers below it stay within 64 bits
LARGEST = 2**53  # whole numbers up to it are floats too
HUGE = 1e100  # squares of floats below it, and their sums, are floats too
OF_NUMBERS = {"count", "sum", "sqr", "avg", "stddev", "stdvar"}  # what is made of truths is numbers, but for the others
Columns = dict[str, Array]


class FrameAggregation(Protocol):
    """What is asked of the step."""

    state: dict[str, Any]
    aggregators: list[FieldAggregator]
    layouts: list[Series]

    @property
    def rebuilders(self) -> list[Callable[[list[Any]], Any]]: ...
    @property
    def update(self) -> Callable[[Any, float, Any], dict[str, Any]]: ...

    @property
    def is_forgetful(self) -> bool: ...

    def new(self, key: Any) -> list[list[Any]]: ...


def with_columns(step: FrameAggregation, frame: pd.DataFrame, keys: Sequence[Any], times: Array) -> pd.DataFrame:
    """The frame with its columns added; the step then knows its rows as if they had come one by one."""
    codes, known = _codes(keys)
    # a step that forgets keys has to see the rows in the order in which they came
    order = np.arange(len(codes)) if step.is_forgetful else np.argsort(codes, kind="stable")
    values = [_Values.of(each, frame, order) for each in step.aggregators]
    rows = _FrameRows(codes[order], known, times[order])
    alone = np.ones(len(frame), bool)
    is_near = bool((np.abs(times) < LARGEST).all())  # the numbers of the periods are whole numbers of 64 bits
    if all(each.is_numeric for each in values) and is_near and not step.is_forgetful:
        alone = rows.apart(step)
    columns = _with_arrays(step, rows.part(~alone), [each.part(~alone) for each in values])
    found = {name: np.empty(len(frame), object if alone.any() else some.dtype) for name, some in columns.items()}
    for name, of_rows in columns.items():
        found[name][~alone] = of_rows
    _one_by_one(step, frame.iloc[order[alone]], rows.part(alone), np.flatnonzero(alone), found)
    back = np.argsort(order, kind="stable")
    added = {name: pd.Series(of_rows[back], frame.index).infer_objects() for name, of_rows in found.items()}
    return frame.assign(**added)


@dataclass(frozen=True)
class Field:
    """What one aggregator sees of events, and whether each counts."""

    values: pd.Series[Any]
    valid: Array


def windows_at(
    aggregators: Sequence[FieldAggregator],
    layouts: Sequence[Series],
    fields: Sequence[Field],
    order: Array,
    codes: Array,
    times: Array,
) -> Columns:
    """The columns of windows as they are at moments that stand among the events: what QueryByKey has then.

    `order` says which event stands where, and, by numbers from the count of events on, where a question does; `codes`
    are the keys' numbers and `times` the seconds in that order: by key, and in a key by time.
    """
    count = len(fields[0].valid) if fields else 0
    is_event, asked = order < count, np.flatnonzero(order >= count)
    events = order[is_event]
    known = {code: code for code in np.unique(codes).tolist()}
    rows = _FrameRows(codes, list(known), times)
    values = [_numbers(field.values, set(each.aggr)) for field, each in zip(fields, aggregators, strict=True)]
    if any(each is None for each in values) or not (np.abs(times) < LARGEST).all():
        return _windows_one_by_one(aggregators, layouts, fields, order, rows, asked)
    placed = [_placed(each, field.valid, is_event, events) for each, field in zip(values, fields, strict=True)]
    found: Columns = {}
    for layout in layouts:
        segments = _Segments(layout, _kept, rows, {})
        for slots in layout.slots:
            found |= segments.columns(aggregators[slots.aggregator], slots, placed[slots.aggregator], asked)
    return {column: found[column] for each in aggregators for column in each.columns()}


def _kept(series: list[Any]) -> list[Any]:
    return series


def _placed(values: Array, valid: Array, is_event: Array, events: Array) -> _Values:
    """The values of events among questions, which do not count."""
    whole, counts = np.zeros(len(is_event), values.dtype), np.zeros(len(is_event), bool)
    whole[is_event], counts[is_event] = values[events], valid[events]
    return _Values(whole, counts, True)


def _windows_one_by_one(
    aggregators: Sequence[FieldAggregator],
    layouts: Sequence[Series],
    fields: Sequence[Field],
    order: Array,
    rows: _FrameRows,
    asked: Array,
) -> Columns:
    """The same for values that arrays do not add up as Python does: decimals, large numbers, texts."""
    names = [f"{number}" for number in range(len(aggregators))]
    plain = [replace(each, field=name, aggr_filter=None) for each, name in zip(aggregators, names, strict=True)]
    code = WindowCode(plain, layouts)
    objects = [field.values.where(field.valid, None).tolist() for field in fields]
    found: Columns = {column: np.empty(len(asked), object) for each in aggregators for column in each.columns()}
    series: list[list[Any]] = []
    current, number = None, 0
    for place, key, time in zip(order.tolist(), rows.codes.tolist(), rows.times.tolist(), strict=True):
        if key != current:
            current, series = key, [layout.new() for layout in layouts]
        if place < len(objects[0]):
            body = {name: column[place] for name, column in zip(names, objects, strict=True)}
            for layout, each in enumerate(series):
                code.take(layout, each, time, body)
            continue
        for column, value in code.columns_at(series, time).items():
            found[column][number] = value
        number += 1
    return found


def _codes(keys: Sequence[Any]) -> tuple[Array, list[Any]]:
    """The rows' keys as numbers, and the keys that these mean, in their normal form."""
    try:
        codes, found = pd.factorize(_objects(keys), use_na_sentinel=False)
    except TypeError:  # lists, which are tuples
        codes, found = pd.factorize(_objects(list(map(normal_key, keys))), use_na_sentinel=False)
    normal = [normal_key(key) for key in found]
    places = {key: place for place, key in enumerate(dict.fromkeys(normal))}
    return np.array([places[key] for key in normal], np.int64)[codes], list(places)


def _one_by_one(step: FrameAggregation, frame: pd.DataFrame, rows: _FrameRows, places: Array, found: Columns) -> None:
    """The rows that have to go the way of single events."""
    for place, body, code, time in zip(places, frame.to_dict("records"), rows.codes, rows.times.tolist(), strict=True):
        for name, value in step.update(rows.known[code], time, body).items():
            found[name][place] = value


def _with_arrays(step: FrameAggregation, rows: _FrameRows, values: Sequence[_Values]) -> Columns:
    """The columns of rows whose keys all come in order."""
    found: Columns = {}
    keys = step.state["keys"]
    series: dict[int, list[list[Any]]] = {}
    for code in np.unique(rows.codes):
        key = rows.known[code]
        series[code] = keys[key] = keys.get(key) or step.new(key)
    for number, layout in enumerate(step.layouts):
        of_layout = {code: each[number] for code, each in series.items()}
        segments = _Segments(layout, step.rebuilders[number], rows, of_layout)
        for slots in layout.slots:
            found |= segments.columns(step.aggregators[slots.aggregator], slots, values[slots.aggregator])
        segments.remember(of_layout)
    return {column: found[column] for each in step.aggregators for column in each.columns()}


@dataclass
class _FrameRows:
    """The rows' keys, as numbers into `known`, and times; ordered by key, and in a key as they came."""

    codes: Array
    known: list[Any]
    times: Array

    def part(self, chosen: Array) -> _FrameRows:
        return _FrameRows(self.codes[chosen], self.known, self.times[chosen])

    def apart(self, step: FrameAggregation) -> Array:
        """Whether a row's key has an event that is in an earlier period than one before it, or odd numbers already."""
        keys = step.state["keys"]
        is_late = np.array([key in keys and not _is_plain(step, keys[key]) for key in self.known], bool)
        for number, layout in enumerate(step.layouts):
            buckets = self.times // layout.spans.period
            newest = np.array([keys[key][number][0] if key in keys else -np.inf for key in self.known])
            starts = np.flatnonzero(np.diff(self.codes, prepend=-1))
            before = np.concatenate(([0.0], buckets[:-1]))
            before[starts] = newest[self.codes[starts]]
            is_late[self.codes[~(buckets >= before)]] = True
        return is_late[self.codes]


def _is_plain(step: FrameAggregation, series: Sequence[list[Any]]) -> bool:
    """Whether arrays hold the numbers of a key as they are: no Decimal, no large integer."""
    for layout, each in zip(step.layouts, series, strict=True):
        for column in (each[: layout.numbers], *each[layout.numbers : layout.base(0)]):
            kinds = set(map(type, column))
            if not kinds <= {int, float}:
                return False
            if int in kinds and any(type(value) is int and abs(value) > LARGEST for value in column):
                return False
    return True


class _Segments:
    """The rows' buckets under one layout, after those that the step knows already."""

    def __init__(
        self, layout: Series, rebuild: Callable[[list[Any]], Any], rows: _FrameRows, series: Mapping[int, list[Any]]
    ) -> None:
        self.layout, self.rows, self._rebuild = layout, rows, rebuild
        numbers = rows.times // layout.spans.period
        is_first = (np.diff(rows.codes, prepend=-1) != 0) | (np.diff(numbers, prepend=np.nan) != 0)
        self.of_row = np.cumsum(is_first) - 1  # each row's segment
        self.ends = np.flatnonzero(np.concatenate((is_first[1:], [True]))) if len(is_first) else np.zeros(0, int)
        known = [(code, bucket) for code, each in series.items() for bucket in layout.buckets(each)]
        known = [(code, bucket) for code, bucket in known if bucket[0] > -np.inf]
        self._known = list(zip(*(bucket[1:] for _, bucket in known), strict=True)) or [()] * layout.size
        codes = np.concatenate(([code for code, _ in known], rows.codes[self.ends])).astype(np.int64)
        numbers = np.concatenate(([bucket[0] for _, bucket in known], numbers[self.ends])).astype(np.int64)
        self._order = np.argsort(codes, kind="stable")
        self._codes, self._numbers = codes[self._order], numbers[self._order]
        self._at = np.argsort(self._order, kind="stable")[len(known) :]  # where the rows' segments stand among all
        self._raws: list[Array] = [None] * layout.size

    def columns(
        self, aggregator: FieldAggregator, slots: Slots, values: _Values, wanted: Array | None = None
    ) -> Columns:
        """The columns of one aggregator, for every row or for those that are wanted."""
        raws = running(list(slots.at), values.values, values.valid, self.rows.times, self.of_row)
        buckets = {raw: self._with_known(slots.at[raw], column[self.ends]) for raw, column in raws.items()}
        found: Columns = {}
        own, of_row = (raws, self.of_row) if wanted is None else (taken(raws, wanted), self.of_row[wanted])
        for window, length in self.layout.spans.windows:
            base = over_last(buckets, self._at, self._at - self._start(length))
            whole = merged(taken(base, of_row), own)
            for operation in aggregator.aggr:
                name = f"{aggregator.name}_{operation}_{window}"
                found[name] = values_of(operation, whole, aggregator.max_value)
        return found

    def _with_known(self, slot: int, column: Array) -> Array:
        known = self._known[slot]
        self._raws[slot] = np.concatenate((np.array(known), column) if known else (column,))[self._order]
        return self._raws[slot]

    def _start(self, length: int) -> Array:
        """The first bucket of the window that ends with each of the rows' segments."""
        if not len(self._numbers):
            return self._at
        number = self._numbers - self._numbers.min()
        place = self._codes * (number.max() + length + 1) + number
        return np.searchsorted(place, place[self._at] - (length - 1), side="left")

    def remember(self, series: Mapping[int, list[Any]]) -> None:
        """Write the buckets back into the step's series."""
        is_last = np.diff(self._codes, append=-1) != 0
        newest = np.zeros(max(series, default=0) + 1, np.int64)
        newest[self._codes[is_last]] = self._numbers[is_last]
        kept = self._numbers > newest[self._codes] - self.layout.kept
        columns = [column[kept].tolist() for column in (self._codes, self._numbers, *self._raws)]
        for code, group in groupby(zip(*columns, strict=True), itemgetter(0)):
            self._write(series[code], [list(bucket[1:]) for bucket in group])

    def _write(self, series: list[Any], buckets: list[list[Any]]) -> None:
        closed: list[list[Any]] = []
        for bucket in buckets:
            if closed and closed[-1][0] == bucket[0]:  # the newest that was known went on in the frame
                closed[-1][1:] = self.layout.merged(closed[-1][1:], bucket[1:])
            else:
                closed.append(bucket)
        series[:] = self.layout.new()
        series[: self.layout.numbers] = closed.pop()
        for place, column in enumerate(zip(*closed, strict=True)):
            series[self.layout.numbers + place] = list(column)
        self._rebuild(series)


def keys_of(part: Part, frame: pd.DataFrame, own: Any) -> Sequence[Any]:
    """The key of every row."""
    if part is None:
        return [own] * len(frame)
    if callable(part):
        return [part(row) for row in frame.to_dict("records")]
    if isinstance(part, str):
        return frame[part].tolist()
    return list(zip(*(frame[field].tolist() for field in part), strict=True))


def times_of(part: Part, frame: pd.DataFrame, own: Any, form: str | None = None) -> Array:
    """The time of every row, in seconds."""
    if part is None:
        return np.full(len(frame), seconds_of(own))
    if isinstance(part, str):
        return _seconds(frame[part], part, form)
    read = reader(part)
    assert read is not None
    return np.array([seconds_of(read(row), None, form) for row in frame.to_dict("records")], float)


def _seconds(given: pd.Series[Any], field: str, form: str | None) -> Array:
    """A column's times; one whose kind tells that all are times, and that has all of them, is read as a whole."""
    kind = given.dtype.kind
    if given.isna().any() or kind not in "Miuf" or (kind == "f" and not np.isfinite(given).all()):
        return np.array([seconds_of(each, field, form) for each in given.tolist()], float)
    if kind != "M":
        return given.to_numpy(float)
    if isinstance(given.dtype, pd.DatetimeTZDtype):
        given = given.dt.tz_convert("UTC").dt.tz_localize(None)
    return given.to_numpy().astype("datetime64[us]").astype(np.int64) / 1e6


def _objects(keys: Sequence[Any]) -> Array:
    """An array of keys as they are, tuples too."""
    objects = np.empty(len(keys), object)
    objects[:] = keys
    return objects


class _Values:
    """What one aggregator sees of every row, and whether it counts."""

    def __init__(self, values: Array, valid: Array, is_numeric: bool) -> None:
        self.values, self.valid, self.is_numeric = values, valid, is_numeric

    @classmethod
    def of(cls, aggregator: FieldAggregator, frame: pd.DataFrame, order: Array) -> _Values:
        series = _field(aggregator, frame)
        valid = series.notna().to_numpy()
        is_wanted = aggregator.aggr_filter
        if callable(is_wanted):
            rows = frame.to_dict("records")
            valid = valid & np.array([ok and bool(is_wanted(row)) for ok, row in zip(valid, rows, strict=True)], bool)
        values = _numbers(series, set(aggregator.aggr))
        if values is None:
            return cls(series.to_numpy(object)[order], valid[order], False)
        return cls(values[order], valid[order], True)

    def part(self, chosen: Array) -> _Values:
        values = self.values[chosen] if self.is_numeric else np.zeros(0)  # what is no number goes one by one
        return _Values(values, self.valid[chosen], self.is_numeric)


def _numbers(series: pd.Series[Any], operations: set[str]) -> Array | None:
    """A column as integers or floats of 64 bits; None where these would not add up to what its values do."""
    kind = series.dtype.kind
    if kind not in "biuf" or not pd.api.types.is_numeric_dtype(series.dtype):
        return None
    floats = series.to_numpy(float, na_value=np.nan)
    largest = float(np.nanmax(np.abs(floats), initial=0.0))
    if kind == "f":
        return floats if largest < HUGE else None
    if kind == "b" and not operations <= OF_NUMBERS:
        return None
    if series.hasnans:
        return floats if largest * largest * len(floats) < LARGEST else None
    return series.to_numpy().astype(np.int64) if largest * largest * len(floats) < EXACT else None


def _field(aggregator: FieldAggregator, frame: pd.DataFrame) -> pd.Series[Any]:
    field = aggregator.field
    if field is None:
        return pd.Series(np.ones(len(frame), np.int64))
    if callable(field):
        return pd.Series([field(row) for row in frame.to_dict("records")])
    return frame[field] if field in frame else pd.Series(np.full(len(frame), np.nan))
