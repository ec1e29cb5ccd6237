"""Catalogue: the definitions of a store's sets and vectors, in a SQLite file beside their rows."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbgraph.errors import FeatureError, GraphError

FORMAT = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS about (format INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS definitions (
    kind TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (name, version)
);
CREATE TABLE IF NOT EXISTS statistics (name TEXT NOT NULL, version INTEGER NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (name, version));
"""


@dataclass(frozen=True)
class FeatureDefinition:
    """What a set or a vector was defined as: plain data."""

    kind: str  # "set" or "vector"
    name: str
    version: int
    document: Mapping[str, Any]


class Catalogue:
    """Reads and writes definitions; several processes may have one open."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._open()

    def _open(self) -> None:
        folder = self.path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with self.changing() as connection:
                self._prepare(connection)
        except (OSError, sqlite3.OperationalError) as error:
            raise FeatureError(f"There can be no feature store at {folder}: {error}.") from error

    def _prepare(self, connection: sqlite3.Connection) -> None:
        for statement in _TABLES.split(";"):
            connection.execute(statement)
        found = connection.execute("SELECT format FROM about").fetchone()
        if found is None:
            connection.execute("INSERT INTO about VALUES (?)", [FORMAT])
        else:
            check_format(found[0], self.path.parent)

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's connection."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = self._local.connection = self._connected()
        return found

    def _connected(self) -> sqlite3.Connection:
        return connect(self.path)

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that nobody else writes beside."""
        with transaction(self.connection) as connection:
            yield connection

    def add(self, definition: FeatureDefinition) -> bool:
        """Note a definition; False where the same is there. Another of that name and version is an error."""
        with self.changing() as connection:
            if is_known(definition, [one for one in self._all(connection) if one.name == definition.name]):
                return False
            connection.execute(
                "INSERT INTO definitions VALUES (?, ?, ?, ?)",
                [definition.kind, definition.name, definition.version, json.dumps(definition.document)],
            )
        return True

    def find(self, name: str, version: int | None = None) -> FeatureDefinition | None:
        """The definition of a name, of its newest version where none is told."""
        return self._found(self.connection, name, version)

    def all(self) -> list[FeatureDefinition]:
        """Every definition, by the time it was added."""
        return self._all(self.connection)

    @staticmethod
    def _all(connection: sqlite3.Connection) -> list[FeatureDefinition]:
        rows = connection.execute("SELECT kind, name, version, document FROM definitions ORDER BY rowid")
        return [FeatureDefinition(kind, name, version, json.loads(text)) for kind, name, version, text in rows]

    def remove(self, name: str, version: int) -> None:
        with self.changing() as connection:
            connection.execute("DELETE FROM definitions WHERE name = ? AND version = ?", [name, version])
            connection.execute("DELETE FROM statistics WHERE name = ?", [f"{name}@{version}"])

    def statistics(self, name: str, version: int) -> Any:
        """What is known of the values of a set's version; None where nobody has asked yet."""
        found = self.connection.execute(
            "SELECT document FROM statistics WHERE name = ? AND version = ?", [name, version]
        ).fetchone()
        return None if found is None else json.loads(found[0])

    def keep_statistics(self, name: str, version: int, document: Any) -> None:
        with self.changing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO statistics VALUES (?, ?, ?)", [name, version, json.dumps(document)]
            )

    @staticmethod
    def _found(connection: sqlite3.Connection, name: str, version: int | None) -> FeatureDefinition | None:
        row = connection.execute(
            "SELECT kind, name, version, document FROM definitions WHERE name = ? AND (? IS NULL OR version = ?) "
            "ORDER BY version DESC",
            [name, version, version],
        ).fetchone()
        return None if row is None else FeatureDefinition(row[0], row[1], row[2], json.loads(row[3]))


def connect(path: Path | str) -> sqlite3.Connection:
    """A connection that others may write beside: readers see the state before, whole, and writers wait."""
    connection = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All of it, or none; nobody else writes meanwhile."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def check_format(found: int, place: Any) -> None:
    """Refuse what a newer nbgraph wrote."""
    if found > FORMAT:
        raise FeatureError(
            f"The feature store at {place} was written in format {found}, and this nbgraph reads format {FORMAT}; "
            "install a newer nbgraph."
        )


def is_known(given: FeatureDefinition, known: Sequence[FeatureDefinition]) -> bool:
    """Whether a definition is among those of its name; another under its version, or of another kind, is an error."""
    for one in known:
        if one.version == given.version and (difference := _difference(one, given)) is not None:
            raise GraphError(
                f'The {one.kind} "{given.name}" of version {given.version} is in the store, and differs: {difference}. '
                f"Give the new one version={given.version + 1}, or another name."
            )
        if one.kind != given.kind:
            raise GraphError(f'"{given.name}" is a {one.kind} of this store; choose another name.')
    return any(one.version == given.version for one in known)


def _difference(known: FeatureDefinition, given: FeatureDefinition) -> str | None:
    """What differs first, in words."""
    if known.kind != given.kind:
        return f"it is a {known.kind}, not a {given.kind}"
    was, now = json.loads(json.dumps(known.document)), json.loads(json.dumps(given.document))
    for name in dict.fromkeys([*was, *now]):
        if was.get(name) != now.get(name):
            return f"{name} was {_short(was.get(name))} and is {_short(now.get(name))}"
    return None


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 300 else f"{text[:300]}…"
