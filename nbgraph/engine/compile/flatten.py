"""Flattening: nested graphs become steps of the outer graph, so that one plan runs them all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from nbgraph.engine.compile.bind import UnboundError, named
from nbgraph.engine.compile.condition import bound
from nbgraph.errors import GraphError
from nbgraph.graph import topology
from nbgraph.graph.edge import WHOLE_GRAPH, Edge
from nbgraph.graph.graph import Graph
from nbgraph.graph.step import Step, StepOptions
from nbgraph.types import EdgeKind

SEPARATOR = "/"  # `outer` runs step `inner/clean`


@dataclass(frozen=True, slots=True)
class Owned:
    """A step, the graph that is the scope of its names, and its limit on a cycle."""

    step: Step
    graph: Graph
    limit: int


@dataclass(frozen=True, slots=True)
class Flat:
    """All steps with their owners, all edges, the responders, the nested graphs."""

    steps: dict[str, Owned]
    edges: tuple[Edge, ...]
    responders: tuple[str, ...]
    inner: tuple[Graph, ...] = ()


def flatten(graph: Graph, around: Sequence[Graph] = ()) -> Flat:
    """The graph with every nested graph replaced by its steps, named `inner/step`.

    >>> inner = Graph("inner")
    >>> _ = inner.to(str.strip).to(str.upper)
    >>> outer = Graph("outer")
    >>> _ = outer.to(inner).to(len)
    >>> list(flatten(outer).steps), outer.run(" abc ")
    (['inner/strip', 'inner/upper', 'len'], 3)
    """
    if graph in around:
        way = " -> ".join(f'"{one.name}"' for one in (*around, graph))
        raise GraphError(f"Graph {way} contains itself; nesting must be finite.")
    steps: dict[str, Owned] = {}
    edges = [bound(edge, graph) for edge in graph.edges]
    responders, within = list(graph.responders), list[Graph]()
    for step in graph.steps:
        inner = inner_graph(graph, step)
        if inner is None:
            steps[step.name] = Owned(step, graph, step.options.max_iterations or graph.max_iterations)
            continue
        flat = flatten(inner, (*around, graph))
        within += [inner, *flat.inner]
        prefix = f"{step.name}{SEPARATOR}"
        steps |= {f"{prefix}{name}": owned for name, owned in flat.steps.items()}
        edges = _spliced(edges, step.name, prefix, flat)
        if step.name in responders:
            responders[responders.index(step.name)] = _only_exit(step.name, [f"{prefix}{name}" for name in exits(flat)])
    return Flat(steps, tuple(edges), tuple(responders), tuple(within))


def inner_graph(graph: Graph, step: Step) -> Graph | None:
    """The graph that a step runs, if its handler is one or names one."""
    handler = step.handler
    if isinstance(handler, str) and handler.isidentifier():
        try:
            handler = named(handler, graph.scope)
        except UnboundError:
            return None
    if not isinstance(handler, Graph):
        return None
    if replace(step.options, max_iterations=None) != StepOptions() or step.arguments:
        raise GraphError(
            f'Step "{step.name}" is a graph and has options or arguments; give them to the steps inside it.'
        )
    return handler


def exits(flat: Flat) -> list[str]:
    """The steps whose results leave a graph: its responder, else its ends and those of its error handlers."""
    following = topology.successors(flat.steps, flat.edges, kinds=[EdgeKind.FLOW, EdgeKind.CYCLE])
    main = topology.reachable(following, topology.starts(flat.steps, flat.edges))
    rescues = [name for name, after in following.items() if name not in main and not after]
    return [*(flat.responders or topology.ends(flat.steps, flat.edges)), *rescues]


def _only_exit(name: str, leaving: list[str]) -> str:
    if len(leaving) > 1:
        raise GraphError(
            f'Graph "{name}" can\'t respond: its results leave by several steps ({", ".join(leaving)}); let one of '
            "them respond inside it, or add a step behind it that responds."
        )
    return leaving[0]


def _spliced(edges: Iterable[Edge], name: str, prefix: str, flat: Flat) -> list[Edge]:
    """The outer edges led to the inner starts and away from the inner exits, and the inner edges between them."""
    entering = [f"{prefix}{start}" for start in topology.starts(flat.steps, flat.edges)]
    leaving = [f"{prefix}{end}" for end in exits(flat)]
    outer: list[Edge] = []
    for edge in edges:
        targets = entering if edge.target == name else [edge.target]
        if edge.is_error and edge.source == name:
            outer += _error_edges(edge, prefix, flat)
            continue
        sources = leaving if edge.source == name else [edge.source]
        outer += [replace(edge, source=source, target=target) for source in sources for target in targets]
    return [*outer, *_inner_edges(prefix, flat)]


def _inner_edges(prefix: str, flat: Flat) -> list[Edge]:
    """The inner edges under their new names; the inner graph's own error handler becomes that of each inner step."""
    inner: list[Edge] = []
    for edge in flat.edges:
        if edge.is_alert and edge.source == WHOLE_GRAPH:
            target = f"{prefix}{edge.target}"
            inner += [replace(edge, source=f"{prefix}{name}", target=target) for name in flat.steps]
        elif topology.is_whole_graph(edge):
            inner += _error_edges(replace(edge, target=f"{prefix}{edge.target}"), prefix, flat, besides=edge.target)
        else:
            inner.append(replace(edge, source=f"{prefix}{edge.source}", target=f"{prefix}{edge.target}"))
    return inner


def _error_edges(edge: Edge, prefix: str, flat: Flat, besides: str = "") -> list[Edge]:
    handled = {own.source for own in flat.edges if own.is_error and own.source != WHOLE_GRAPH and own.when is None}
    has_own_handler = any(map(topology.is_whole_graph, flat.edges))
    if not besides and has_own_handler:
        return []  # the inner graph's handler takes all errors before the outer step's
    return [replace(edge, source=f"{prefix}{name}") for name in flat.steps if name not in handled and name != besides]
