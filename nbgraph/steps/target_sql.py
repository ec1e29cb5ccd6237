"""SQLTarget: rows into a table of a database."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from nbgraph.steps.context import StepContext
from nbgraph.steps.package import package
from nbgraph.steps.target import Row, RowTarget, union_of


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
    event that comes twice is there once. Each write is one transaction.
    """

    io = "databases"

    def __init__(
        self,
        db_path: str,
        table_name: str,
        columns: Sequence[str] | None = None,
        primary_key: str | Sequence[str] | None = None,
        max_events: int = 1,
        flush_after_seconds: float | None = None,
        *,
        context: StepContext | None = None,
    ) -> None:
        super().__init__(columns, max_events, flush_after_seconds, context=context)
        self._url, self._name = db_path, table_name
        self._keys = [primary_key] if isinstance(primary_key, str) else list(primary_key or ())
        self._engine: Any = None
        self._table: Any = None

    def write(self, items: list[Row]) -> None:
        sql = package("sqlalchemy", "SQLTarget")
        if self._engine is None:
            self._engine = sql.create_engine(self._url)
            weakref.finalize(self, self._engine.dispose)
        if self._table is None:
            self._table = (
                self._found(sql) if sql.inspect(self._engine).has_table(self._name) else self._made(sql, items)
            )
        names = union_of(items)
        rows = [{name: row.get(name) for name in names} for row in self._last_of_each(items)]
        with self._engine.begin() as connection:
            if self._keys:
                matches = [self._table.c[key] == sql.bindparam(f"old_{key}") for key in self._keys]
                old = [{f"old_{key}": row[key] for key in self._keys} for row in rows]
                connection.execute(self._table.delete().where(*matches), old)
            connection.execute(self._table.insert(), rows)

    def _last_of_each(self, items: list[Row]) -> list[Row]:
        """Of rows with the same key the last."""
        return [*{tuple(row[key] for key in self._keys): row for row in items}.values()] if self._keys else items

    def _found(self, sql: Any) -> Any:
        return sql.Table(self._name, sql.MetaData(), autoload_with=self._engine)

    def _made(self, sql: Any, items: list[Row]) -> Any:
        """A table with a column for each field, of the type that its first value has."""
        columns = []
        for name in union_of(items):
            value = next((row[name] for row in items if row.get(name) is not None), None)
            is_key = name in self._keys
            columns.append(sql.Column(name, _type(sql, value), primary_key=is_key, autoincrement=False))
        table = sql.Table(self._name, sql.MetaData(), *columns)
        table.create(self._engine, checkfirst=True)
        return table


def _type(sql: Any, value: Any) -> Any:
    kinds = (
        (bool, sql.Boolean), (int, sql.BigInteger), (float, sql.Float), (datetime, sql.DateTime), (date, sql.Date),
        (bytes, sql.LargeBinary), (dict | list, sql.JSON),
    )  # fmt: skip
    return next((found() for kind, found in kinds if isinstance(value, kind)), sql.Text())
