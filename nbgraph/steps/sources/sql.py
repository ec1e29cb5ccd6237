"""SQLSource: the rows of a table or a query of a database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.steps.formats.sql import engine_of, place_of
from nbgraph.steps.optional import package
from nbgraph.steps.sources.base import Field, Fields, RowSource, listed

__all__ = ["SQLSource"]


class SQLSource(RowSource):
    """The rows of a table, or of a query, of any database that SQLAlchemy knows, each a dict.

    >>> list(SQLSource("sqlite://", query="SELECT 'UA' AS carrier, 4 AS delay WHERE 4 > :least", values={"least": 0}))
    [{'carrier': 'UA', 'delay': 4}]

    `values` are those of the query's `:names`; `db_path` is SQLAlchemy's URL of the database. The values of a table are
    of the types that its columns have; those of a query are what the database's driver gives.

    Parameters
    ----------
    db_path
        SQLAlchemy's URL of the database.
    table_name
        Table; not with a query.
    query
        SQL text with `:names`.
    values
        Values of the names.
    batch_size
        Rows or messages that are fetched at once.
    """

    io = "databases"

    def __init__(
        self,
        db_path: str,
        table_name: str | None = None,
        key_field: Fields = None,
        time_field: Field | None = None,
        id_field: Field | None = None,
        query: str | None = None,
        values: Any = None,
        batch_size: int = 1000,
        progress: bool = False,
        *,
        bad_rows: str = "error",
    ) -> None:
        super().__init__(key_field, time_field, None, id_field, progress, bad_rows)
        if (table_name is None) == (query is None):
            raise GraphError("SQLSource needs a table_name or a query, and not both.")
        self._url, self._table, self._query, self._values = db_path, table_name, query, values
        self._batch_size = batch_size

    def rows(self) -> Iterator[dict[str, Any]]:
        engine = engine_of(self._url, "SQLSource")
        try:
            statement = self._statement(engine)
            with engine.connect() as connection:
                by_parts = connection.execution_options(yield_per=self._batch_size)
                with closing(by_parts.execute(statement, self._values or {})) as found:
                    self.expect(list(found.keys()), self._table or "the query")
                    for row in found.mappings():
                        yield dict(row)
        finally:
            engine.dispose()

    def _statement(self, engine: Any) -> Any:
        sql = package("sqlalchemy", "SQLSource")
        if self._query is not None:
            return sql.text(self._query)
        schema, name = place_of(engine, self._table or "", "SQLSource")
        inspector = sql.inspect(engine)
        if name not in (there := [*inspector.get_table_names(schema), *inspector.get_view_names(schema)]):
            raise GraphError(f'SQLSource finds no table "{self._table}" in the database, which has: {listed(there)}.')
        return sql.select(sql.Table(name, sql.MetaData(), schema=schema, autoload_with=engine))
