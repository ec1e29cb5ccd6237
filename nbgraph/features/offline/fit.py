"""Fit: what is ingested, made into the columns that a set has; what does not fit is named, by row and column."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from nbgraph.errors import FeatureError, SchemaError
from nbgraph.event import Event
from nbgraph.failure import Failure, RowOrigin
from nbgraph.features.definition import OWN_FIELDS
from nbgraph.features.offline.kind import Frame, UnfitValue, cast, column, kind_of, moment, type_of, wider
from nbgraph.introspection import shown
from nbgraph.steps.features.validate import Validate
from nbgraph.values import is_missing

if TYPE_CHECKING:
    from nbgraph.features.ingest import Produced
    from nbgraph.features.set import FeatureSet


@dataclass
class Fitted:
    """The rows as they are written, how the columns grew, and the rows that are left out."""

    frame: Frame
    changes: list[str]
    failures: list[Failure]


@dataclass
class Faults:
    """What is wrong, by row: the first fault of each."""

    by_row: dict[int, tuple[type[FeatureError], str]] = field(default_factory=dict)

    def add(self, row: int, error: type[FeatureError], text: str) -> None:
        self.by_row.setdefault(row, (error, text))


def fitted(set: FeatureSet, produced: Produced, on_error: str) -> Callable[[dict[str, str]], Fitted]:
    """A function that makes the rows fit the columns that a table has by then."""
    frame = produced.frame
    if frame is None:
        _check_bodies(set, produced)
        names = [*dict.fromkeys(name for body in produced.bodies for name in body)]
    else:
        names = frame.columns
    fitting = _Fitting(set, produced, [name for name in names if _is_wanted(set, name)])
    return lambda schema: fitting.into(schema, on_error)


def _check_bodies(set: FeatureSet, produced: Produced) -> None:
    for number, body in enumerate(produced.bodies):
        if not isinstance(body, Mapping) or not all(isinstance(name, str) for name in body):
            raise FeatureError(
                f'The set "{set.name}" stores dicts, and row {number} of what it was given is {shown(body):.80}; '
                "let the graph end in dicts with names of fields."
            )


def _is_wanted(set: FeatureSet, name: str) -> bool:
    """Whether a field is stored: all are, unless features are named and nothing else can ask for it."""
    if name in OWN_FIELDS:
        raise FeatureError(
            f'A row for the set "{set.name}" has the field "{name}", which a store uses itself; rename it.'
        )
    if set.features is None:
        return True
    fields = [each.field for each in set.aggregates]
    may_ask_for_any = any(callable(each.field) or each.aggr_filter is not None for each in set.aggregates)
    places = {*set.key, set.time, set.arrival, *set.features, *fields, *set.partition_by, *(set.rules or ())}
    return may_ask_for_any or name in places


class _Fitting:
    def __init__(self, set: FeatureSet, produced: Produced, names: Sequence[str]) -> None:
        self._set, self._produced, self._names = set, produced, names
        count = len(produced.bodies) if produced.frame is None else produced.frame.height
        self._count = count

    def into(self, schema: Mapping[str, str], on_error: str) -> Fitted:
        set, faults = self._set, Faults()
        told = {name: kind for name, kind in (set.features or {}).items() if kind is not None}
        columns: list[Frame] = []
        changes: list[str] = []
        for name in self._names:
            was = schema.get(name) or told.get(name)
            made = self._column(name, was, faults)
            if made is None:
                continue
            if schema and name not in schema:
                changes.append(f'new column "{name}" ({kind_of(made.dtype)}); rows before have none')
            columns.append(made)
        frame = pl.DataFrame(columns)
        for name, kind in schema.items():
            if name not in frame.columns:
                changes.append(f'column "{name}" is missing; filled with nulls')
                frame = frame.with_columns(pl.lit(None, type_of(kind)).alias(name))
        self._check_places(frame, faults)
        self._check_rules(frame, faults)
        failures = self._settle(faults, on_error)
        if faults.by_row:
            frame = frame.filter(~pl.int_range(pl.len()).is_in(sorted(faults.by_row)))
        return Fitted(frame, changes, failures)

    def _column(self, name: str, was: str | None, faults: Faults) -> Frame | None:
        """One field as a column of its kind; None where it has no value at all and no kind yet."""
        given = None if self._produced.frame is None else self._produced.frame[name]
        is_moment = name in (self._set.time, self._set.arrival)
        if given is not None:
            try:
                found = kind_of(given.dtype)
            except UnfitValue as error:
                raise self._misfit(name, was, str(error)) from None
            if found is None:
                return None if was is None else pl.Series(name, [None] * self._count, dtype=type_of(was))
            if not is_moment or found == "time":
                wanted = was or found
                if wider(wanted, found) == wanted:
                    return cast(given, wanted)
        values = given.to_list() if given is not None else [body.get(name) for body in self._produced.bodies]
        if is_moment:
            return _moments(name, values, faults)
        made, wrong = column(name, values, was)
        for row, text in wrong.items():
            faults.add(row, SchemaError, self._misfit_text(name, was or str(kind_of(made.dtype) or "none"), text))
        return None if made.dtype == pl.Null else made

    def _misfit(self, name: str, was: str | None, text: str) -> SchemaError:
        return SchemaError(self._misfit_text(name, was, text))

    def _misfit_text(self, name: str, was: str | None, text: str) -> str:
        is_first = was in (None, "none")
        held = "" if is_first else f" holds {was} and"
        others = f"name the features to keep: features=[...], without {name}" if is_first else f"make it {was}"
        return (
            f'The column "{name}" of the set "{self._set.name}"{held} {text}; {others}, or begin a new version of the '
            f"set: version={self._set.version + 1}."
        )

    def _check_places(self, frame: Frame, faults: Faults) -> None:
        """Every row has its key and its time."""
        for what, names in (("key", self._set.key), ("time", [self._set.time] if self._set.time else [])):
            for name in names:
                if name not in frame.columns:
                    if self._count:
                        has = ", ".join(frame.columns) or "nothing"
                        raise FeatureError(
                            f'The set "{self._set.name}" has {what} "{name}", and the rows have no such field; they '
                            f"have: {has}."
                        )
                    continue
                for row in frame[name].is_null().arg_true().to_list():
                    faults.add(row, FeatureError, f'The {what} "{name}" of the set "{self._set.name}" is missing')

    def _check_rules(self, frame: Frame, faults: Faults) -> None:
        if self._set.rules is None:
            return
        rules = Validate(self._set.rules, action="mark", mark="_problems")
        fields = [name for name in self._set.rules if name in frame.columns]
        bodies = frame.select(fields).iter_rows(named=True) if fields else ({} for _ in range(frame.height))
        for row, body in enumerate(bodies):
            if problems := rules.do(body)["_problems"]:
                faults.add(
                    row, FeatureError, f'A row breaks rules of the set "{self._set.name}": {"; ".join(problems)}'
                )

    def _settle(self, faults: Faults, on_error: str) -> list[Failure]:
        """Bad rows as failures; as an error, which tells how many there are, where that is wanted."""
        rows = sorted(faults.by_row)
        if not rows:
            return []
        if on_error == "raise":
            kind, text = faults.by_row[rows[0]]
            same = sum(1 for other in faults.by_row.values() if other == (kind, text))
            count = f"{same} of {self._count} rows, first in row {rows[0]}" if same > 1 else f"row {rows[0]}"
            raise kind(f'{text.rstrip(".")} ({count}). Nothing was written; on_error="skip" leaves such rows out.')
        return [
            Failure(
                event=Event(self._row(row)), step=self._set.name, error=faults.by_row[row][1], trace=[],
                time=time.time(), origin=RowOrigin(row),
            )
            for row in rows
        ]  # fmt: skip

    def _row(self, row: int) -> Any:
        frame = self._produced.frame
        return self._produced.bodies[row] if frame is None else frame.row(row, named=True)


def _moments(name: str, values: Sequence[Any], faults: Faults) -> Frame:
    found: list[Any] = []
    for row, value in enumerate(values):
        made = None
        if not is_missing(value):
            try:
                made = moment(value)
            except UnfitValue as error:
                faults.add(row, FeatureError, f'The time "{name}" {error}')
        found.append(made)
    return pl.Series(name, found, dtype=type_of("time"))
