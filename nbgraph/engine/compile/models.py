"""Whether a step is a model or has models, found out without loading one."""

from __future__ import annotations

import inspect
from typing import Any

from nbgraph.engine.compile.bind import resolve
from nbgraph.engine.compile.flatten import inner_graph
from nbgraph.errors import GraphError
from nbgraph.graph.graph import Graph
from nbgraph.graph.step import Step
from nbgraph.steps.models.server import ModelServer
from nbgraph.steps.routers.router import Router


def has_models(graph: Graph, step: Step) -> bool:
    """Whether callers may ask a step about models, by the Open Inference Protocol.

    >>> graph = Graph("g")
    >>> _ = graph.to(str.strip, "strip").to("ModelRouter")
    >>> [has_models(graph, step) for step in graph.steps]
    [False, True]
    """
    inner = inner_graph(graph, step)
    if inner is not None:
        return any(has_models(inner, one) for one in inner.steps)
    try:
        return _is_model(resolve(graph, step))
    except GraphError:
        return False  # whoever compiles the graph is told of it


def _is_model(handler: Any) -> bool:
    if isinstance(handler, Step):
        return _is_model(handler.handler)
    return issubclass(handler if inspect.isclass(handler) else type(handler), Router | ModelServer)
