"""QueryByKey: read the windows that an AggregateByKey keeps in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nbgraph.errors import GraphError, NbgraphError
from nbgraph.event import Event
from nbgraph.handler import Counterpart, Handler
from nbgraph.steps.arguments import Names, names_of
from nbgraph.steps.dataframe import is_frame, is_polars, of_rows, rows_of
from nbgraph.steps.tables.table import own, table_of
from nbgraph.steps.windows.codegen import Part, WindowCode, field_name, missing_field, reader
from nbgraph.steps.windows.series import Series
from nbgraph.steps.windows.spec import is_column
from nbgraph.steps.windows.store import FIELD, WindowStore, reader_of
from nbgraph.types import Section, Shape
from nbgraph.values import seconds_of

__all__ = ["QueryByKey"]

FIXED = ("current", "last_closed")


class QueryByKey(Handler):
    """Add to a body what a table has of its key: windowed values as they are at the event's time, and other fields.

    >>> from nbgraph import Graph
    >>> from nbgraph.steps import AggregateByKey, FieldAggregator, QueryByKey, SlidingWindows, Table
    >>> cards = Table({"card-7": {"country": "PT"}})
    >>> paid = FieldAggregator("paid", "amount", ["sum"], SlidingWindows(["1h"], "10m"))
    >>> spending = Graph("spending")
    >>> _ = spending.to(AggregateByKey([paid], key="card", time_field="time", table=cards))
    >>> _ = spending.run({"card": "card-7", "time": "2026-01-01T10:00", "amount": 5})
    >>> asking = Graph("asking")
    >>> _ = asking.to(QueryByKey(["paid_sum_1h", "country"], cards, key="card", time_field="time"))
    >>> asking.run({"card": "card-7", "time": "2026-01-01T10:30"})
    {'card': 'card-7', 'time': '2026-01-01T10:30', 'paid_sum_1h': 5, 'country': 'PT'}
    >>> asking.run({"card": "card-7", "time": "2026-01-01T11:30"})["paid_sum_1h"]
    0

    A key that the table does not have gets the values of empty windows, and none of the other fields. Windowed values
    of a table that no AggregateByKey has written to are an error. `aliases` gives
    features other names. Of fixed windows it is the one that is open at the event's time; with
    `fixed_window_type="last_closed"` the one before. Key and time are read as in AggregateByKey.

    Parameters
    ----------
    features
        Columns of windows, and fields of the row.
    table
        A Table, a dict, or a driver.
    key
        Field, list of fields, or function of the body; None: the event's key.
    time_field
        Field, or function of the body; None: the event's time.
    aliases
        Other names for added fields, by their own.
    fixed_window_type
        `"current"`, or `"last_closed"` for the one before.
    """

    section = Section.WINDOWS
    counterpart = Counterpart(
        "QueryByKey",
        renamed={"key_field": "key"},
        keys=("key_field", "time_field"),
        numbered={"fixed_window_type": {1: "current", 2: "last_closed"}},
        note="keys have types: 9 is not '9'",
    )
    shape = Shape.EVENT

    def __init__(
        self,
        features: Names,
        table: Any,
        key: Part = None,
        time_field: Part = None,
        aliases: Mapping[str, str] | None = None,
        fixed_window_type: str = "current",
    ) -> None:
        if not (names := names_of(features, "QueryByKey", "features")):
            raise GraphError(f'QueryByKey got features={features!r}; expected a list, such as ["paid_sum_1h"].')
        if fixed_window_type not in FIXED:
            raise GraphError(f"QueryByKey got fixed_window_type={fixed_window_type!r}; expected {' or '.join(FIXED)}.")
        self._features, self._aliases = names, dict(aliases or {})
        self._table = table_of(table)
        self._read_key, self._read_time, self._time_name = reader(key), reader(time_field), field_name(time_field)
        self._is_closed = fixed_window_type == "last_closed"
        self._known: tuple[WindowStore, Sequence[Series], WindowCode] | None = None

    def do(self, event: Event) -> None:
        if is_frame(event.body):
            rows = [self._with_features(row, event) for row in rows_of(event.body)]
            event.body = of_rows(rows, event.body, index=None if is_polars(event.body) else event.body.index)
        else:
            event.body = self._with_features(event.body, event)

    def _with_features(self, body: Any, event: Event) -> dict[str, Any]:
        try:
            key = event.key if self._read_key is None else self._read_key(body)
            time = event.time if self._read_time is None else self._read_time(body)
        except (KeyError, TypeError) as error:
            raise missing_field("QueryByKey", error, body) from error
        seconds = seconds_of(time, self._time_name)
        row = self._table.look(key) or {}
        found = {**row, **self._columns(row, seconds)}
        if self._known is None:
            self._raise_if_windowed(key, row)
        wanted = {self._aliases.get(name, name): own(found[name]) for name in self._features if name in found}
        return {**body, **wanted}

    def _columns(self, row: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """The windowed values in a key's row; none as long as nothing has been aggregated into the table."""
        if self._known is None:
            self._known = self._find()
        if self._known is None:
            return {}
        store, layouts, code = self._known
        series: Any = store.read(row) or [layout.new() for layout in layouts]
        return code.columns_at(series, seconds, last_closed=self._is_closed)

    def _raise_if_windowed(self, key: Any, row: Any) -> None:
        """Windowed values must not be left out in silence because nobody said what windows the table has."""
        for name in self._features:
            if name not in row and (FIELD in row or is_column(name)):
                raise NbgraphError(
                    f'QueryByKey looks for "{name}" of {key!r}, and the table has no row "{FIELD}", which says what '
                    "windows it keeps. Run the graph whose AggregateByKey keeps them in this table first."
                )

    def _find(self) -> tuple[WindowStore, Sequence[Series], WindowCode] | None:
        known = reader_of(self._table)
        if known is None:
            return None
        aggregators, layouts, code = known
        self._raise_unless_known([column for each in aggregators for column in each.columns()])
        return WindowStore(self._table, layouts, code), layouts, code

    def _raise_unless_known(self, columns: Sequence[str]) -> None:
        """A feature that looks like a windowed value must be one."""
        words = {column.rsplit("_", 2)[0] for column in columns}
        for name in self._features:
            if name not in columns and name.count("_") >= 2 and name.rsplit("_", 2)[0] in words:
                raise GraphError(f'The table "{FIELD}" has no "{name}"; it has: {", ".join(columns)}.')
