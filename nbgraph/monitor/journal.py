"""Journal: the windows of a graph: minutes for a day, hours for a month, days for ever; in memory or a file of SQLite.

A window that comes again, since another worker tells of it or it was counted in two parts, is added to the one that is
there.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from nbgraph.monitor.counting.tally import EdgeCounts
from nbgraph.monitor.statistics.counts import FieldCounts

MINUTES, HOURS, DAYS = 0, 1, 2
LEVELS = ((MINUTES, 86_400.0, 3_600.0), (HOURS, 30 * 86_400.0, 86_400.0))  # level, how long, length of the next level
PATIENCE = 10.0  # seconds that one process waits for another to have written
SCHEMA = """
CREATE TABLE IF NOT EXISTS series (id INTEGER PRIMARY KEY, edge TEXT, field TEXT, UNIQUE (edge, field));
CREATE TABLE IF NOT EXISTS windows (series INTEGER, level INTEGER, start REAL, end REAL, counts BLOB,
    PRIMARY KEY (series, level, start)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, content BLOB) WITHOUT ROWID;
"""


class _EdgeRow(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """What a window has of the edge itself, which stands under an empty field."""

    events: int = 0
    passed: int = 0
    new: dict[str, int] = {}
    dropped: int = 0


class Journal:
    """Windows by edge, field and time.

    >>> journal = Journal()
    >>> journal.add([EdgeCounts("a -> b", 0.0, 60.0, 3, 3, {"x": FieldCounts(3)})])
    >>> [(window.start, window.events, window.fields["x"].count) for window in journal.windows()]
    [(0.0, 3, 3)]

    Parameters
    ----------
    path
        File that it is kept in; None: in memory.
    keep
        Seconds after which windows are dropped.
    """

    def __init__(self, path: Path | None = None, keep: float = 30 * 86_400.0) -> None:
        self._keep = keep
        self._lock = threading.RLock()
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = sqlite3.connect(
            path or ":memory:", check_same_thread=False, isolation_level=None, timeout=PATIENCE
        )
        self._file.execute("PRAGMA journal_mode=WAL")
        self._file.execute("PRAGMA synchronous=NORMAL")
        self._file.executescript(SCHEMA)
        self._series: dict[tuple[str, str], int] = {}

    def add(self, windows: Iterable[EdgeCounts], level: int = MINUTES) -> None:
        """Keep windows."""
        with self._lock, self._file:
            self._file.execute("BEGIN IMMEDIATE")
            for window in windows:
                self._put(window, level)
            self._file.execute("COMMIT")

    def windows(
        self, since: float = 0.0, until: float = float("inf"), *, edge: str | None = None, field: str | None = None
    ) -> list[EdgeCounts]:
        """The windows that end after `since` and begin before `until`, in their order; days and hours for old ones."""
        found: dict[tuple[float, str], EdgeCounts] = {}
        for name, of, start, end, content in self._rows(since, until, edge, field):
            known = found.get((start, name)) or EdgeCounts(name, start, end)
            if of:
                fields = {**known.fields, of: _FIELD.decode(content)}
                found[start, name] = msgspec.structs.replace(known, fields=fields)
            else:
                row = _EDGE.decode(content)
                found[start, name] = msgspec.structs.replace(
                    known, events=row.events, passed=row.passed, new=row.new, dropped=row.dropped
                )
        return [found[key] for key in sorted(found, key=lambda key: key[0])]

    def roll_up(self, now: float) -> None:
        """Minutes that are a day old become hours, hours that are a month old days; what is too old goes."""
        with self._lock:
            for level, age, length in LEVELS:
                self._merge(level, now - age, length)
            self.forget(now - self._keep)

    def forget(self, until: float) -> None:
        """Let go the windows that have ended by then."""
        with self._lock:
            self._file.execute("DELETE FROM windows WHERE end <= ?", (until,))

    def note(self, name: str, content: bytes | None = None) -> bytes | None:
        """Keep something beside the windows under a name; what is there."""
        with self._lock:
            if content is not None:
                self._file.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, content))
                return content
            found = self._file.execute("SELECT content FROM notes WHERE name = ?", (name,)).fetchone()
        return found and bytes(found[0])

    def change(self, name: str, change: Callable[[bytes | None], bytes | None]) -> bytes | None:
        """Change what is kept under a name, and let no other process do so meanwhile; None: as it is."""
        with self._lock:
            self._file.execute("BEGIN IMMEDIATE")
            try:
                found = self._file.execute("SELECT content FROM notes WHERE name = ?", (name,)).fetchone()
                before = found and bytes(found[0])
                after = change(before)
                if after is not None:
                    self._file.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, after))
            finally:
                self._file.execute("COMMIT")
        return before if after is None else after

    def close(self) -> None:
        with self._lock:
            self._file.close()

    def _merge(self, level: int, before: float, length: float) -> None:
        old = self._file.execute(
            "SELECT series, start, counts FROM windows WHERE level = ? AND end < ?", (level, before - before % length)
        ).fetchall()
        if not old:
            return
        self._file.execute("BEGIN IMMEDIATE")
        for series, start, content in old:
            begin = start - start % length
            self._add_row(series, level + 1, begin, begin + length, content)
            self._file.execute(
                "DELETE FROM windows WHERE series = ? AND level = ? AND start = ?", (series, level, start)
            )
        self._file.execute("COMMIT")

    def _put(self, window: EdgeCounts, level: int) -> None:
        row = _EdgeRow(window.events, window.passed, window.new, window.dropped)
        contents = {"": msgspec.msgpack.encode(row)}
        contents |= {name: msgspec.msgpack.encode(counts) for name, counts in window.fields.items()}
        for name, content in contents.items():
            self._add_row(self._id(window.edge, name), level, window.start, window.end, content, is_edge=not name)

    def _add_row(
        self, series: int, level: int, start: float, end: float, content: bytes, *, is_edge: bool | None = None
    ) -> None:
        key = (series, level, start)
        there = self._file.execute(
            "SELECT counts FROM windows WHERE series = ? AND level = ? AND start = ?", key
        ).fetchone()
        if there is not None:
            if is_edge is None:
                field = self._file.execute("SELECT field FROM series WHERE id = ?", (series,)).fetchone()[0]
                is_edge = not field
            content = _joined(there[0], content, is_edge=is_edge)
        self._file.execute("INSERT OR REPLACE INTO windows VALUES (?, ?, ?, ?, ?)", (*key, end, content))

    def _id(self, edge: str, field: str) -> int:
        found = self._series.get((edge, field))
        if found is None:
            self._file.execute("INSERT OR IGNORE INTO series (edge, field) VALUES (?, ?)", (edge, field))
            row = self._file.execute("SELECT id FROM series WHERE edge = ? AND field = ?", (edge, field)).fetchone()
            found = self._series[edge, field] = int(row[0])
        return found

    def _rows(
        self, since: float, until: float, edge: str | None, field: str | None
    ) -> Iterator[tuple[str, str, float, float, bytes]]:
        text = (
            "SELECT edge, field, start, end, counts FROM windows JOIN series ON series = id "
            "WHERE end >= ? AND start < ? AND (? IS NULL OR edge = ?) AND (? IS NULL OR field = ? OR field = '') "
            "ORDER BY start"
        )
        with self._lock:
            yield from self._file.execute(text, (since, until, edge, edge, field, field)).fetchall()


_FIELD, _EDGE = msgspec.msgpack.Decoder(FieldCounts), msgspec.msgpack.Decoder(_EdgeRow)


def _joined(first: bytes, second: bytes, *, is_edge: bool) -> bytes:
    if not is_edge:
        return msgspec.msgpack.encode(_FIELD.decode(first) + _FIELD.decode(second))
    one, other = _EDGE.decode(first), _EDGE.decode(second)
    new = {name: one.new.get(name, 0) + other.new.get(name, 0) for name in sorted({*one.new, *other.new})}
    return msgspec.msgpack.encode(
        _EdgeRow(one.events + other.events, one.passed + other.passed, new, one.dropped + other.dropped)
    )
