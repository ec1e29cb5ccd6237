"""Store: the windows of every key in a table, for a restarted step and for QueryByKey."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.steps.tables.table import ABOUT, Table
from nbgraph.steps.windows.codegen import WindowCode
from nbgraph.steps.windows.series import Series, series_of
from nbgraph.steps.windows.spec import FieldAggregator, FixedWindows
from nbgraph.values import number_of

FIELD = ABOUT  # the field of a row that has its key's windows is named as the row that says what they are
_FLOAT = "$float"


def description_of(aggregators: Sequence[FieldAggregator], lateness: int | None, delay: float) -> dict[str, Any]:
    """What a reader of windows has to know, as plain data."""
    return {
        "aggregates": [
            {
                "name": each.name,
                "column": each.name,
                "operations": list(each.aggr),
                "windows": list(each.windows.windows),
                "period": None if isinstance(each.windows, FixedWindows) else f"{each.spans()[0].period}s",
                "max_value": number_of(each.max_value),
            }
            for each in aggregators
        ],
        "lateness": lateness,
        "delay": delay,
    }


class WindowStore:
    """Reads and writes series; beside them a row may have other fields, which stay."""

    def __init__(self, table: Table, layouts: Sequence[Series], code: WindowCode) -> None:
        self._table, self._layouts, self._code = table, layouts, code

    def describe(self, description: dict[str, Any]) -> None:
        """Say in the table what its windows are; what it has must not be something else."""
        known = self._table.get(FIELD)
        if known is not None and known != description:
            raise GraphError(
                "The table has windows of other aggregates, or of another lateness, than this AggregateByKey keeps: "
                f'{known!r}. Use another table, or delete its rows, "{FIELD}" too.'
            )
        self._table[FIELD] = description  # though it may be there: so that it stays, where it was written to expire

    def load(self, key: Any) -> list[list[Any]] | None:
        """The series of a key; None where it has none yet."""
        stored = (self._table.look(key) or {}).get(FIELD)
        if stored is None:
            return None
        return [self._loaded(*each) for each in zip(self._layouts, stored, self._code.rebuilders, strict=True)]

    def read(self, row: Mapping[str, Any]) -> Sequence[Sequence[Any]] | None:
        """The series in a row, to be looked at only; None where it has none yet."""
        stored: Sequence[Sequence[Any]] | None = row.get(FIELD)
        if stored is None or not any(map(_is_of_json, stored)):
            return stored
        return [_read(each) for each in stored]

    @staticmethod
    def _loaded(layout: Series, stored: Sequence[Any], rebuild: Any) -> list[Any]:
        series = layout.new()
        series[: len(stored)] = _read(stored)
        rebuild(series)
        return series

    def keep(self, key: Any, series: Sequence[list[Any]]) -> None:
        self._table.keep(key, self._with(key, series))

    def keep_all(self, series: Mapping[Any, Sequence[list[Any]]]) -> None:
        """Keep the series of many keys at once."""
        self._table.put({key: self._with(key, each) for key, each in series.items()})

    def _with(self, key: Any, series: Sequence[list[Any]]) -> dict[str, Any]:
        """The row of a key with its series."""
        row = self._table.look(key) or {}
        if not isinstance(row, Mapping):
            raise TypeError(f"The table's row of {key!r} is {row!r}; expected a dict, to which windows can be added.")
        stored = [each[: layout.base(0)] for layout, each in zip(self._layouts, series, strict=True)]
        return {**row, FIELD: stored}


def reader_of(table: Table) -> tuple[list[FieldAggregator], list[Series], WindowCode] | None:
    """The aggregates whose windows a table has; None where no AggregateByKey has written there yet."""
    known = table.get(FIELD)
    if known is None:
        return None
    # what a table holds is data, of which no code is made
    aggregators = [replace(FieldAggregator.of(each), aggr_filter=None) for each in known["aggregates"]]
    layouts = series_of(aggregators, known["lateness"], known["delay"])
    return aggregators, layouts, WindowCode(aggregators, layouts)


def _is_of_json(series: Sequence[Any]) -> bool:
    """Whether there are dicts in the place of numbers: of an earlier version."""
    kinds = set(map(type, series))
    return dict in kinds or (list in kinds and any(dict in map(type, each) for each in series if type(each) is list))


def _read(value: Any) -> Any:
    """A copy of what was kept; where that was JSON, as in earlier versions, infinity is a dict."""
    if isinstance(value, list):
        return [_read(each) for each in value]
    return float(value[_FLOAT]) if isinstance(value, dict) else value
