"""Snapshot: the online rows that vectors read, in one file that only is read, for whoever serves far from the store."""

from __future__ import annotations

import hashlib
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from nbgraph.errors import FeatureError
from nbgraph.features.catalogue import Catalogue
from nbgraph.features.online.sqlite import SqliteOnline
from nbgraph.features.place import StorePlace
from nbgraph.features.reference import set_of

if TYPE_CHECKING:
    from nbgraph.features.vector import FeatureVector

_offered: list[Path] = []  # the folder of snapshots of this process's project, if it has one


def file_of(place: StorePlace) -> str:
    """The name of the snapshot of a store in a project.

    >>> file_of(StorePlace("/features", None))
    '046440cd7ea2cf54.sqlite'
    """
    return f"{hashlib.sha256(repr((place.path, place.online)).encode()).hexdigest()[:16]}.sqlite"


def offer(folder: Path) -> None:
    """Let stores of this process be read from the snapshots in a folder."""
    _offered[:] = [folder]


def offered(place: StorePlace) -> Path | None:
    """The snapshot of a store, if this process has one."""
    path = next((folder / file_of(place) for folder in _offered), None)
    return path if path is not None and path.is_file() else None


def packed(vectors: Sequence[FeatureVector]) -> bytes:
    """The snapshot of what some vectors of one store read, as they are now."""
    store = vectors[0].store
    sets = {set.id: set for each in vectors for reference in each.references
            for set in [set_of(reference, store, each.name)]}  # fmt: skip
    for set in sets.values():
        store.flush(set)
    names = [*sets, *(f"{each.name}@{each.version}" for each in vectors)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "snapshot.sqlite")
        catalogue = Catalogue(path)
        for definition in store.definitions():
            if f"{definition.name}@{definition.version}" in names:
                catalogue.add(definition)
        for set in sets.values():
            version = store.online_version(set)
            counted = None if version is None else store.statistics(set, version)
            if version is not None and counted is not None:
                catalogue.keep_statistics(set.id, version, counted)
        catalogue.connection.close()
        _copy(path, store.file, [*sets])
        return path.read_bytes()


def _copy(path: Path, online: Path, sets: Sequence[str]) -> None:
    """The online rows of sets, all as of one moment."""
    marks = ", ".join("?" * len(sets))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")  # one file, which never changes
        connection.execute("ATTACH ? AS live", [str(online)])
        connection.execute("BEGIN")
        made = "SELECT name, sql FROM live.sqlite_master WHERE type = 'table' AND name IN ('online', 'online_about', "
        for table, text in connection.execute(f"{made}'waiting')").fetchall():
            connection.execute(text)
            connection.execute(f"INSERT INTO main.{table} SELECT * FROM live.{table} WHERE name IN ({marks})", sets)
        connection.execute("COMMIT")


def _reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True, isolation_level=None, check_same_thread=False)


class SnapshotCatalogue(Catalogue):
    """The definitions in a snapshot."""

    def _open(self) -> None:
        return

    def _connected(self) -> sqlite3.Connection:
        return _reading(self.path)

    @contextmanager
    def changing(self) -> Iterator[NoReturn]:
        raise FeatureError(f"{self.path.name} is a snapshot of a feature store, which is only read.")
        yield  # pragma: no cover


class SnapshotOnline(SqliteOnline):
    """The online rows in a snapshot."""

    def _open(self) -> None:
        return

    def _connected(self) -> sqlite3.Connection:
        return _reading(Path(self._path))
