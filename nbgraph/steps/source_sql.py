"""SQLSource: the rows of a table or a query of a database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.steps.package import package
from nbgraph.steps.source import Fields, Row, RowSource


class SQLSource(RowSource):
    """The rows of a table, or of a query, of any database that SQLAlchemy knows, each a dict.

    >>> list(SQLSource("sqlite://", query="SELECT 'UA' AS carrier, 4 AS delay WHERE 4 > :least", values={"least": 0}))
    [{'carrier': 'UA', 'delay': 4}]

    `values` are those of the query's `:names`; `db_path` is SQLAlchemy's URL of the database.
    """

    io = "databases"

    def __init__(
        self,
        db_path: str,
        table_name: str | None = None,
        key_field: Fields = None,
        time_field: str | None = None,
        id_field: str | None = None,
        query: str | None = None,
        values: Any = None,
        batch_size: int = 1000,
        progress: bool = False,
    ) -> None:
        super().__init__(key_field, time_field, None, id_field, progress)
        if (table_name is None) == (query is None):
            raise GraphError("SQLSource needs a table_name or a query, and not both.")
        self._url, self._table, self._query, self._values = db_path, table_name, query, values
        self._batch_size = batch_size

    def rows(self) -> Iterator[Row]:
        sql = package("sqlalchemy", "SQLSource")
        engine = sql.create_engine(self._url)
        try:
            with engine.connect() as connection:
                found = connection.execution_options(yield_per=self._batch_size).execute(
                    self._statement(sql), self._values or {}
                )
                for row in found.mappings():
                    yield dict(row)
        finally:
            engine.dispose()

    def _statement(self, sql: Any) -> Any:
        if self._query is not None:
            return sql.text(self._query)
        schema, _, name = (self._table or "").rpartition(".")
        return sql.select(sql.text("*")).select_from(sql.table(name, schema=schema or None))
