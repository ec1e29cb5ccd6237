"""Whether a step remembers, found out without building those that do not."""

from __future__ import annotations

import inspect
from typing import Any

from nbgraph.engine.bind import resolve
from nbgraph.engine.call import call_of
from nbgraph.engine.flatten import inner_graph
from nbgraph.errors import GraphError
from nbgraph.graph.graph import Graph
from nbgraph.graph.step import Step
from nbgraph.handler import Handler


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
        return _names_state(resolve(graph, step)) and call_of(graph, step).remembers
    except GraphError:
        return False  # whoever compiles the graph is told of it


def _names_state(handler: Any) -> bool:
    """Whether the code of a class names `state` where objects are made: a model is not loaded to know that."""
    if isinstance(handler, Step):
        return _names_state(handler.handler)
    if not inspect.isclass(handler):
        return not inspect.isroutine(handler)
    kinds = [kind for kind in handler.__mro__ if kind not in (Handler, object)]
    codes = [getattr(vars(kind).get("__init__"), "__code__", None) for kind in kinds]
    return any("state" in vars(kind) for kind in kinds) or any("state" in code.co_names for code in codes if code)
