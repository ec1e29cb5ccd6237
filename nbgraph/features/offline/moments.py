"""Moments: the rows that features are asked for: their keys and moments, and the answer beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from nbgraph.errors import FeatureError
from nbgraph.features.offline.kind import Frame, UnfitValue, cast, column, kind_of, moment, type_of
from nbgraph.steps.dataframe import is_frame, is_polars

PLACE, MOMENT = "_row", "_moment"


class Moments:
    """Rows as they were given: fields as columns, and what was worked out put beside them again."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows
        self._is_one = isinstance(rows, Mapping)
        is_table = is_frame(rows) or hasattr(rows, "column_names")
        if not is_table and not self._is_one and not _is_dicts(rows):
            raise FeatureError(
                f"Features were asked for {type(rows).__name__}; expected a DataFrame, an Arrow table, a dict or a "
                "list of dicts, with the keys and the moment of each row."
            )
        self._bodies: Sequence[Mapping[str, Any]] = [rows] if self._is_one else () if is_table else rows

    def __len__(self) -> int:
        return self.rows.num_rows if hasattr(self.rows, "num_rows") else 1 if self._is_one else len(self.rows)

    @property
    def fields(self) -> list[str]:
        if is_frame(self.rows):
            return list(self.rows.columns)
        if hasattr(self.rows, "column_names"):
            return list(self.rows.column_names)
        return list(dict.fromkeys(name for body in self._bodies for name in body))

    def column(self, name: str) -> Frame:
        """A field of all rows as a column of polars; null where it is missing."""
        if is_polars(self.rows):
            return self.rows[name]
        if is_frame(self.rows):
            given = self.rows[name]
            if given.dtype.kind in "iufMb":
                return pl.Series(name, given.to_numpy()) if given.dtype.kind != "M" else _times(name, given)
            return self._of_values(name, given.tolist())
        if hasattr(self.rows, "column_names"):
            made: Any = pl.from_arrow(self.rows.column(name))
            return made.alias(name)
        return self._of_values(name, [body.get(name) for body in self._bodies])

    @staticmethod
    def _of_values(name: str, values: Sequence[Any]) -> Frame:
        made, wrong = column(name, values)
        if wrong:
            row = min(wrong)
            raise FeatureError(f'The key "{name}" {wrong[row]}, in row {row}; expected keys of one kind.')
        return made

    def moments(self, time: Any) -> Frame:
        """The moment of each row, in microseconds: of a field, or the same for all."""
        name = "time" if time is None else time
        is_field = isinstance(name, str) and name in self.fields
        if not is_field and time is not None and not (isinstance(time, str) and not _is_moment(time)):
            one = _microseconds(moment(time))
            return pl.Series(MOMENT, [one] * len(self), dtype=pl.Int64)
        if not is_field:
            has = ", ".join(map(str, self.fields)) or "nothing"
            raise FeatureError(
                f'The moment of a row is its "{name}", and the rows have no such field; they have: {has}. Name the '
                "field, or give the moment of all: time=..."
            )
        found = self._moment_column(name)
        if (missing := found.null_count()) > 0:
            first = found.is_null().arg_true()[0]
            raise FeatureError(
                f"{name} is missing in {missing} of {len(self)} rows, first at index {self._label(first)}"
            )
        return found.alias(MOMENT)

    def _moment_column(self, name: str) -> Frame:
        given = self._raw(name)
        if given is not None and given.dtype == pl.Datetime:
            return cast(given, "time").dt.epoch("us")
        values = given.to_list() if given is not None else self._values(name)
        made = []
        for row, value in enumerate(values):
            try:
                made.append(None if _is_none(value) else _microseconds(moment(value)))
            except UnfitValue as error:
                raise FeatureError(f'"{name}" {error} (at index {self._label(row)})') from None
        return pl.Series(name, made, dtype=pl.Int64)

    def _raw(self, name: str) -> Frame | None:
        """A column that has one type already."""
        if is_polars(self.rows) or hasattr(self.rows, "column_names"):
            return self.column(name)
        if is_frame(self.rows) and self.rows[name].dtype.kind == "M":
            return self.column(name)
        return None

    def _values(self, name: str) -> list[Any]:
        return self.rows[name].tolist() if is_frame(self.rows) else [body.get(name) for body in self._bodies]

    def _label(self, row: int) -> Any:
        """How its owner calls a row."""
        return self.rows.index[row] if is_frame(self.rows) and not is_polars(self.rows) else row

    def bodies(self) -> list[dict[str, Any]]:
        """The rows as dicts."""
        if is_frame(self.rows):
            return self.rows.to_dicts() if is_polars(self.rows) else self.rows.to_dict("records")  # type: ignore[no-any-return]
        if hasattr(self.rows, "to_pylist"):
            return self.rows.to_pylist()  # type: ignore[no-any-return]
        return [dict(body) for body in self._bodies]

    def beside(self, found: Frame) -> Any:
        """The rows as they were given, with columns behind theirs."""
        if is_polars(self.rows):
            return self.rows.with_columns(found.get_columns())
        if is_frame(self.rows):
            import pandas as pd

            added = {name: pd.Series(found[name].to_pandas().array, self.rows.index) for name in found.columns}
            return (
                pd.concat([self.rows, pd.DataFrame(added, index=self.rows.index)], axis=1)
                if added
                else self.rows.copy()
            )
        if hasattr(self.rows, "append_column"):
            whole = self.rows
            for name in found.columns:
                whole = whole.append_column(name, found[name].to_arrow())
            return whole
        made = [{**body, **row} for body, row in zip(self._bodies, found.iter_rows(named=True), strict=True)]
        return made[0] if self._is_one else made


def _times(name: str, given: Any) -> Frame:
    """A column of times of pandas, of any unit and zone."""
    made: Any = pl.from_pandas(given.reset_index(drop=True))
    return made.alias(name)


def _is_dicts(rows: Any) -> bool:
    is_list = isinstance(rows, Sequence) and not isinstance(rows, str)
    return is_list and all(isinstance(row, Mapping) for row in rows)


def keys_as(given: Frame, name: str, kind: str, set: str) -> Frame:
    """A column of keys in the kind that a set's keys have; another kind is an error, and would match nothing."""
    found = kind_of(given.dtype)
    if found is None:
        return pl.Series(name, [None] * len(given), dtype=type_of(kind))
    if found == kind:
        return cast(given, kind).alias(name)
    if {found, kind} == {"int", "float"}:  # numbers with gaps are floats in pandas; what is no whole number is no key
        whole = given.fill_nan(None) if given.dtype.is_float() else given
        same = whole.cast(type_of(kind), strict=False)
        return same.set(~(same == whole).fill_null(value=True), None).alias(name)
    raise FeatureError(f'key "{name}": rows have {found}, the set "{set}" has {kind}')


def _microseconds(value: datetime) -> int:
    from datetime import UTC, timedelta

    return (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _is_moment(text: str) -> bool:
    try:
        moment(text)
    except UnfitValue:
        return False
    return True


def _is_none(value: Any) -> bool:
    from nbgraph.values import is_missing

    return is_missing(value)
