"""SqliteDriver: the rows of a table in a SQLite file."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from nbgraph.errors import GraphError
from nbgraph.steps.tables.codec import former_texts, key_from, key_text, row_bytes, row_from
from nbgraph.streams.codec.values import UnfitError
from nbgraph.types import Section
from nbgraph.values import is_missing, number_of

__all__ = ["SqliteDriver"]


@dataclass(eq=False)
class SqliteDriver:
    """Rows in a SQLite file by key; or, with `key`, the rows of a table of your own that has that column.

    >>> from nbgraph.steps import Table
    >>> with Table(SqliteDriver(":memory:")) as table:
    ...     table["card-7"] = {"country": "PT"}
    ...     print(table["card-7"], list(table))
    {'country': 'PT'} ['card-7']

    Rows are encoded as queues encode values, so they come back unchanged; rows written as JSON are read too.
    The columns of a table of your own hold numbers, texts, bytes and None (NaN is None there).

    Parameters
    ----------
    path
        File, or `":memory:"`.
    table
        Name of the table.
    key
        Column that is the key of a table of your own.
    """

    section: ClassVar[Section] = Section.TABLES
    io: ClassVar[str] = "databases"

    path: str | Path
    table: str = "rows"
    key: str | None = None
    _connection: sqlite3.Connection | None = field(default=None, init=False, repr=False)
    _lock: Any = field(default_factory=threading.RLock, init=False, repr=False)

    def get(self, key: Any, default: Any = None) -> Any:
        text = f"SELECT * FROM {self._table} WHERE {self._column} = ?"
        with self._lock:
            for stored in self._stored(key):
                cursor = self._open().execute(text, [stored])
                found = cursor.fetchone()
                if found is not None:
                    break
        if found is None:
            return default
        if self.key is None:
            return row_from(found[1])
        names = [column[0] for column in cursor.description]
        return {name: value for name, value in zip(names, found, strict=True) if name != self.key}

    def put(self, rows: Mapping[Any, Any]) -> None:
        written = [([*self._stored(key)], self._fields(key, row)) for key, row in rows.items()]
        with self._lock, self._open() as connection:
            if self.key is None and all(len(keys) == 1 for keys, _ in written):
                pairs = [(keys[0], fields["row"]) for keys, fields in written]
                connection.executemany(f"INSERT OR REPLACE INTO {self._table} VALUES (?, ?)", pairs)
                return
            for keys, fields in written:
                fields[self._name] = keys[0]
                connection.execute(f"DELETE FROM {self._table} WHERE {self._is_one_of(keys)}", keys)
                columns = ", ".join(map(_quoted, fields))
                marks = ", ".join("?" * len(fields))
                connection.execute(f"INSERT INTO {self._table} ({columns}) VALUES ({marks})", [*fields.values()])

    def delete(self, key: Any) -> bool:
        keys = [*self._stored(key)]
        with self._lock, self._open() as connection:
            return connection.execute(f"DELETE FROM {self._table} WHERE {self._is_one_of(keys)}", keys).rowcount > 0

    def keys(self) -> Iterator[Any]:
        with self._lock:
            found = self._open().execute(f"SELECT {self._column} FROM {self._table}").fetchall()
        return iter(dict.fromkeys(self._read(key) for (key,) in found))

    def flush(self) -> None:
        """Nothing to do: every put is a transaction."""

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _open(self) -> sqlite3.Connection:
        """The connection, created lazily; steps may run on any thread, so a lock guards it."""
        if self._connection is None:
            connection = sqlite3.connect(self.path, timeout=60, check_same_thread=False)
            if self.key is None:
                connection.execute(f"CREATE TABLE IF NOT EXISTS {self._table} (key TEXT PRIMARY KEY, row BLOB)")
            elif not connection.execute(f"PRAGMA table_info({self._table})").fetchall():
                connection.close()
                raise GraphError(
                    f'{self.path} has no table "{self.table}"; create it, or leave key out to store rows of any form.'
                )
            self._connection = connection
        return self._connection

    @property
    def _name(self) -> str:
        return self.key or "key"

    @property
    def _column(self) -> str:
        return _quoted(self._name)

    @property
    def _table(self) -> str:
        return _quoted(self.table)

    def _stored(self, key: Any) -> Iterator[Any]:
        """The forms of a stored key, the written one first; a column of the user's table holds it unchanged."""
        if self.key is not None:
            yield self._value(key, self.key, key)
        else:
            yield key_text(key)
            yield from former_texts(key)

    def _is_one_of(self, keys: Sequence[Any]) -> str:
        return f"{self._column} IN ({', '.join('?' * len(keys))})"

    def _fields(self, key: Any, row: Any) -> dict[str, Any]:
        if self.key is None:
            return {"row": row_bytes(row, key, self)}
        return {name: self._value(value, name, key) for name, value in row.items()}

    def _value(self, value: Any, name: str, key: Any) -> Any:
        """A value that SQLite stores unchanged; others are refused."""
        if is_missing(value):
            return None
        found = number_of(value)
        if not isinstance(found, int | float | str | bytes):
            raise UnfitError(
                f'{self.path}, table "{self.table}": the row of {key!r} has {found!r:.80}, of {type(found).__name__}, '
                f'at "{name}"; a column holds numbers, texts, bytes or None. Make it one of these, or leave key out.'
            )
        return found

    def _read(self, stored: Any) -> Any:
        return stored if self.key is not None else key_from(stored)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
