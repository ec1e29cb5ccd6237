"""The view of a graph: plain data for a picture, nodes and the lines between them, not how they are drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nbgraph.graph.documents.deployment_call import call_of, graph_called
from nbgraph.graph.edge import WHOLE_GRAPH, Edge
from nbgraph.graph.graph import Graph
from nbgraph.graph.step import Step
from nbgraph.render import step_kind as kinds
from nbgraph.render.printable import printable
from nbgraph.types import EdgeKind

# Characters that are shown of a name, its words, a condition, a title.
LABEL, WORDS, CONDITION, TITLE = 32, 40, 44, 2000
INNER = "/"  # between the name of an inner graph and that of its step, where the engine runs it
DEEPEST = 8  # graphs within graphs: one that holds itself has an end
UNNAMED = "(blank)"  # a name of nothing but spaces


@dataclass(frozen=True, slots=True)
class ViewNode:
    """A step in the picture. `name` is the step's own, everything else is safe to print."""

    id: str
    name: str
    label: str
    sublabel: str
    kind: str
    title: str
    function: str | None = None
    is_responder: bool = False
    routes: tuple[tuple[str, str], ...] = ()
    inner: View | None = None


@dataclass(frozen=True, slots=True)
class ViewLine:
    """An arrow in the picture, between the ids of two nodes."""

    id: str
    source: str
    target: str
    label: str
    kind: str
    title: str


@dataclass(frozen=True, slots=True)
class View:
    """The picture of one graph; `functions` are the deployable groups in the order they appear."""

    name: str
    nodes: tuple[ViewNode, ...] = ()
    lines: tuple[ViewLine, ...] = ()
    ids: Mapping[str, str] = field(default_factory=dict)

    def by_function(self, first: str) -> View:
        """The same view with every step in a function: those without one are in the first."""
        return replace(self, nodes=tuple(replace(node, function=node.function or first) for node in self.nodes))

    @property
    def functions(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(node.function for node in self.nodes if node.function))

    def all_nodes(self) -> Iterator[ViewNode]:
        """The nodes, those of inner graphs with them."""
        for node in self.nodes:
            yield node
            if node.inner is not None:
                yield from node.inner.all_nodes()

    def paths(self) -> dict[str, str]:
        """The id of every step by the name it runs under: `tidy/strip` is step `strip` of the inner graph `tidy`."""
        found = dict(self.ids)
        for node in self.nodes:
            if node.inner is not None:
                found |= {f"{node.name}{INNER}{name}": id for name, id in node.inner.paths().items()}
        return found

    def all_lines(self) -> Iterator[ViewLine]:
        yield from self.lines
        for node in self.nodes:
            if node.inner is not None:
                yield from node.inner.all_lines()


def view(graph: Graph, prefix: str = "", depth: int = 0) -> View:
    """The view of a graph.

    >>> graph = Graph("shout")
    >>> _ = graph.to(str.strip).to(str.upper).respond()
    >>> [(node.id, node.label, node.is_responder) for node in view(graph).nodes]
    [('n0', 'strip', False), ('n1', 'upper', True)]
    """
    ids = {step.name: f"{prefix}n{number}" for number, step in enumerate(graph.steps)}
    handlers = {edge.target for edge in graph.edges if edge.is_error}
    nodes = [_node(graph, step, ids[step.name], step.name in handlers, depth) for step in graph.steps]
    if any(edge.source == WHOLE_GRAPH for edge in graph.edges):
        ids = {**ids, WHOLE_GRAPH: f"{prefix}any"}
        nodes.append(
            ViewNode(ids[WHOLE_GRAPH], WHOLE_GRAPH, "any step", "", kinds.ANY, "An error in any step of the graph")
        )
    known = [edge for edge in graph.edges if edge.source in ids and edge.target in ids]
    lines = [_line(graph, edge, f"{prefix}e{number}", ids) for number, edge in enumerate(known)]
    return View(printable(graph.name, LABEL), tuple(nodes), tuple(lines), ids)


def _node(graph: Graph, step: Step, id: str, handles_errors: bool, depth: int) -> ViewNode:
    handler = kinds.resolved(step, graph)
    kind = kinds.kind_of(step, handler)
    words = printable(kinds.words_of(step, handler, kind), WORDS)
    call = call_of(step, graph)
    within = handler if isinstance(handler, Graph) else graph_called(call) if call is not None else None
    is_graph = within is not None and bool(within.steps) and depth < DEEPEST
    inner = view(within, f"{id}_", depth + 1) if within is not None and is_graph else None
    is_responder = step.name in graph.responders
    title = f"{printable(step.name, TITLE)}: {words}{'; answers the caller' if is_responder else ''}"
    function = (printable(step.function, LABEL) or UNNAMED) if step.function else None
    shown = kinds.ERROR if handles_errors and kind == kinds.TASK else kind
    label = printable(step.name, LABEL) or UNNAMED
    if call is not None and inner is not None:
        shown, label = kinds.GRAPH, f"{label} (deployed)"
    return ViewNode(id, step.name, label, words, shown, title, function, is_responder, tuple(_routes(step)), inner)


def _routes(step: Step) -> Iterator[tuple[str, str]]:
    routes: Any = step.arguments.get("routes")
    for name, route in routes.items() if isinstance(routes, Mapping) else ():
        handler = route.handler if isinstance(route, Step) else route
        declared = Step(str(name), handler, route.arguments if isinstance(route, Step) else {})
        words = kinds.words_of(declared, handler, kinds.TASK)
        yield printable(str(name), LABEL) or UNNAMED, printable(words, WORDS)


def _line(graph: Graph, edge: Edge, id: str, ids: Mapping[str, str]) -> ViewLine:
    condition = _condition(edge)
    if edge.kind is EdgeKind.CYCLE:
        limit = graph.spec(edge.source).options.max_iterations or graph.max_iterations
        condition = f"{condition} max {limit}".strip()
    if not edge.carries_events:
        condition = f"{'' if edge.is_error else condition} on {edge.kind.value}".strip()
    title = f"{printable(edge.source, 200)} → {printable(edge.target, 200)} {printable(condition, TITLE)}".strip()
    label = printable(condition, CONDITION)
    return ViewLine(id, ids[edge.source], ids[edge.target], label, edge.kind.value, title)


def _condition(edge: Edge) -> str:
    if edge.otherwise:
        return "else"
    if edge.when is None:
        return ""
    return f"if {edge.when if isinstance(edge.when, str) else getattr(edge.when, '__name__', 'predicate')}"
