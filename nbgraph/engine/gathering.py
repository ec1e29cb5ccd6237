"""Gathering: a step that gathers what came of an event must know when all of it is there."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from nbgraph.engine.compile.bind import resolve
from nbgraph.errors import DeployError, GraphError
from nbgraph.graph.graph import Graph
from nbgraph.graph.step import Step
from nbgraph.graph.topology import reachable
from nbgraph.handler import Handler
from nbgraph.types import EdgeKind, Shape


def check_gathering(graph: Graph, owners: Mapping[str, str]) -> None:
    """Refuse parts of an event that come from another function one by one: none of them is known to be the last."""
    for step in graph.steps:
        kind = _kind(graph, step)
        if not issubclass(kind, Handler) or kind.gathered is Handler.gathered:
            continue
        for source in _before(graph, step.name, owners):
            if _gives_several(graph, source, is_stream=kind.streamed is not Handler.streamed):
                raise DeployError(
                    f'"{step.name}" gathers what "{source}" gives, and an arrow between them leads from one function '
                    "to another, over which each part comes alone. Put both into one function."
                )


def check_one_answer(graph: Graph, answering: Collection[str]) -> None:
    """Refuse answers in several parts over functions, of which a caller would get the first alone."""
    for name in answering:
        ways = [name, *_above(graph, name)]
        several = next((one for one in ways if _gives_several(graph, one, is_stream=True)), None)
        if several is not None:
            raise DeployError(
                f'"{several}" gives an answer in parts, and graph "{graph.name}" falls into several functions, over '
                "which a caller gets one. Put all of it into one function, or let the step return the whole text."
            )


def _above(graph: Graph, name: str) -> set[str]:
    """The steps from which a way leads to this one."""
    back: dict[str, list[str]] = {step.name: [] for step in graph.steps}
    for edge in graph.edges:
        if edge.carries_events and edge.source in back:
            back[edge.target].append(edge.source)
    return reachable(back, back[name])


def _before(graph: Graph, name: str, owners: Mapping[str, str]) -> Iterator[str]:
    """The steps from which a way leads to this one that crosses from one function to another."""
    seen, waiting = {(name, False)}, [(name, False)]
    while waiting:
        target, crossed = waiting.pop()
        for edge in graph.edges:
            if edge.target != target or not edge.carries_events or edge.source not in owners:
                continue
            before = (edge.source, crossed or owners[edge.source] != owners[target])
            if before not in seen:
                seen.add(before)
                waiting.append(before)
                if before[1]:
                    yield edge.source


def _gives_several(graph: Graph, name: str, *, is_stream: bool) -> bool:
    step = graph.spec(name)
    kind = _kind(graph, step)
    if issubclass(kind, Handler):
        return not is_stream and kind.shape is Shape.FLAT
    handler = _resolved(graph, step)
    function = (
        handler if inspect.isroutine(handler) else getattr(kind, "do", inspect.getattr_static(kind, "__call__", None))
    )
    is_generator = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
    branches = [edge for edge in graph.edges if edge.source == name and edge.kind is EdgeKind.FLOW]
    return is_generator or (not is_stream and len(branches) > 1)


def _kind(graph: Graph, step: Step) -> type:
    resolved = _resolved(graph, step)
    return resolved if isinstance(resolved, type) else type(resolved)


def _resolved(graph: Graph, step: Step) -> Any:
    try:
        return resolve(graph, step)
    except GraphError:  # whoever compiles the graph is told of it
        return None
