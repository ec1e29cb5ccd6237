"""FeatureStore: sets, vectors and where their rows are: a folder, or an object store with the online rows elsewhere."""

from __future__ import annotations

import builtins
import hashlib
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

from nbgraph.errors import FeatureError, GraphError
from nbgraph.features.catalogue import Catalogue, FeatureDefinition
from nbgraph.features.online.announced import Announced, announce
from nbgraph.features.online.record import KeyMetadata, OnlineStore, Windowing
from nbgraph.features.online.write_lock import WriteLock
from nbgraph.features.place import StorePlace
from nbgraph.features.reference import FeatureSelection, selected
from nbgraph.features.set import FeatureSet
from nbgraph.features.vector import FeatureVector

if TYPE_CHECKING:
    from nbgraph.features.offline.table import Offline
    from nbgraph.graph.graph import Graph

Added = TypeVar("Added", FeatureSet, FeatureVector)
FILE = "store.sqlite"
HOME = "NBGRAPH_FEATURES"  # where the online rows of stores in object stores are, if not elsewhere


_made: WeakValueDictionary[StorePlace, FeatureStore] = WeakValueDictionary()  # of this process
_opened: dict[StorePlace, FeatureStore] = {}  # those that nobody else holds


def opened(place: StorePlace) -> FeatureStore:
    """The store of a place: the one that is there, or it is opened, as far as it can be seen from here."""
    found = _made.get(place)
    if found is None:
        found = _opened[place] = _seen(place)
    return found


def _seen(place: StorePlace) -> FeatureStore:
    from nbgraph.features.snapshot import offered

    online, options = place.access()
    packed = offered(place)
    if packed is not None:
        return SnapshotStore(packed, place)
    if (Path(place.path) / FILE).is_file():
        return FeatureStore(place.path, online, namespace={}, options=options)
    if "://" in place.path and (place.is_file or find_spec("deltalake") is not None):
        return FeatureStore(place.path, online, namespace={}, options=options)
    if place.is_file:
        raise FeatureError(
            f"The feature store {place.path} is not here: {Path(place.path) / FILE} is no file. Give the store "
            'online="redis://...", which is reached from elsewhere, or deploy a snapshot: deploy(snapshot=True).'
        )
    return ServedStore(place.path, online, namespace={}, options=options)


def _folder_of(path: str) -> Path:
    """The folder of a store, or what this machine keeps of one in an object store."""
    if "://" not in path:
        return Path(path)
    home = Path(os.environ.get(HOME) or Path.home() / ".nbgraph" / "features")
    return home / hashlib.sha256(path.rstrip("/").encode()).hexdigest()[:16]


class FeatureStore:
    """A folder with feature sets, their rows, and vectors of features.

    Parameters
    ----------
    path
        The folder, made where it is missing; or "s3://...", "gs://...", "az://..." with `options`.
    online
        Where serving reads from: None is a SQLite file in the folder (of an object store, one that this machine keeps);
        else "redis://..", "postgresql://..", or an object that is an OnlineStore.
    namespace, allow
        Where the functions that stored graphs name are found, as for `Graph.load`; the namespace of whoever makes the
        store where it is not given.
    options
        What the object store asks for, by name: keys, region, endpoint.

    >>> import tempfile
    >>> from nbgraph.features import FeatureSet
    >>> store = FeatureStore(tempfile.mkdtemp())
    >>> cards = store.add(FeatureSet("cards", key="card", time="time"))
    >>> cards.ingest([{"card": "c-1", "time": "2026-01-01T10:00", "country": "PT"}]).written
    1
    >>> list(store), cards.columns
    (['cards'], ['country'])
    """

    def __init__(
        self,
        path: str | Path,
        online: str | OnlineStore | None = None,
        *,
        namespace: Mapping[str, Any] | None = None,
        allow: Sequence[str] = (),
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.path = str(path) if "://" in str(path) else str(Path(path).absolute())
        self.place = StorePlace.of(self.path, online, options or {})
        self._namespace = sys._getframe(1).f_globals if namespace is None else namespace
        self._allow, self._options = tuple(allow), options
        self._folder = _folder_of(self.path)
        self._online_given, self._opened = online, dict[str, OnlineStore]()
        self._catalogue = self._open_catalogue()
        self._write_lock = WriteLock(self._folder)
        self._objects: dict[tuple[str, int], FeatureSet | FeatureVector] = {}
        self._schemas: dict[str, dict[str, str]] = {}
        self._windowings: dict[str, Windowing] = {}
        self._ways: dict[str, Graph] = {}
        self._selections: dict[tuple[str, int], FeatureSelection] = {}
        self._caught_up: builtins.set[str] = builtins.set()
        self._lock = threading.RLock()
        _made[self.place] = self

    def _open_catalogue(self) -> Catalogue:
        if self.folder is not None:
            return Catalogue(self._folder / FILE)
        from nbgraph.features.offline.definitions import DefinitionsTable

        return DefinitionsTable(f"{self.path.rstrip('/')}/catalogue", self._options or {})

    @property
    def file(self) -> Path:
        """Where its online rows are, if they are not elsewhere."""
        return self._folder / FILE

    def definitions(self) -> list[FeatureDefinition]:
        """All sets and vectors as plain data, by when they were added."""
        return self._catalogue.all()

    @property
    def folder(self) -> Path | None:
        """Its folder; None where its rows are in an object store."""
        return None if "://" in self.path else self._folder

    # --- what is in it ---

    def add(self, given: Added) -> Added:
        """Keep the definition of a set or a vector; the same again changes nothing. Gives what it was given."""
        if not isinstance(given, FeatureSet | FeatureVector):
            raise GraphError(f"A feature store keeps sets and vectors, and was given a {type(given).__name__}.")
        kind = "set" if isinstance(given, FeatureSet) else "vector"
        if isinstance(given, FeatureVector):
            given.check(self)
        definition = FeatureDefinition(kind, given.name, given.version, given.document())
        self._catalogue.add(definition)
        if self._online_given is not None:
            announce(self.online, definition)
        given.bind(self.place)
        self._objects[given.name, given.version] = given
        self._selections.clear()
        return given

    def __getitem__(self, name: str) -> Any:
        """The set or the vector of a name, of its newest version, or of the one told: `store["cards@1"]`."""
        bare, _, version = name.partition("@")
        found = self._catalogue.find(bare, int(version) if version.isdigit() else None)
        if found is None or (version and not version.isdigit()):
            known = ", ".join(f"{each.name}@{each.version}" for each in self._catalogue.all()) or "nothing"
            raise KeyError(f'The store {self.path} has no "{name}"; it has: {known}.')
        return self._object(found)

    def find_set(self, name: str, version: int | None = None) -> FeatureSet | None:
        """The set of a name, of its newest version where none is told; None where there is none."""
        known = None if version is None else self._objects.get((name, version))
        if known is None:
            found = self._catalogue.find(name, version)
            known = None if found is None or found.kind != "set" else self._object(found)
        return known if isinstance(known, FeatureSet) else None

    def __contains__(self, name: object) -> bool:
        bare, _, version = str(name).partition("@")
        return self._catalogue.find(bare, int(version) if version.isdigit() else None) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(each.name for each in self._catalogue.all()))

    @property
    def sets(self) -> dict[str, FeatureSet]:
        """The newest version of each set, by name."""
        return {each.name: each for each in map(self._object, self._newest("set")) if isinstance(each, FeatureSet)}

    @property
    def vectors(self) -> dict[str, FeatureVector]:
        """The newest version of each vector, by name."""
        found = map(self._object, self._newest("vector"))
        return {each.name: each for each in found if isinstance(each, FeatureVector)}

    def _newest(self, kind: str) -> list[FeatureDefinition]:
        newest: dict[str, FeatureDefinition] = {}
        for each in self._catalogue.all():
            if each.kind == kind and (each.name not in newest or newest[each.name].version < each.version):
                newest[each.name] = each
        return list(newest.values())

    def _object(self, definition: FeatureDefinition) -> FeatureSet | FeatureVector:
        place = definition.name, definition.version
        found = self._objects.get(place)
        if found is None:
            kind = FeatureSet if definition.kind == "set" else FeatureVector
            found = kind.of_document(
                definition.name, definition.version, definition.document, self._namespace, self._allow
            )
            found.bind(self.place)
            self._objects[place] = found
        return found

    def remove(self, name: str) -> None:
        """Take a set or a vector out; the rows of a set are deleted. A set that a vector names stays: an error."""
        found = self[name]
        if isinstance(found, FeatureSet):
            users = [each.name for each in self.vectors.values() if found.name in each.names]
            if users:
                raise FeatureError(f'The set "{found.name}" is used by the vector "{users[0]}"; remove that first.')
            self.online.drop(found.id)
            self._remove_rows(found)
        self._catalogue.remove(found.name, found.version)
        self._objects.pop((found.name, found.version), None)
        self._schemas.pop(f"{found.name}@{found.version}", None)
        self._selections.clear()

    def _remove_rows(self, set: FeatureSet) -> None:
        import shutil

        if self.folder is None:
            self.offline(set).remove()
        for kind in ("sets", "jobs"):
            shutil.rmtree(self._folder / kind / set.name / str(set.version), ignore_errors=True)

    def lineage(self, name: str | None = None) -> Graph:
        """Where features come from and who uses them: sources, sets, vectors; drawn as any graph."""
        from nbgraph.features.lineage import lineage

        return lineage(self, name)

    def __repr__(self) -> str:
        return f"<feature store {self.path}: {', '.join(self) or 'empty'}>"

    # --- rows ---

    def offline(self, set: FeatureSet) -> Offline:
        """The table of a set's rows."""
        from nbgraph.features.offline.table import Offline

        place = f"{self.path.rstrip('/')}/sets/{set.name}/{set.version}"
        return Offline(place, self._options, set.name)

    def schema(self, set: FeatureSet) -> dict[str, str]:
        """The kinds of a set's columns; where there are no rows beside the online ones, of what these have."""
        known = self._schemas.get(set.id)
        if known is None:
            known = self._found_schema(set)
            if known:
                self._schemas[set.id] = known
        return dict(known)

    def _found_schema(self, set: FeatureSet) -> dict[str, str]:
        try:
            found = self.offline(set).schema()
        except ImportError:  # an image that only serves has no deltalake
            found = {}
        about = None if found else self.online.about(set.id)
        return found if about is None else dict(about.columns)

    def windowing(self, set: FeatureSet) -> Windowing:
        """How the windows of a set grow and are read; made once."""
        found = self._windowings.get(set.id)
        if found is None:
            found = self._windowings[set.id] = Windowing(set.aggregates)
        return found

    def selection(self, vector: FeatureVector) -> FeatureSelection:
        """What a vector takes of which sets; worked out once, until a set has other columns."""
        found = self._selections.get((vector.name, vector.version))
        if found is None:
            found = selected(vector.name, vector.references, self)
            self._selections[vector.name, vector.version] = found
        return found

    def way(self, set: FeatureSet) -> Graph:
        """The picture of a set's rows on their way; one, so that whoever watches it sees every ingest."""
        from nbgraph.features.lineage import way

        return self._ways.get(set.id) or self._ways.setdefault(set.id, way(set))

    def is_watched(self, set: FeatureSet) -> bool:
        """Whether somebody looks at that picture."""
        return set.id in self._ways and bool(self._ways[set.id].observers)

    def statistics(self, set: FeatureSet, version: int) -> Any:
        """What was counted of the values of a set's version; None where nothing was."""
        return self._catalogue.statistics(set.id, version)

    def keep_statistics(self, set: FeatureSet, version: int, counted: Any) -> None:
        self._catalogue.keep_statistics(set.id, version, counted)

    def changed(self, set: FeatureSet) -> None:
        """The rows of a set are not what they were, and may have other columns."""
        self._schemas.pop(set.id, None)
        self._selections.clear()

    # --- online ---

    @property
    def online(self) -> OnlineStore:
        """What serving reads."""
        with self._lock:
            if "online" not in self._opened:
                self._opened["online"] = self._open_online()
            return self._opened["online"]

    def _open_online(self) -> OnlineStore:
        given = self._online_given
        if given is None:
            from nbgraph.features.online.sqlite import SqliteOnline

            self._folder.mkdir(parents=True, exist_ok=True)
            return SqliteOnline(self.file)
        if not isinstance(given, str):
            return given
        scheme = given.partition("://")[0]
        if scheme in ("redis", "rediss", "unix"):
            from nbgraph.features.online.redis import RedisOnline

            return RedisOnline(given)
        if scheme.startswith("postgresql"):
            from nbgraph.features.online.sql import SqlOnline

            return SqlOnline(given)
        raise FeatureError(
            f'A feature store got online="{scheme}://..."; expected None (SQLite in the folder), "redis://...", '
            '"postgresql://..." or an OnlineStore.'
        )

    def online_version(self, set: FeatureSet) -> int | None:
        """The offline version that the online rows of a set contain."""
        about = self.online.about(set.id)
        return None if about is None else about.version

    def advance(self, set: FeatureSet) -> int | None:
        """Bring the online rows of a set up to its newest offline version; which that is."""
        from nbgraph.features.online.advance import advance

        about: KeyMetadata | None = advance(set, self.online)
        return None if about is None else about.version

    def writing(self, set: FeatureSet) -> AbstractContextManager[None]:
        """While rows of a set are written, and then put online: no reader does that meanwhile."""
        return nullcontext() if self.folder is None else self._write_lock.writing(set)

    def recover(self, set: FeatureSet) -> None:
        """Put online what a writer left who was killed before he could."""
        if self.folder is not None:
            self._write_lock.check(set, self)
        elif set.id not in self._caught_up:  # in an object store nobody is told of others' versions: once a process
            self._caught_up.add(set.id)
            self.advance(set)

    def flush(self, set: FeatureSet) -> int | None:
        """Write offline what waits online, also what somebody left who was killed; the version online then."""
        from uuid import uuid4

        from nbgraph.features.ingest import write_rows

        with self.writing(set):
            self.online.gather(set.id, uuid4().hex)
            for batch, rows in self.online.batches(set.id).items():
                write_rows(set, rows, batch)
            return self.advance(set)

    def sync(self) -> dict[str, int | None]:
        """Offline and online rows of all sets brought to the same, whatever was killed meanwhile; their versions."""
        return {name: self.flush(set) for name, set in self.sets.items()}


class ServedStore(FeatureStore):
    """A store of which only the online rows are within reach: what a deployment on another machine has."""

    def _open_catalogue(self) -> Catalogue:
        return Announced(self._folder / FILE, lambda: self.online)

    def _found_schema(self, set: FeatureSet) -> dict[str, str]:
        about = self.online.about(set.id)
        return {} if about is None else dict(about.columns)

    def recover(self, set: FeatureSet) -> None:
        """Whoever has the folder does."""

    def flush(self, set: FeatureSet) -> int | None:
        """Rows of events wait online until somebody flushes who has the folder."""
        return self.online_version(set)


class SnapshotStore(ServedStore):
    """A store of which a snapshot is here, as it was when that was made."""

    def __init__(self, packed: Path, place: StorePlace) -> None:
        self._packed = packed
        super().__init__(place.path, place.online, namespace={}, options=dict(place.options))

    def _open_catalogue(self) -> Catalogue:
        from nbgraph.features.snapshot import SnapshotCatalogue

        return SnapshotCatalogue(self._packed)

    def _open_online(self) -> OnlineStore:
        from nbgraph.features.snapshot import SnapshotOnline

        return SnapshotOnline(self._packed)
