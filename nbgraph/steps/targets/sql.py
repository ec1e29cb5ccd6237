"""SQLTarget: rows into a table of a database."""

from __future__ import annotations

import weakref
from functools import partial
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.introspection import shown
from nbgraph.steps.arguments import Names, names_of
from nbgraph.steps.context import StepContext
from nbgraph.steps.formats.plain import plain_of
from nbgraph.steps.formats.sql import Fit, engine_of, fit_for, place_of, refusal, type_for
from nbgraph.steps.optional import package
from nbgraph.steps.sources.base import listed
from nbgraph.steps.targets.base import Row, RowTarget, union_of

__all__ = ["SQLTarget"]


class SQLTarget(RowTarget):
    """Write bodies, dicts, into a table of any database that SQLAlchemy knows; it is made when it is not there.

    >>> import tempfile
    >>> from nbgraph import Graph
    >>> from nbgraph.steps import SQLSource
    >>> shop = f"sqlite:///{tempfile.mkdtemp()}/shop.db"
    >>> graph = Graph("g")
    >>> _ = graph.to(SQLTarget(shop, "orders", primary_key="id"))
    >>> _ = list(graph.stream([{"id": 1, "amount": 5}, {"id": 2, "amount": 7}, {"id": 1, "amount": 6}]))
    >>> list(SQLSource(shop, query="SELECT * FROM orders ORDER BY id"))
    [{'id': 1, 'amount': 6}, {'id': 2, 'amount': 7}]

    With `primary_key` (a column, or a list of them) a row takes the place of the one with the same key, so that an
    event that comes twice is there once. Each write is one transaction. A table that is made has a column for each
    field of the first rows, of the type of its values; one that is there keeps its own. `SQLSource` gives them back
    as they were: a field without a column, and a value that its column can't hold, are refused. Times with a zone are
    kept in UTC.

    Parameters
    ----------
    db_path
        SQLAlchemy's URL of the database.
    table_name
        Table, made where it is missing.
    primary_key
        Column, or columns: a row takes the place of the one with the same key.
    max_events
        Rows of one transaction.
    """

    io = "databases"
    packages = ("sqlalchemy",)

    def __init__(
        self,
        db_path: str,
        table_name: str,
        columns: Names | None = None,
        primary_key: Names | None = None,
        max_events: int = 1,
        flush_after_seconds: float | None = None,
        *,
        time_field: str | None = None,
        context: StepContext | None = None,
    ) -> None:
        super().__init__(columns, max_events, flush_after_seconds, time_field=time_field, context=context)
        self._url, self._name = db_path, table_name
        self._keys = names_of(primary_key, "SQLTarget", "primary_key") if primary_key is not None else []
        self._engine: Any = None
        self._table: Any = None
        self._fits: dict[str, Fit] = {}
        self._untyped: set[str] = set()  # columns made by us of which no value has shown the type

    def write(self, items: list[Row]) -> None:
        rows = [{name: plain_of(value) for name, value in row.items()} for row in items]
        if self._engine is None:
            self._engine = engine_of(self._url, "SQLTarget")
            weakref.finalize(self, self._engine.dispose)
        names = union_of(rows)
        table = self._table_for(names, rows)
        fitted = self._last_of_each([self._fitted(names, row) for row in rows])
        with self._engine.begin() as connection:
            if self._keys:
                sql = package("sqlalchemy", "SQLTarget")
                matches = [table.c[key] == sql.bindparam(f"old_{key}") for key in self._keys]
                connection.execute(
                    table.delete().where(*matches), [{f"old_{key}": row[key] for key in self._keys} for row in fitted]
                )
            connection.execute(table.insert(), fitted)

    def _fitted(self, names: list[str], row: Row) -> Row:
        fits = self._fits
        return {name: None if (value := row.get(name)) is None else fits[name](value) for name in names}

    def _last_of_each(self, rows: list[Row]) -> list[Row]:
        """Of rows with the same key the last."""
        if not self._keys:
            return rows
        for row in rows:
            for key in self._keys:
                if row.get(key) is None:
                    raise GraphError(f'SQLTarget got a row without its primary key "{key}": {shown(row)}')
        return [*{tuple(row[key] for key in self._keys): row for row in rows}.values()]

    # --- the table ---

    def _table_for(self, names: list[str], rows: list[Row]) -> Any:
        """The table with a column for each name, of the types that it has or that the rows tell."""
        sql = package("sqlalchemy", "SQLTarget")
        if self._table is None:
            schema, name = place_of(self._engine, self._name, "SQLTarget")
            if not sql.inspect(self._engine).has_table(name, schema):
                self._make(schema, name, names, rows)
            self._look(schema, name)
        extra = next((name for name in names if name not in self._table.c), None)
        if extra is not None:
            raise GraphError(
                f'SQLTarget has no column "{extra}" in {self._name}, which has: {listed(self._table.c.keys())}; name '
                "those to write with columns=[...], or add it to the table."
            )
        for name in [name for name in names if name in self._untyped]:
            self._settle(name, [row.get(name) for row in rows])
        return self._table

    def _look(self, schema: str | None, name: str) -> None:
        """Learn the columns of the table that is there."""
        sql = package("sqlalchemy", "SQLTarget")
        self._table = sql.Table(name, sql.MetaData(), schema=schema, autoload_with=self._engine)
        dialect = self._engine.dialect.name
        self._fits = {
            column.name: fit_for(column, dialect, partial(refusal, "SQLTarget", self._name, column))
            for column in self._table.c
        }

    def _make(self, schema: str | None, name: str, names: list[str], rows: list[Row]) -> None:
        sql = package("sqlalchemy", "SQLTarget")
        found = {column: self._type(column, [row.get(column) for row in rows]) for column in names}
        self._untyped = {column for column, kind in found.items() if kind is None}
        columns = [
            sql.Column(column, kind or sql.Text(), primary_key=column in self._keys, autoincrement=False)
            for column, kind in found.items()
        ]
        sql.Table(name, sql.MetaData(), *columns, schema=schema).create(self._engine, checkfirst=True)

    def _type(self, column: str, values: list[Any]) -> Any:
        return type_for(values, self._engine.dialect.name, "SQLTarget", column)

    def _settle(self, column: str, values: list[Any]) -> None:
        """Give a column that held nothing the type of its first value; none of its rows has one to lose."""
        kind = self._type(column, values)
        if kind is None:
            return
        sql = package("sqlalchemy", "SQLTarget")
        quoted = self._engine.dialect.identifier_preparer
        table, name = quoted.format_table(self._table), quoted.quote(column)
        with self._engine.begin() as connection:
            connection.execute(sql.text(f"ALTER TABLE {table} DROP COLUMN {name}"))
            connection.execute(sql.text(f"ALTER TABLE {table} ADD COLUMN {name} {kind.compile(self._engine.dialect)}"))
        self._untyped.discard(column)
        self._look(self._table.schema, self._table.name)
