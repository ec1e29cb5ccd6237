"""FeatureSet: features of one kind of thing, by key and time: how they are made, and where their rows are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from nbgraph.errors import FeatureError, GraphError
from nbgraph.features.definition import (
    OWN_FIELDS,
    Aggregates,
    checked_aggregates,
    checked_kinds,
    checked_name,
    checked_ttl,
    checked_version,
    split,
    windows_graph,
)
from nbgraph.features.online.record import Windowing
from nbgraph.features.reference import Role
from nbgraph.graph.facade import ingest_job
from nbgraph.graph.graph import Graph
from nbgraph.steps.arguments import Names, names_of
from nbgraph.steps.features.validate import Validate

if TYPE_CHECKING:
    from nbgraph.debug.debugger import Debugger
    from nbgraph.features.ingest import Ingest
    from nbgraph.features.offline.table import Offline
    from nbgraph.features.place import StorePlace
    from nbgraph.features.store import FeatureStore
    from nbgraph.jobs.job import Job

Told = tuple[Mapping[str, Any], Mapping[str, Any], Sequence[str]]  # a graph's document, and where its names are
GRAPH, WINDOWS = "graph", "aggregates"  # parts of a document that are graphs themselves


class FeatureSet:
    """The features of one kind of thing: rows by key and time, made by a graph, and windows over them.

    Parameters
    ----------
    graph
        The graph that ingested rows go through, which also gives the name; a text is the name of a set without one. A
        graph that ends in AggregateByKey of the same key and time means `aggregates`.
    key
        The field, or the list of fields, that says which thing a row is of.
    time
        The field of the moment from which a row counts; None for rows without: the newest written counts.
    ttl
        How long a held value is good for, "3h": a value of exactly that age is, an older one is missing.
    aggregates
        FieldAggregators, whose windows are evaluated when they are asked for, and never stored.
    features
        Names of the held features, or {name: kind}; None: every field but keys, time and arrival.
    rules
        What a row has to keep, as `Validate` reads it; one that does not is bad.
    arrival
        The field that says when a row became known; without one it is when it was written.

    >>> cards = FeatureSet("cards", key="card", time="time", features=["country"], ttl="30d")
    >>> cards.name, cards.key, cards.columns
    ('cards', ('card',), ['country'])
    """

    def __init__(
        self,
        graph: Graph | str,
        key: Names,
        time: str | None = None,
        *,
        ttl: str | None = None,
        aggregates: Aggregates = (),
        features: Sequence[str] | Mapping[str, Any] | None = None,
        rules: Mapping[str, Mapping[str, Any]] | None = None,
        version: int = 1,
        arrival: str | None = None,
        partition_by: Names | None = None,
        description: str = "",
        tags: Sequence[str] = (),
    ) -> None:
        self.name = checked_name(graph.name if isinstance(graph, Graph) else graph, "A feature set")
        self.key = tuple(names_of(key, f'The set "{self.name}"', "key"))
        self.time, self.ttl, self.arrival = time, ttl, arrival
        self.version = checked_version(version, self.name)
        self.rules = dict(rules) if rules else None
        self.partition_by = names_of(partition_by, f'The set "{self.name}"', "partition_by") if partition_by else []
        self.description, self.tags = description, tuple(tags)
        self._graph: Graph | None = None
        self._told: Told | None = None
        lifted: Aggregates = ()
        if isinstance(graph, Graph):
            self._graph, lifted = split(graph, self.key, time)
        self.aggregates = checked_aggregates([*aggregates, *lifted], self.name)
        self.features = checked_kinds(features, self.name)
        self.lifetime = checked_ttl(ttl, self.name)
        self._check()
        self.place: StorePlace | None = None

    def _check(self) -> None:
        if not self.key or len(set(self.key)) < len(self.key):
            raise GraphError(
                f'The set "{self.name}" has key={list(self.key)!r}; expected one or more fields, each once.'
            )
        places = [*self.key, *filter(None, [self.time, self.arrival])]
        for name in [*places, *(self.features or ())]:
            if name in OWN_FIELDS:
                raise GraphError(f'The set "{self.name}" has the field "{name}", which a store uses itself; rename it.')
        if self.time in self.key or self.arrival in self.key:
            raise GraphError(f'The set "{self.name}" has one field both as key and as time; name two fields.')
        if self.time is None and (self.aggregates or self.lifetime is not None or self.arrival):
            what = "aggregates" if self.aggregates else "ttl" if self.lifetime is not None else "arrival"
            raise GraphError(f'The set "{self.name}" has {what} and no time; name the field of time: time="time".')
        for name in self.features or ():
            if name in places:
                raise GraphError(
                    f'The set "{self.name}" has "{name}" both as key or time and as feature; name it once.'
                )
        twice = set(self.features or ()) & {column for each in self.aggregates for column in each.columns()}
        if twice:
            raise GraphError(f'The set "{self.name}" has "{sorted(twice)[0]}" as a field and as a window; rename one.')
        if self.rules is not None:
            Validate(self.rules)

    # --- what it is ---

    @property
    def id(self) -> str:
        """Name and version, "cards@1"."""
        return f"{self.name}@{self.version}"

    @property
    def graph(self) -> Graph | None:
        """What rows go through; of a set from a store its functions are looked up when they are first needed."""
        if self._graph is None and self._told is not None:
            document, namespace, allow = self._told
            self._graph, self._told = Graph.from_dict(document, namespace=namespace, allow=allow), None
        return self._graph

    @property
    def windowing(self) -> Windowing:
        """How its windows grow and are read."""
        return Windowing(self.aggregates) if self.place is None else self.store.windowing(self)

    @property
    def way(self) -> Graph:
        """The way of its rows, to be drawn: steps, windows, offline, online; whoever watches it sees an ingest."""
        return self.store.way(self)

    @property
    def windows(self) -> list[str]:
        """The columns of its windows."""
        return self.windowing.columns

    @property
    def held(self) -> list[str]:
        """Its held features."""
        if self.features is not None:
            return list(self.features)
        places = {*self.key, self.time, self.arrival}
        return [name for name in self.schema if name not in places]

    @property
    def columns(self) -> list[str]:
        """All its features, windows too."""
        return [*self.held, *self.windows]

    @property
    def schema(self) -> dict[str, str]:
        """The kinds of its fields, as the rows that were ingested have them."""
        return {} if self.place is None else self.store.schema(self)

    def document(self) -> dict[str, Any]:
        """The set as plain data."""
        windows = windows_graph(self.name, self.aggregates, self.key, self.time) if self.aggregates else None
        return {
            GRAPH: self._told[0] if self._told is not None else self._graph.to_dict() if self._graph else None,
            "key": list(self.key),
            "time": self.time,
            "ttl": self.ttl,
            WINDOWS: None if windows is None else windows.to_dict(),
            "features": None if self.features is None else dict(self.features),
            "rules": self.rules,
            "arrival": self.arrival,
            "partition_by": list(self.partition_by),
            "description": self.description,
            "tags": list(self.tags),
        }

    @classmethod
    def of_document(
        cls, name: str, version: int, document: Mapping[str, Any], namespace: Mapping[str, Any], allow: Sequence[str]
    ) -> Self:
        """The set of a document; its functions are looked up in the namespace."""
        windows = document[WINDOWS]
        found: list[Any] = []
        if windows is not None:
            aggregating = Graph.from_dict(windows, namespace=namespace, allow=allow)
            found = aggregating.plan().steps["windows"].call.target.aggregators
        features = document["features"]
        kinds = features if features and all(features.values()) else None if features is None else list(features)
        found_set = cls(
            name, document["key"], document["time"], ttl=document["ttl"], aggregates=found, features=kinds,
            rules=document["rules"], version=version, arrival=document["arrival"],
            partition_by=document["partition_by"] or None, description=document["description"], tags=document["tags"],
        )  # fmt: skip
        if document[GRAPH] is not None:
            found_set._told = document[GRAPH], namespace, allow
        return found_set

    def on(self, *, prefix: str = "", **roles: str) -> Role:
        """The set under other key fields: `airports.on(code="origin", prefix="from_")`."""
        return Role(self, roles, prefix)

    @property
    def packages(self) -> tuple[str, ...]:
        """Modules that reading its online rows imports: a deployment installs them."""
        return () if self.place is None else self.place.packages

    def __repr__(self) -> str:
        return f"<feature set {self.id}, key {', '.join(self.key)}>"

    # --- rows ---

    @property
    def store(self) -> FeatureStore:
        from nbgraph.features.store import opened

        if self.place is None:
            raise FeatureError(f'The set "{self.name}" is in no store yet; add it: store.add(it).')
        return opened(self.place)

    @property
    def offline(self) -> Offline:
        """The table of its rows."""
        return self.store.offline(self)

    @property
    def is_stored(self) -> bool:
        """Whether it is in a store."""
        return self.place is not None

    def bind(self, place: StorePlace) -> None:
        """The store that its rows are in."""
        if self.place not in (None, place):
            raise FeatureError(f'The set "{self.name}" is in the store {self.place} already; make another one.')
        self.place = place

    def ingest(
        self, source: Any, *, id: str | None = None, online: bool = True, on_error: str = "raise", progress: bool = True
    ) -> Ingest:
        """Take rows in: through the graph, into the offline table in one commit, then online.

        What was ingested already, by its content or by `id`, changes nothing.

        Parameters
        ----------
        source
            A DataFrame of pandas or polars, an Arrow table, paths of Parquet, CSV or JSON lines, an iterable of dicts
            or Events, a Source.
        on_error
            "raise": a bad row is an error, and nothing is written; "skip": it is a failure, the others are written.
        """
        from nbgraph.features.ingest import ingest

        return ingest(self, source, id=id, online=online, on_error=on_error, progress=progress)

    def job(
        self,
        source: Any,
        workers: int | None = None,
        engine: Any = "process",
        *,
        id: str | None = None,
        online: bool = True,
        key: Any = None,
        part_rows: int = 100_000,
        retries: int = 2,
        max_failures: int | str | None = None,
        resume: bool = True,
        name: str | None = None,
        progress: bool = True,
    ) -> Job:
        """Take rows in by a job: through the graph part by part, on many processes, and then in one commit.

        What `ingest` would store is stored, in the same order; until the last part is done nothing of it is seen.
        Rows that are bad, or that end their process, are failures of the job. The same call again goes on with what
        is missing, and changes nothing where the rows are there.

        Parameters
        ----------
        source
            What `ingest` takes.
        workers
            Parts that run at once; as many as there are cores if not told.
        engine
            As of `Graph.job`: "process", "thread", "dask://HOST:PORT", or a client of Dask.
        id
            What tells that it came before; without one it is the content.
        online
            Whether the online rows follow at once.
        key
            A field of the rows, or a function of them, that steps of the graph which remember go by.
        part_rows
            Rows of a part.
        retries
            How often a part runs again whose process has died, before the row that kills it is looked for.
        max_failures
            Rows that may fail, as a number or a share ("1%"); more fail the job, and nothing is written.
        resume
            False starts anew where the graph has changed since the parts were made.
        name
            Name of the job; None: the set's.
        progress
            Whether a line tells how far it is.
        """
        return ingest_job(
            self, source, id=id, online=online, key=key, engine=engine, workers=workers, part_rows=part_rows,
            retries=retries, max_failures=max_failures, resume=resume, name=name, progress=progress,
        )  # fmt: skip

    def preview(self, source: Any, rows: int = 20) -> Any:
        """The rows that the first rows of a source would be stored as; nothing is written."""
        from nbgraph.features.ingest import preview

        return preview(self, source, rows)

    def frame(
        self, columns: Names | None = None, start: Any = None, end: Any = None, version: int | None = None
    ) -> Any:
        """The stored rows as a DataFrame, of the times from `start` to before `end`, as of a version."""
        from nbgraph.features.offline.stored import stored_frame

        return stored_frame(self, columns, start, end, version)

    def history(self) -> Any:
        """What each version was made by: a DataFrame of version, id, rows, time, source, changes."""
        from nbgraph.features.offline.stored import history_frame

        return history_frame(self)

    def stats(self, version: int | None = None) -> Any:
        """What values the features have, a row for each feature."""
        from nbgraph.features.statistics import statistics_frame

        return statistics_frame(self, version)

    def delete(self, key: Any, before: Any = None) -> int:
        """Delete the rows of a key, offline (a new version) and online; how many there were."""
        from nbgraph.features.offline.stored import delete

        return delete(self, key, before)

    def compact(self) -> None:
        """Put the small files of many ingests together; what any version holds stays the same."""
        self.offline.compact()

    def vacuum(self, keep: str = "7d") -> None:
        """Remove the files that only versions older than that need; these can't be read any more."""
        from nbgraph.steps.windows.spec import duration

        self.offline.vacuum(duration(keep) / 3600)

    # --- looking inside ---

    def pipeline(self) -> Graph:
        """The graph with the windows as its last step: what happens to an event, from the source to its features."""
        from nbgraph.features.explanation import pipeline

        return pipeline(self)

    def view(self) -> Any:
        """The live picture of the way of the rows, which counts while an ingest runs."""
        return self.way.view()

    def explain(self, time: str | datetime, **key: Any) -> Any:
        """The rows that made each value of a key at a moment, and why: feature, value, row_time, written, why."""
        from nbgraph.features.explanation import explain

        return explain(self, time, key)

    def debug(self, time: str | datetime, *, source: Any = None, **key: Any) -> Debugger:
        """The debugger over a key's events up to a moment, standing before the first step of the last one.

        `source` has the events as they came, which is needed where the graph has steps. Nothing is written.
        """
        from nbgraph.features.explanation import debug

        return debug(self, time, key, source)
