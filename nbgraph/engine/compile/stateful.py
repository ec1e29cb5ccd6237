"""Whether a step remembers: it is built and looked at, but for those that can't."""

from __future__ import annotations

import inspect
from typing import Any

from nbgraph.engine.compile.bind import resolve
from nbgraph.engine.compile.call import call_of
from nbgraph.engine.compile.flatten import inner_graph
from nbgraph.engine.compile.state import may_have_state
from nbgraph.errors import GraphError
from nbgraph.graph.graph import Graph
from nbgraph.graph.step import Step


def remembers(graph: Graph, step: Step) -> bool:
    """Whether a step, or one of those in the graph that it is, has a state that goes from one event to the next.

    >>> graph = Graph("g")
    >>> _ = graph.to(str.strip, "strip").to("Batch", max_events=2)
    >>> [remembers(graph, step) for step in graph.steps]
    [False, True]
    """
    inner = inner_graph(graph, step)
    if inner is not None:
        return any(remembers(inner, one) for one in inner.steps)
    try:
        return _may(resolve(graph, step)) and call_of(graph, step).remembers
    except GraphError:
        return False  # whoever compiles the graph is told of it


def _may(handler: Any) -> bool:
    """Whether the step has to be looked at as it is when it is built."""
    if isinstance(handler, Step):
        return _may(handler.handler)
    return may_have_state(handler) if inspect.isclass(handler) else not inspect.isroutine(handler)
