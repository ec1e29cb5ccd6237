"""Lineage: where features come from and who uses them, as a graph, and the way of a set's rows as one."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from nbgraph.errors import FeatureError
from nbgraph.graph.documents.catalogue import GraphCatalogue
from nbgraph.graph.graph import Graph

if TYPE_CHECKING:
    from nbgraph.features.set import FeatureSet
    from nbgraph.features.store import FeatureStore


def passed(body: Any) -> Any:
    """What a step of a picture does: nothing."""
    return body


def lineage(store: FeatureStore, name: str | None) -> Graph:
    """See `FeatureStore.lineage`."""
    if name is not None and name not in store:
        raise FeatureError(f'The store {store.path} has no "{name}"; it has: {", ".join(store) or "nothing"}.')
    graph = Graph("lineage")
    vectors = [each for each in store.vectors.values() if name in (None, each.name) or name in each.names]
    names = {used for vector in vectors for used in vector.names} if name in store.vectors else {name}
    for set in store.sets.values():
        if name is None or set.name in names:
            sources = dict.fromkeys(each["source"] for each in set.offline.history() if each.get("source"))
            for source in sources:
                if source not in graph:
                    graph.add_step(passed, source)
            graph.add_step(passed, set.name, after=list(sources))
    for vector in vectors:
        graph.add_step(passed, vector.name, after=[used for used in vector.names if used in graph])
    _add_deployed(graph, store)
    return graph


def _add_deployed(graph: Graph, store: FeatureStore) -> None:
    """The deployed graphs that read what is drawn, and those that write to it."""
    readers: dict[str, list[str]] = {}
    writers: dict[str, list[str]] = {}
    for running in GraphCatalogue.here().running():
        pairs = [text.rpartition("#") for text in running.features]
        used = [name for place, _, name in pairs if place == str(store.place) and name in graph]
        vectors = [name for name in used if name in store.vectors]
        found = readers if vectors else writers
        if used:
            found.setdefault(f"{running.graph} on {running.target}", []).extend(vectors or used)
    for deployed, names in readers.items():
        graph.add_step(passed, deployed, after=[*dict.fromkeys(names)])
    for deployed, names in writers.items():
        graph.add_step(passed, deployed, before=[*dict.fromkeys(names)])


def way(set: FeatureSet) -> Graph:
    """The way of a set's rows: its steps, its windows, and where they are kept."""
    graph = Graph(set.name) if set.graph is None else copy.copy(set.graph)
    leaving = {edge.source for edge in graph.edges if edge.kind == "flow"}
    caught = {edge.target for edge in graph.edges if edge.kind == "error"}
    ends = [step.name for step in graph.steps if step.name not in leaving | caught]
    if set.aggregates:
        graph.add_step(passed, "windows", after=ends)
        ends = ["windows"]
    graph.add_step(passed, "offline", after=ends)
    graph.add_step(passed, "online", after=["offline"])
    return graph
