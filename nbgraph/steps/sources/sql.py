"""SQLSource: the rows of a table or a query of a database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.steps.formats.sql import engine_of, place_of
from nbgraph.steps.optional import package
from nbgraph.steps.sources.base import Field, Fields, Piece, RowSource, listed

__all__ = ["SQLSource"]


class SQLSource(RowSource):
    """The rows of a table, or of a query, of any database that SQLAlchemy knows, each a dict.

    >>> list(SQLSource("sqlite://", query="SELECT 'UA' AS carrier, 4 AS delay WHERE 4 > :least", values={"least": 0}))
    [{'carrier': 'UA', 'delay': 4}]

    `values` are those of the query's `:names`; `db_path` is SQLAlchemy's URL of the database. The values of a table are
    of the types that its columns have; those of a query are what the database's driver gives. A table comes in the
    order of its primary key, where that is one column of whole numbers or texts: so it comes in ranges as well.

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
    packages = ("sqlalchemy",)

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
        return self._read(None)

    # --- in ranges of the primary key ---

    def pieces(self, rows: int) -> Iterator[Piece] | None:
        if type(self) is not SQLSource or self._table is None:
            return None
        sql = package("sqlalchemy", "SQLSource")
        with self._engine() as engine, engine.connect() as connection:
            key = _key_of(self._described(engine))
            # SQLite lets keys be missing, and such a row would be in no range
            is_whole = key is None or connection.execute(sql.select(key).where(key.is_(None)).limit(1)).first()
            return None if is_whole else self._pieces(rows)

    def _pieces(self, rows: int) -> Iterator[Piece]:
        """Each with the key that it begins behind, and the one that it ends with; None at both ends of the table."""
        sql = package("sqlalchemy", "SQLSource")
        with self._engine() as engine, engine.connect() as connection:
            table = self._described(engine)
            key = _key_of(table)
            number = connection.execute(sql.select(sql.func.count()).select_from(table)).scalar_one()
            counted = sql.select(key.label("key"), sql.func.row_number().over(order_by=key).label("at")).subquery()
            ends = sql.select(counted.c.key).where(counted.c.at % rows == 0).order_by(counted.c.at)
            bounds = [None, *connection.execute(ends).scalars()]
        for at, low in enumerate(bounds):
            held = min(rows, number - at * rows)
            if held > 0:
                yield Piece(at * rows, held, [low, bounds[at + 1] if held == rows and at + 1 < len(bounds) else None])

    def piece(self, piece: Piece) -> Iterator[tuple[Any, Any]]:
        return enumerate(self._read(piece), piece.first + 1)

    # --- asking the database ---

    def _read(self, piece: Piece | None) -> Iterator[dict[str, Any]]:
        with self._engine() as engine:
            statement = self._statement(engine, piece)
            with engine.connect() as connection:
                by_parts = connection.execution_options(yield_per=self._batch_size)
                with closing(by_parts.execute(statement, self._values or {})) as found:
                    self.expect(list(found.keys()), self._table or "the query")
                    for row in found.mappings():
                        yield dict(row)

    @contextmanager
    def _engine(self) -> Iterator[Any]:
        engine = engine_of(self._url, "SQLSource")
        try:
            yield engine
        finally:
            engine.dispose()

    def _statement(self, engine: Any, piece: Piece | None) -> Any:
        sql = package("sqlalchemy", "SQLSource")
        if self._query is not None:
            return sql.text(self._query)
        table = self._described(engine)
        key = _key_of(table)
        if key is None:
            return sql.select(table)
        low, high = piece.place if piece is not None else (None, None)
        found = sql.select(table).order_by(key)
        found = found if low is None else found.where(key > low)
        return found if high is None else found.where(key <= high)

    def _described(self, engine: Any) -> Any:
        """The table as the database describes it."""
        sql = package("sqlalchemy", "SQLSource")
        schema, name = place_of(engine, self._table or "", "SQLSource")
        inspector = sql.inspect(engine)
        if name not in (there := [*inspector.get_table_names(schema), *inspector.get_view_names(schema)]):
            raise GraphError(f'SQLSource finds no table "{self._table}" in the database, which has: {listed(there)}.')
        return sql.Table(name, sql.MetaData(), schema=schema, autoload_with=engine)


def _key_of(table: Any) -> Any:
    """The one column that is its primary key, where that has whole numbers or texts, which travel; None else."""
    sql = package("sqlalchemy", "SQLSource")
    keys = list(table.primary_key.columns)
    return keys[0] if len(keys) == 1 and isinstance(keys[0].type, sql.Integer | sql.String) else None
