"""Steps: features in graphs: AddFeatures puts them beside an event, FeatureTarget takes events into a set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from nbgraph.errors import GraphError
from nbgraph.features.vector import FeatureVector
from nbgraph.handler import Handler
from nbgraph.steps.frame import is_frame, of_rows, rows_of


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
