"""FeatureVector: features of several sets side by side, for training at past moments and for serving now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from nbgraph.errors import FeatureError
from nbgraph.features.definition import checked_name, checked_version
from nbgraph.features.reference import FeatureSelection, Reference, reference_of, selected, set_of
from nbgraph.graph.graph import Graph

if TYPE_CHECKING:
    from nbgraph.features.place import StorePlace
    from nbgraph.features.store import FeatureStore

Missing = Mapping[str, Any] | None
Told = tuple[Mapping[str, Any], Mapping[str, Any], Sequence[str]]  # a graph's document, and where its names are


class FeatureVector:
    """Named features of one or more sets, asked for together.

    Parameters
    ----------
    features
        "cards.country", "cards.country as home", "cards.*", a set, or `airports.on(code="origin", prefix="from_")`.
        A key of a set may be a feature of a set before it.
    label
        The field of the training rows that a model is to learn.
    graph
        Runs on the row with its features, offline and online alike, and gives the row that is answered.

    >>> FeatureVector("late", ["sky.wind_speed", "sky.visib as sight"]).references[1].name
    'sight'
    """

    def __init__(
        self,
        name: str,
        features: Sequence[Any],
        *,
        label: str | None = None,
        graph: Graph | None = None,
        version: int = 1,
        description: str = "",
    ) -> None:
        self.name = checked_name(name, "A feature vector")
        self.version = checked_version(version, name)
        given = [features] if isinstance(features, str) or not isinstance(features, Sequence) else features
        self.references = tuple(reference_of(each, name) for each in given)
        self.label, self.description = label, description
        self._graph, self._told = graph, cast(Told | None, None)
        self.place: StorePlace | None = None

    @property
    def names(self) -> list[str]:
        """The names of its sets."""
        return list(dict.fromkeys(each.set for each in self.references))

    @property
    def graph(self) -> Graph | None:
        """What a row runs through; of a vector from a store its functions are looked up when they are first needed."""
        if self._graph is None and self._told is not None:
            document, namespace, allow = self._told
            self._graph, self._told = Graph.from_dict(document, namespace=namespace, allow=allow), None
        return self._graph

    def document(self) -> dict[str, Any]:
        """The vector as plain data."""
        return {
            "features": [each.document() for each in self.references],
            "label": self.label,
            "graph": self._told[0] if self._told is not None else self._graph.to_dict() if self._graph else None,
            "description": self.description,
        }

    @classmethod
    def of_document(
        cls, name: str, version: int, document: Mapping[str, Any], namespace: Mapping[str, Any], allow: Sequence[str]
    ) -> Self:
        """The vector of a document; the functions of its graph are looked up in the namespace."""
        vector = cls(name, [], label=document["label"], version=version, description=document["description"])
        if document["graph"] is not None:
            vector._told = document["graph"], namespace, allow
        vector.references = tuple(map(Reference.of_document, document["features"]))
        return vector

    def check(self, store: FeatureStore) -> None:
        """Whether its sets are in a store, and its features in them, as far as that is known by now."""
        sets = [set_of(each, store, self.name) for each in self.references]
        if all(each.columns for each in sets):
            selected(self.name, self.references, store)

    def bind(self, place: StorePlace) -> None:
        """The store that its sets are in."""
        if self.place not in (None, place):
            raise FeatureError(f'The vector "{self.name}" is in the store {self.place} already; make another one.')
        self.place = place

    @property
    def store(self) -> FeatureStore:
        from nbgraph.features.store import opened

        if self.place is None:
            raise FeatureError(f'The vector "{self.name}" is in no store yet; add it: store.add(it).')
        return opened(self.place)

    @property
    def selection(self) -> FeatureSelection:
        """What it takes of which sets, by now."""
        return self.store.selection(self)

    @property
    def columns(self) -> list[str]:
        """Its features, in order; what its graph adds is not among them."""
        return list(self.selection.features)

    @property
    def keys(self) -> list[str]:
        """The fields that rows must have."""
        return list(self.selection.keys)

    @property
    def packages(self) -> tuple[str, ...]:
        """Modules that reading its online rows imports: a deployment installs them."""
        return () if self.place is None else self.place.packages

    def __repr__(self) -> str:
        return f"<feature vector {self.name}@{self.version}: {', '.join(map(str, self.references))}>"

    # --- values ---

    def offline(
        self,
        rows: Any,
        *,
        time: Any = None,
        before: bool = False,
        as_known: bool = False,
        versions: Mapping[str, int] | None = None,
        missing: Missing = None,
    ) -> Any:
        """The rows with the features as they were at the moment of each: all rows, once each, in their order.

        Parameters
        ----------
        rows
            A DataFrame of pandas or polars, an Arrow table, a dict or a list of dicts; the answer is of the same kind.
        time
            The field of the rows with the moment ("time"), or one moment for all.
        before
            Only what was strictly before the moment counts, so that no row sees itself.
        as_known
            Only what had arrived by the moment counts.
        versions
            {set: version} of sets that are read as they were.
        missing
            {feature: what stands for a missing value}: a value, or "$mean", "$median", "$min", "$max", "$mode".
        """
        from nbgraph.features.offline.answer import offline

        return offline(self, rows, time, before, as_known, dict(versions or {}), missing)

    def online(self, rows: Any, *, time: Any = None, before: bool = False, missing: Missing = None) -> Any:
        """The features alone, as serving has them: a dict for a dict, a list of dicts for a list.

        `time` is a moment, or the field of the rows that has it; without it, it is now.
        """
        from nbgraph.features.online.serving import online

        return online(self, rows, time, before, missing)

    def parity(self, rows: Any, *, time: Any = None, before: bool = False) -> Any:
        """Offline and online side by side: key, time, feature, offline, online, equal.

        The rows of the sets are replayed into an empty online store, in the order of their times, and each question is
        asked when they have come that far.
        """
        from nbgraph.features.parity import parity

        return parity(self, rows, time, before)

    def split(self, rows: Any, at: Any, time: str | None = None) -> tuple[Any, Any]:
        """Rows before a moment and those from it on, for training and testing; each in its order."""
        from nbgraph.features.offline.answer import split

        return split(rows, at, time)

    def save(self, path: str | Path, rows: Any, **asked: Any) -> Path:
        """Write the answer of `offline` as Parquet, with the versions of every set, so that it can be made again."""
        from nbgraph.features.offline.answer import save

        return save(self, Path(path), rows, asked)
