"""SqliteOnline: the online records in a SQLite file, which several processes may read and write."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from nbgraph.features.catalogue import connect, transaction
from nbgraph.features.online.record import About

_TABLES = """
CREATE TABLE IF NOT EXISTS online_about (name TEXT PRIMARY KEY, version INTEGER, sequence INTEGER, columns TEXT);
CREATE TABLE IF NOT EXISTS online (name TEXT, key TEXT, record BLOB, PRIMARY KEY (name, key)) WITHOUT ROWID;
"""
_READ = "SELECT record FROM online WHERE name = ? AND key = ?"
AT_ONCE = 500  # keys of one query


class SqliteOnline:
    """Records in a file, or in memory: a reader sees a version whole while another is written."""

    def __init__(self, path: Path | str) -> None:
        self._path = path
        self._local = threading.local()
        self._own = connect(path) if str(path) == ":memory:" else None  # one for all threads: it is the data
        for statement in _TABLES.split(";"):
            self._connection.execute(statement)

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._own is not None:
            return self._own
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = self._local.connection = connect(self._path)
        return found

    def about(self, name: str) -> About | None:
        row = self._connection.execute(
            "SELECT version, sequence, columns FROM online_about WHERE name = ?", [name]
        ).fetchone()
        return None if row is None else About(row[0], row[1], json.loads(row[2]))

    def read(self, name: str, keys: Sequence[str]) -> list[bytes | None]:
        connection = self._connection
        if len(keys) == 1:
            row = connection.execute(_READ, (name, keys[0])).fetchone()
            return [None if row is None else row[0]]
        found: dict[str, bytes] = {}
        for start in range(0, len(keys), AT_ONCE):
            part = keys[start : start + AT_ONCE]
            marks = ", ".join("?" * len(part))
            found |= dict(
                connection.execute(f"SELECT key, record FROM online WHERE name = ? AND key IN ({marks})", [name, *part])
            )
        return [found.get(key) for key in keys]

    def advance(self, name: str, was: About | None, about: About, records: Mapping[str, bytes], clear: bool) -> bool:
        with transaction(self._connection) as connection:
            if self.about(name) != was:
                return False
            if clear:
                connection.execute("DELETE FROM online WHERE name = ?", [name])
            connection.executemany(
                "INSERT OR REPLACE INTO online VALUES (?, ?, ?)", [(name, *each) for each in records.items()]
            )
            connection.execute(
                "INSERT OR REPLACE INTO online_about VALUES (?, ?, ?, ?)",
                [name, about.version, about.sequence, json.dumps(dict(about.columns))],
            )
        return True

    def drop(self, name: str) -> None:
        with transaction(self._connection) as connection:
            connection.execute("DELETE FROM online WHERE name = ?", [name])
            connection.execute("DELETE FROM online_about WHERE name = ?", [name])

    def close(self) -> None:
        self._connection.close()
