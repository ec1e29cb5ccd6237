"""Draft: a graph under a builder's hands: every edit makes a new spec for the graph to become, so all can be undone."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from nbgraph.errors import GraphError, NbgraphError
from nbgraph.graph import topology
from nbgraph.graph.edge import Edge
from nbgraph.graph.graph import Graph
from nbgraph.graph.scope import Code
from nbgraph.graph.step import Step, step
from nbgraph.types import EdgeKind
from nbgraph.widgets.editor.source_edit import ordered, rewritten

KEPT = 200  # edits that can be undone


class Draft:
    """Edits of a graph, with undo and redo.

    >>> graph = Graph("shout")
    >>> draft = Draft(graph)
    >>> _ = draft.add("str.strip", after=None), draft.add("str.upper", after="strip")
    >>> draft.respond("upper")
    >>> print(graph.source())
    %%graph shout
    str.strip -> str.upper -> respond
    >>> draft.undo()
    >>> graph.responder is None
    True
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.undone: list[Graph] = []
        self.done: list[Graph] = []

    def add(self, handler: str, after: str | None) -> str:
        """Put in a step that calls what the name means, after another one; returns its name."""
        base = handler.rpartition(".")[2]
        taken = {one.name for one in self.graph.steps}
        name = next(name for name in (base, *(f"{base}{n}" for n in range(2, 10_000))) if name not in taken)
        edges = [Edge(after, name)] if after in taken and after is not None else []
        self._take([*self.graph.steps, step(handler, name)], [*self.graph.edges, *edges])
        return name

    def remove(self, name: str) -> None:
        """Take a step out, with its arrows."""
        self.graph.spec(name)
        steps = [one for one in self.graph.steps if one.name != name]
        edges = [edge for edge in self.graph.edges if name not in (edge.source, edge.target)]
        self._take(steps, edges, [one for one in self.graph.responders if one != name])

    def rename(self, name: str, new: str) -> None:
        """Call a step otherwise; its arrows stay."""
        if not new.strip() or (new != name and new in self.graph):
            raise GraphError(f'A step can\'t be called "{new}"; expected a name that no other step has.')
        called = {one.name: new if one.name == name else one.name for one in self.graph.steps}
        steps = [one.named(called[one.name]) for one in self.graph.steps]
        edges = [
            replace(edge, source=called.get(edge.source, edge.source), target=called[edge.target])
            for edge in self.graph.edges
        ]
        self._take(steps, edges, [called[one] for one in self.graph.responders])

    def connect(
        self, source: str, target: str, *, when: str = "", otherwise: bool = False, on_error: bool = False
    ) -> None:
        """Draw an arrow, or change the one that is there; an arrow back makes a cycle."""
        kind = EdgeKind.ERROR if on_error else EdgeKind.CYCLE if self._leads_back(source, target) else EdgeKind.FLOW
        _require_expression(when)
        edge = Edge(source, target, when or None, otherwise and not when, kind)
        edges = list(self.graph.edges)
        places = [at for at, one in enumerate(edges) if (one.source, one.target) == (source, target)]
        if places:
            edges[places[0]] = edge
        else:
            edges.append(edge)
        self._take(self.graph.steps, edges)

    def disconnect(self, source: str, target: str) -> None:
        """Take an arrow away."""
        edges = [edge for edge in self.graph.edges if (edge.source, edge.target) != (source, target)]
        self._take(self.graph.steps, edges)

    def respond(self, name: str | None) -> None:
        """Let a step answer the caller, or none; in a graph with routes those of other routes go on answering."""
        others = [one for one in self.graph.responders if name is not None and not self._is_rival(one, name)]
        self._take(self.graph.steps, self.graph.edges, [*others, *([name] if name is not None else [])])

    def arguments(self, name: str, texts: Mapping[str, str]) -> None:
        """Set what the step's handler is built with, from Python texts; an empty text leaves the default."""
        given = {key: _argument(key, text) for key, text in texts.items() if text.strip()}
        kept = {key: value for key, value in self.graph.spec(name).arguments.items() if key not in texts}
        changed = MappingProxyType({**kept, **given})
        self._take(
            [replace(one, arguments=changed) if one.name == name else one for one in self.graph.steps], self.graph.edges
        )

    def text(self, source: str) -> None:
        """Become what a `%%graph` text says."""
        parsed = Graph.parse(source, namespace=self.graph.scope.namespace)
        new = _assembled(self.graph, parsed.steps, parsed.edges, parsed.responders)
        new.name, new.max_iterations, new.protocol = parsed.name, parsed.max_iterations, parsed.protocol
        new.written = source
        self._become(new)

    def undo(self) -> None:
        if self.done:
            self.undone.append(self._copy())
            self._put(self.done.pop())

    def redo(self) -> None:
        if self.undone:
            self.done.append(self._copy())
            self._put(self.undone.pop())

    def _is_rival(self, one: str, name: str) -> bool:
        """Whether both can't answer: they are the same, or come of the same route, or there are no routes."""
        names = [step.name for step in self.graph.steps]
        following = topology.successors(names, self.graph.edges, kinds=[EdgeKind.FLOW, EdgeKind.CYCLE])
        behind = [topology.reachable(following, [route]) for route in self.graph.routes]
        return one == name or not behind or any({one, name} <= steps for steps in behind)

    def _leads_back(self, source: str, target: str) -> bool:
        names = [one.name for one in self.graph.steps]
        others = [edge for edge in self.graph.edges if (edge.source, edge.target) != (source, target)]
        return topology.reaches(topology.successors(names, others, kinds=[EdgeKind.FLOW]), target, source)

    def _take(self, steps: Iterable[Step], edges: Iterable[Edge], responders: Iterable[str] | None = None) -> None:
        answering = self.graph.responders if responders is None else responders
        new = _assembled(self.graph, steps, edges, answering)
        if self.graph.written:
            new, new.written = _rewritten(new, self.graph.written)
        self._become(new)

    def _become(self, new: Graph) -> None:
        self.done = [*self.done, self._copy()][-KEPT:]
        self.undone.clear()
        self._put(new)

    def _put(self, new: Graph) -> None:
        self.graph.written = new.written  # before the views are told
        self.graph.become(new)

    def _copy(self) -> Graph:
        copy = _assembled(self.graph, self.graph.steps, self.graph.edges, self.graph.responders)
        copy.written = self.graph.written
        return copy


def _rewritten(new: Graph, written: str) -> tuple[Graph, str]:
    """The edited graph with its text; the order of its parts is that of the text."""
    try:
        text = rewritten(written, new)
        return ordered(new, text), text
    except NbgraphError:  # a graph that has no text
        return new, ""


def _assembled(like: Graph, steps: Iterable[Step], edges: Iterable[Edge], responders: Iterable[str]) -> Graph:
    return Graph.assemble(
        like.name, steps, edges, scope=like.scope, responders=responders, max_iterations=like.max_iterations,
        error_stream=like.error_stream,
        copy=like.copy, protocol=like.protocol,
    )  # fmt: skip


def _argument(name: str, text: str) -> Any:
    _require_expression(text, f"The argument {name}")
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, TypeError):
        return Code(text.strip())


def _require_expression(text: str, what: str = "The condition") -> None:
    if not text.strip():
        return
    try:
        ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        raise GraphError(f"{what} is {text!r}, which is not a Python expression: {error.msg}.") from None
