"""SqliteOnline: the online records in a SQLite file, which several processes may read and write."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nbgraph.features.catalogue import connect, transaction
from nbgraph.features.online.record import BEYOND, NOTHING, Advance, KeyMetadata, Row, Stored, Waiting
from nbgraph.streams.codec.values import freeze, thaw

_TABLES = """
CREATE TABLE IF NOT EXISTS online_about (name TEXT PRIMARY KEY, version INTEGER, sequence INTEGER, columns TEXT);
CREATE TABLE IF NOT EXISTS online (name TEXT, key TEXT, record BLOB, PRIMARY KEY (name, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS waiting (number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, batch TEXT, key TEXT,
    time INTEGER, row BLOB);
CREATE INDEX IF NOT EXISTS waiting_key ON waiting (name, key);
CREATE TABLE IF NOT EXISTS came (number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, id TEXT, UNIQUE (name, id));
"""
# Both in one statement: between two a row could pass from the one table to the other.
_READ = """SELECT record, NULL, NULL FROM online WHERE name = ? AND key = ?
UNION ALL SELECT row, number, time FROM waiting WHERE name = ? AND key = ?"""
_READ_MANY = """SELECT key, record, NULL, NULL FROM online WHERE name = ? AND key IN ({0})
UNION ALL SELECT key, row, number, time FROM waiting WHERE name = ? AND key IN ({0})"""
AT_ONCE = 500  # keys of one query
REMEMBERED = 1_000_000  # ids of events that are known again


class SqliteOnline:
    """Records in a file, or in memory: a reader sees a version whole while another is written."""

    def __init__(self, path: Path | str) -> None:
        self._path = path
        self._local = threading.local()
        self._own = connect(path) if str(path) == ":memory:" else None  # one for all threads: it is the data
        self._open()

    def _open(self) -> None:
        for statement in _TABLES.split(";"):
            self._connection.execute(statement)

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._own is not None:
            return self._own
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = self._local.connection = self._connected()
        return found

    def _connected(self) -> sqlite3.Connection:
        return connect(self._path)

    def about(self, name: str) -> KeyMetadata | None:
        row = self._connection.execute(
            "SELECT version, sequence, columns FROM online_about WHERE name = ?", [name]
        ).fetchone()
        return None if row is None else KeyMetadata(row[0], row[1], json.loads(row[2]))

    def read(self, name: str, keys: Sequence[str]) -> list[Stored]:
        if len(keys) == 1:
            return [_stored(self._connection.execute(_READ, (name, keys[0], name, keys[0])).fetchall())]
        found: dict[str, list[tuple[Any, ...]]] = {}
        for start in range(0, len(keys), AT_ONCE):
            part = keys[start : start + AT_ONCE]
            text = _READ_MANY.format(", ".join("?" * len(part)))
            for key, *rest in self._connection.execute(text, [name, *part, name, *part]):
                found.setdefault(key, []).append(tuple(rest))
        return [_stored(found[key]) if key in found else NOTHING for key in keys]

    def advance(self, name: str, was: KeyMetadata | None, step: Advance) -> bool:
        about = step.about
        with transaction(self._connection) as connection:
            if self.about(name) != was:
                return False
            if step.clear:
                connection.execute("DELETE FROM online WHERE name = ?", [name])
            connection.executemany(
                "INSERT OR REPLACE INTO online VALUES (?, ?, ?)", [(name, *each) for each in step.records.items()]
            )
            connection.executemany(
                "DELETE FROM waiting WHERE name = ? AND batch = ?", [(name, batch) for batch in step.arrived]
            )
            connection.execute(
                "INSERT OR REPLACE INTO online_about VALUES (?, ?, ?, ?)",
                [name, about.version, about.sequence, json.dumps(dict(about.columns))],
            )
        return True

    def wait(self, name: str, rows: Sequence[Waiting]) -> None:
        with transaction(self._connection) as connection:
            for each in rows:
                if not connection.execute(
                    "INSERT OR IGNORE INTO came (name, id) VALUES (?, ?)", [name, each.id]
                ).rowcount:
                    continue
                connection.execute(
                    "INSERT INTO waiting (name, key, time, row) VALUES (?, ?, ?, ?)",
                    [name, each.key, each.time, freeze(each.row)],
                )

    def gather(self, name: str, batch: str) -> None:
        with transaction(self._connection) as connection:
            connection.execute("UPDATE waiting SET batch = ? WHERE name = ? AND batch IS NULL", [batch, name])
            newest = "SELECT max(number) FROM came WHERE name = ?"
            connection.execute(f"DELETE FROM came WHERE name = ? AND number < ({newest}) - ?", [name, name, REMEMBERED])

    def batches(self, name: str) -> Mapping[str, Sequence[Row]]:
        found: dict[str, list[Row]] = {}
        for batch, row in self._connection.execute(
            "SELECT batch, row FROM waiting WHERE name = ? AND batch IS NOT NULL ORDER BY number", [name]
        ):
            found.setdefault(batch, []).append(thaw(row))
        return found

    def drop(self, name: str) -> None:
        with transaction(self._connection) as connection:
            connection.execute("DELETE FROM online WHERE name = ?", [name])
            connection.execute("DELETE FROM online_about WHERE name = ?", [name])
            connection.execute("DELETE FROM waiting WHERE name = ?", [name])
            connection.execute("DELETE FROM came WHERE name = ?", [name])

    def close(self) -> None:
        self._connection.close()


def _stored(rows: Sequence[tuple[Any, ...]]) -> Stored:
    """A record, whose number is None, and the rows that wait."""
    if len(rows) == 1 and rows[0][1] is None:
        return rows[0][0], ()
    record = next((row[0] for row in rows if row[1] is None), None)
    waiting = [(row[2], BEYOND + row[1], thaw(row[0])) for row in rows if row[1] is not None]
    return record, sorted(waiting, key=lambda line: line[1])
