"""Step paths: names of what a debugger stands before: a step, a step of an inner graph, a call that a step makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbgraph.engine.plan import Plan
from nbgraph.errors import NbgraphError
from nbgraph.graph.graph import Graph

INNER = "/"


def require(graph: Graph, path: str) -> None:
    """Raise where the graph has neither a step of that name, nor one inside of a graph, nor a route of a router.

    >>> graph = Graph("g")
    >>> _ = graph.to("ModelRouter", "models").add_route("m1", len)
    >>> require(graph, "models"), require(graph, "models/m1")
    (None, None)
    """
    if not is_there(graph, path):
        graph.spec(path)


def is_there(graph: Graph, path: str) -> bool:
    if INNER not in path or path in graph:
        return path in graph
    try:
        return _is_in(graph.plan(), path)
    except NbgraphError:  # a graph that can't run
        return False


def head_of(plan: Plan, path: str) -> str:
    """The step that is, or makes, the call of that name; the path itself where none is."""
    parts = path.split(INNER)
    heads = (INNER.join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((head for head in heads if head in plan.steps), path)


def groups_of(path: str) -> list[str]:
    """The inner graphs that a step stands in, the outermost first.

    >>> groups_of("tidy/deep/strip")
    ['tidy', 'tidy/deep']
    """
    parts = path.split(INNER)
    return [INNER.join(parts[:count]) for count in range(1, len(parts))]


def is_in(path: str, group: str) -> bool:
    return path.startswith(f"{group}{INNER}")


def _is_in(plan: Plan, path: str) -> bool:
    head = head_of(plan, path)
    if head not in plan.steps:
        return False
    target: Any = plan.steps[head].call.target
    for name in path[len(head) :].split(INNER)[1:]:
        branches = getattr(target, "branches", None)
        if not isinstance(branches, Mapping) or name not in branches:
            return False
        target = branches[name].target
    return True
