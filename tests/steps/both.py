"""Both: a graph's answers with and without somebody watching, which must be the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from nbgraph import Graph
from nbgraph.engine.interpret.observer import Observer


def both_ways(handler: Any, source: Iterable[Any], *, key: Any = None, **options: Any) -> list[Any]:
    """What a graph of one step answers to the events of the source."""
    return graphs_both_ways(lambda: _of_one(handler, options), source, key=key)


def graphs_both_ways(make: Callable[[], Graph], source: Iterable[Any], *, key: Any = None) -> list[Any]:
    """The answers of a graph to the events of the source."""
    events = list(source)
    plain = list(make().stream(events, key=key))
    watched = make()
    watched.observers.append(Observer())
    assert list(watched.stream(events, key=key)) == plain
    return plain


def _of_one(handler: Any, options: dict[str, Any]) -> Graph:
    graph = Graph("one")
    graph.to(handler, **options)
    return graph
