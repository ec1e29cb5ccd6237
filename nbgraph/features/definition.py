"""Definition: what a feature set is, as it was written: its graph, its keys, what is aggregated. It runs nothing."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.graph.graph import Graph
from nbgraph.steps.arguments import names_of
from nbgraph.steps.windows.aggregate import AggregateByKey
from nbgraph.steps.windows.spec import FieldAggregator, duration

LONGEST_NAME = 100
OWN_FIELDS = ("_seq", "_written")
Aggregates = Sequence[FieldAggregator | Mapping[str, Any]]


def checked_name(name: Any, what: str) -> str:
    """A name that is a folder's name everywhere.

    >>> checked_name("cards", "A feature set")
    'cards'
    """
    if not isinstance(name, str) or not re.fullmatch(rf"[A-Za-z0-9_-]{{1,{LONGEST_NAME}}}", name):
        shown = repr(name)[:60]
        raise GraphError(
            f"{what} is named {shown}; a name is of letters, digits, _ and -, {LONGEST_NAME} at most: change it."
        )
    return name


def checked_version(version: Any, name: str) -> int:
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise GraphError(f'"{name}" has version={version!r}; expected a whole number from 1.')
    return version


def checked_aggregates(aggregates: Aggregates, name: str) -> list[FieldAggregator]:
    if isinstance(aggregates, FieldAggregator | Mapping):
        raise GraphError(f'The set "{name}" got one aggregator as aggregates; expected a list: aggregates=[...].')
    found = [FieldAggregator.of(each) for each in aggregates]
    if found:
        AggregateByKey(found)  # it refuses columns that would be written twice
    return found


def checked_ttl(ttl: Any, name: str) -> int | None:
    """The microseconds that a held value is good for."""
    if ttl is None:
        return None
    try:
        return duration(ttl) * 1_000_000
    except GraphError as error:
        raise GraphError(f'The set "{name}" has ttl={ttl!r}: {error}') from None


def checked_kinds(features: Any, name: str) -> dict[str, str | None] | None:
    """The held features that are named, each with its kind where that was told."""
    if features is None:
        return None
    if isinstance(features, Mapping):
        return {str(feature): _kind(kind, feature, name) for feature, kind in features.items()}
    return dict.fromkeys(names_of(features, f'The set "{name}"', "features"))


def _kind(kind: Any, feature: str, name: str) -> str:
    word = {int: "int", float: "float", str: "text", bool: "bool", bytes: "bytes"}.get(kind, kind)
    known = ("int", "float", "text", "bool", "time", "date", "bytes")
    if not isinstance(word, str) or word.removeprefix("list of ") not in known:
        raise GraphError(
            f'The set "{name}" has the feature "{feature}" of the kind {kind!r}; expected one of {", ".join(known)}, '
            'or "list of float".'
        )
    return word


def split(graph: Graph, key: Sequence[str], time: str | None) -> tuple[Graph, list[FieldAggregator]]:
    """The graph without the AggregateByKey that it ends in, and what that aggregates.

    A graph that ends in windows of another key or time would store them as values, which go stale: an error.
    """
    leaving = {edge.source for edge in graph.edges if edge.kind == "flow"}
    caught = {edge.target for edge in graph.edges if edge.kind == "error"}
    ends = [step for step in graph.steps if step.name not in leaving | caught]
    if len(ends) != 1 or not _may_aggregate(graph, ends[0].name):
        return graph, []
    handler = graph.plan().steps[ends[0].name].call.target
    if not isinstance(handler, AggregateByKey):
        return graph, []
    given = handler.arguments
    own_key = given.get("key")
    own_keys = [own_key] if isinstance(own_key, str) else list(own_key) if isinstance(own_key, list | tuple) else None
    others = sorted(given.keys() - {"aggregates", "key", "time_field", "context"})
    if own_keys != list(key) or given.get("time_field") != time or others:
        has = f"key={own_key!r}, time_field={given.get('time_field')!r}{''.join(f', {other}=...' for other in others)}"
        raise GraphError(
            f'The graph "{graph.name}" of a feature set ends in AggregateByKey({has}), and the set has key='
            f"{list(key)!r}, time={time!r}. Windows of a set are evaluated when they are asked for, by its own key and "
            "time: give both the same, and nothing else, or name them in the set: aggregates=[...]."
        )
    rest = copy.copy(graph)
    rest.remove(ends[0].name)
    return rest, handler.aggregators


def _may_aggregate(graph: Graph, name: str) -> bool:
    """Whether a step is an AggregateByKey, as far as can be told before the graph is compiled."""
    handler = graph.spec(name).handler
    if isinstance(handler, str):
        handler = graph.scope.namespace.get(handler, graph.scope.library.get(handler))
    return handler is AggregateByKey or isinstance(handler, AggregateByKey)


def windows_graph(name: str, aggregates: Sequence[FieldAggregator], key: Sequence[str], time: str | None) -> Graph:
    """The windows of a set as a graph of one step: so they are drawn, stepped and written like any."""
    graph = Graph(name)
    keys: Any = key[0] if len(key) == 1 else list(key)
    graph.to(AggregateByKey(list(aggregates), key=keys, time_field=time), "windows")
    return graph
