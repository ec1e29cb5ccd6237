"""SqliteDriver: the rows of a table in a SQLite file."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from nbgraph.errors import GraphError


@dataclass(eq=False)
class SqliteDriver:
    """Rows in a SQLite file, as JSON by key; or, with `key`, the rows of a table that has that column.

    >>> from nbgraph.steps import Table
    >>> with Table(SqliteDriver(":memory:")) as table:
    ...     table["card-7"] = {"country": "PT"}
    ...     print(table["card-7"], list(table))
    {'country': 'PT'} ['card-7']
    """

    io: ClassVar[str] = "databases"

    path: str | Path
    table: str = "rows"
    key: str | None = None
    _connection: sqlite3.Connection | None = field(default=None, init=False, repr=False)
    _lock: Any = field(default_factory=threading.RLock, init=False, repr=False)

    def get(self, key: Any, default: Any = None) -> Any:
        with self._lock:
            cursor = self._open().execute(f"SELECT * FROM {self._table} WHERE {self._column} = ?", [self._stored(key)])
            found = cursor.fetchone()
        if found is None:
            return default
        if self.key is None:
            return msgspec.json.decode(found[1])
        names = [column[0] for column in cursor.description]
        return {name: value for name, value in zip(names, found, strict=True) if name != self.key}

    def put(self, rows: Mapping[Any, Any]) -> None:
        with self._lock, self._open() as connection:
            for key, row in rows.items():
                fields = {"row": msgspec.json.encode(row).decode()} if self.key is None else {**row}
                fields[self._name] = self._stored(key)
                connection.execute(f"DELETE FROM {self._table} WHERE {self._column} = ?", [fields[self._name]])
                columns = ", ".join(map(_quoted, fields))
                marks = ", ".join("?" * len(fields))
                connection.execute(f"INSERT INTO {self._table} ({columns}) VALUES ({marks})", [*fields.values()])

    def delete(self, key: Any) -> bool:
        with self._lock, self._open() as connection:
            text = f"DELETE FROM {self._table} WHERE {self._column} = ?"
            return connection.execute(text, [self._stored(key)]).rowcount > 0

    def keys(self) -> Iterator[Any]:
        with self._lock:
            found = self._open().execute(f"SELECT {self._column} FROM {self._table}").fetchall()
        return (self._read(key) for (key,) in found)

    def flush(self) -> None:
        """Every put is a transaction of its own; nothing waits."""

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _open(self) -> sqlite3.Connection:
        """The connection, made when it is first needed; steps may run on any thread, so a lock guards it."""
        if self._connection is None:
            connection = sqlite3.connect(self.path, check_same_thread=False)
            if self.key is None:
                connection.execute(f"CREATE TABLE IF NOT EXISTS {self._table} (key TEXT PRIMARY KEY, row TEXT)")
            elif not connection.execute(f"PRAGMA table_info({self._table})").fetchall():
                connection.close()
                raise GraphError(
                    f'{self.path} has no table "{self.table}"; make it first, or leave key out to keep rows as JSON.'
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

    def _stored(self, key: Any) -> Any:
        """JSON keeps 7 and "7" apart; a column of the user's own holds the key as it is."""
        return key if self.key is not None else key_text(key)

    def _read(self, stored: Any) -> Any:
        return stored if self.key is not None else key_from(stored)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def key_text(key: Any) -> str:
    """A key as text, so that keys that differ have texts that differ.

    >>> key_text(7), key_text("7"), key_text(("a", 1))
    ('7', '"7"', '["a",1]')
    """
    return msgspec.json.encode(key).decode()


def key_from(text: str | bytes) -> Any:
    """The key of a text.

    >>> key_from('["a",1]')
    ('a', 1)
    """
    key = msgspec.json.decode(text)
    return tuple(key) if isinstance(key, list) else key
