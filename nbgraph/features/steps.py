"""Steps: features in graphs: AddFeatures puts them beside an event, FeatureTarget takes events into a set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from nbgraph.errors import GraphError
from nbgraph.event import Event
from nbgraph.features.set import FeatureSet
from nbgraph.features.vector import FeatureVector
from nbgraph.handler import Handler
from nbgraph.steps.arguments import seconds, whole
from nbgraph.steps.context import StepContext, clock_of
from nbgraph.steps.dataframe import is_frame, of_rows, rows_of
from nbgraph.types import Section, Shape, StepKind

__all__ = ["AddFeatures", "FeatureTarget"]


class AddFeatures(Handler):
    """The features of a vector are added to the body, as they are at a moment: by default now.

    >>> import tempfile
    >>> from nbgraph import Graph
    >>> from nbgraph.features import FeatureSet, FeatureStore, FeatureVector
    >>> store = FeatureStore(tempfile.mkdtemp())
    >>> cards = store.add(FeatureSet("cards", key="card", time="time", features=["country"]))
    >>> _ = cards.ingest([{"card": "c-1", "time": "2026-01-01", "country": "PT"}])
    >>> home = store.add(FeatureVector("home", ["cards.country"]))
    >>> graph = Graph("g")
    >>> _ = graph.to(AddFeatures(home))
    >>> graph.run({"card": "c-1", "amount": 5})
    {'card': 'c-1', 'amount': 5, 'country': 'PT'}

    Parameters
    ----------
    vector
        A FeatureVector that is in a store.
    time
        The field of the body with the moment, or one moment for all; None is now.
    before
        Only what was strictly before the moment counts.
    missing
        What stands for a missing value, by feature, as in `FeatureVector.online`.
    """

    section = Section.FEATURES
    io: ClassVar[str] = "databases"
    results_are_new = True

    def __init__(
        self, vector: FeatureVector, time: Any = None, before: bool = False, missing: Mapping[str, Any] | None = None
    ) -> None:
        if not isinstance(vector, FeatureVector):
            raise GraphError(f"AddFeatures got a {type(vector).__name__} as vector; expected a FeatureVector.")
        self._vector, self._time, self._before, self._missing = vector, time, before, missing

    def do(self, body: Any) -> Any:
        if is_frame(body):
            rows = rows_of(body)
            features = self._features(rows)
            whole = [{**row, **found} for row, found in zip(rows, features, strict=True)]
            return of_rows(whole, body, index=getattr(body, "index", None))
        if not isinstance(body, Mapping):
            raise TypeError(f"AddFeatures got {type(body).__name__} as a body; expected a dict or a DataFrame.")
        return {**body, **self._features(body)}

    def _features(self, rows: Any) -> Any:
        return self._vector.online(rows, time=self._time, before=self._before, missing=self._missing)


class FeatureTarget(Handler):
    """Events are rows of a set: seen online at once, written offline many at a time; each counts once, by its id.

    >>> import tempfile
    >>> from nbgraph import Graph
    >>> from nbgraph.features import FeatureSet, FeatureStore, FeatureVector
    >>> store = FeatureStore(tempfile.mkdtemp())
    >>> cards = store.add(FeatureSet("cards", key="card", time="time", features=["country"]))
    >>> home = store.add(FeatureVector("home", ["cards.country"]))
    >>> graph = Graph("g")
    >>> _ = graph.to(FeatureTarget(cards))
    >>> _ = graph.run({"card": "c-1", "time": "2026-01-01T10:00", "country": "PT"})
    >>> home.online({"card": "c-1"})
    {'country': 'PT'}

    An event goes through the graph of the set, as in `FeatureSet.ingest`; it goes on as it came. Where rows wait, in
    the online store, they survive whoever has taken them: `store.sync()`, or the next flush, writes them.

    Parameters
    ----------
    set
        The feature set that takes them.
    max_events
        So many rows are written together.
    flush_after_seconds
        They are written at the latest so long after the first of them came.
    """

    section = Section.FEATURES
    kind = StepKind.TARGET
    io: ClassVar[str] = "databases"
    packages: ClassVar[tuple[str, ...]] = ("deltalake", "polars", "pyarrow", "tzdata")  # slim images know no zones
    shape = Shape.EVENT

    def __init__(
        self,
        set: FeatureSet,
        max_events: int = 1000,
        flush_after_seconds: float | None = 1,
        *,
        context: StepContext | None = None,
    ) -> None:
        if not isinstance(set, FeatureSet):
            raise GraphError(f"FeatureTarget got a {type(set).__name__} as set; expected a FeatureSet.")
        self._set, self._max_events = set, whole("FeatureTarget", "max_events", max_events)
        self._seconds = seconds("FeatureTarget", "flush_after_seconds", flush_after_seconds)
        self._clock = clock_of(context)
        self._count, self._began = 0, 0.0

    def do(self, event: Event) -> None:
        from nbgraph.features.online.arrival import arrived

        rows = arrived(self._set, event)
        self._set.store.online.wait(self._set.id, rows)
        self._began = self._began if self._count else self._clock()
        self._count += len(rows)
        due = self.due()
        if self._count >= self._max_events or (due is not None and due <= self._clock()):
            self.flush()

    def flush(self) -> None:
        """Write offline what waits."""
        if self._count:
            self._set.store.flush(self._set)
            self._count = 0

    def due(self) -> float | None:
        return self._began + self._seconds if self._seconds is not None and self._count else None

    def release(self) -> tuple[()]:
        self.flush()
        return ()

    def end(self) -> None:
        self.flush()
