"""The parts a graph falls into when its queues lead over a broker, all of them in this process.

A deployment cuts where functions meet; here every Queue is a border too. The parts lead one to the next and never back,
so that a part that waits for room in a full queue never waits for itself. What can't be told apart by messages stays
together: cycles, whose rounds are counted; a step and its error handler; steps that gather all that came of an event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from nbgraph.engine.compile.compile import compile
from nbgraph.engine.compile.flatten import SEPARATOR
from nbgraph.engine.partition import WRITER, Function, is_queue, split
from nbgraph.engine.plan import Plan
from nbgraph.graph import topology
from nbgraph.graph.edge import Edge
from nbgraph.graph.graph import Graph
from nbgraph.graph.naming import READER
from nbgraph.graph.routes.routing import answerers
from nbgraph.steps.operators.queue import QueueWriter
from nbgraph.streams.base import QueueSpec
from nbgraph.types import EdgeKind


@dataclass(frozen=True, slots=True)
class GraphPart:
    """The plan of a part, the queues it reads, and whether what its steps give are answers."""

    plan: Plan
    reads: tuple[str, ...]
    answers: bool

    @property
    def writes(self) -> list[QueueSpec]:
        """The queues it writes to."""
        targets = [step.call.target for step in self.plan.steps.values()]
        return [target.spec for target in targets if isinstance(target, QueueWriter)]


def parts_of(graph: Graph, plan: Plan) -> list[GraphPart]:
    """The parts of a graph, the one that events enter first; they share the built steps of the graph's own plan.

    >>> graph = Graph("two")
    >>> _ = graph.to(str.strip).to("Queue", "cleaned").to(str.upper)
    >>> [part.reads for part in parts_of(graph, graph.plan())]
    [(), ('cleaned',)]
    """
    numbers = _NumberedRegions(graph, plan).numbers()
    steps = [replace(step, function=f"part-{numbers[step.name]}") for step in graph.steps]
    answering = answerers(graph.responders, [step.name for step in steps], graph.edges, graph.routes)
    responders = answering if graph.routes else graph.responders
    numbered = Graph.assemble(graph.name, steps, graph.edges, scope=graph.scope, responders=responders, copy=graph.copy)
    return [_part(graph, plan, function, responders) for function in split(numbered)]


def _part(graph: Graph, plan: Plan, function: Function, answering: Sequence[str]) -> GraphPart:
    """The part's own plan; a step that is not a border stays the very one that the graph has, built once."""
    borders = [step for step in function.graph.steps if step.handler in (READER, WRITER)]
    own = [graph.spec(step.name) for step in function.graph.steps if step not in borders]
    responders = [step.name for step in own if step.name in answering]
    part = Graph.assemble(
        graph.name,
        [*borders, *own],
        function.graph.edges,
        scope=graph.scope,
        responders=responders,
        max_iterations=graph.max_iterations,
        error_stream=graph.error_stream,
        copy=graph.copy,
    )
    part.observers, part.reported = graph.observers, graph.reported
    return GraphPart(compile(part, plan), function.reads, not answering or bool(responders))


class _NumberedRegions:
    """The steps of a graph in numbered regions; an arrow never leads to a region of a lower number."""

    def __init__(self, graph: Graph, plan: Plan) -> None:
        self._graph = graph
        self._queues = {step.name for step in graph.steps if is_queue(step)}
        self._groups = self._together(plan)
        self._count = 1
        self._behind: dict[tuple[str, str | None], int] = {}  # the region behind a queue, or behind a function's end
        self._numbers: dict[str, int] = {}
        self._functions: dict[str, str | None] = {}

    def numbers(self) -> dict[str, int]:
        """The region of each step."""
        entering: dict[str, list[Edge]] = {group: [] for group in self._groups.values()}
        for edge in self._graph.edges:
            source, target = self._groups.get(edge.source), self._groups[edge.target]
            if source is not None and source != target:
                entering[target].append(edge)
        following: dict[str, list[str]] = {group: [] for group in entering}
        for group, edges in entering.items():
            for edge in edges:
                following[self._groups[edge.source]].append(group)
        for group in topology.sorted_steps(following):
            self._place(group, entering[group])
        return {name: self._numbers[group] for name, group in self._groups.items()}

    def _place(self, group: str, entering: list[Edge]) -> None:
        members = [step for step in self._graph.steps if self._groups[step.name] == group]
        above = [self._functions[self._groups[edge.source]] for edge in entering]
        own = next((step.function for step in members if step.function), None)
        self._functions[group] = own or next(iter(above), None)
        self._numbers[group] = max((self._entered(edge, own) for edge in entering), default=0)

    def _entered(self, edge: Edge, function: str | None) -> int:
        """The region that an arrow leads to."""
        source = self._groups[edge.source]
        if edge.source in self._queues:
            return self._new(edge.source, None)
        if function is not None and function != self._functions[source]:
            return self._new(f"{self._numbers[source]}", function)
        return self._numbers[source]

    def _new(self, border: str, function: str | None) -> int:
        if (border, function) not in self._behind:
            self._behind[border, function] = self._count
            self._count += 1
        return self._behind[border, function]

    def _together(self, plan: Plan) -> dict[str, str]:
        """Each step's group, by the name of one of its members: those that must not be parted."""
        names, edges = [step.name for step in self._graph.steps], self._graph.edges
        kinds = [EdgeKind.FLOW, EdgeKind.CYCLE, EdgeKind.ERROR]
        ways = topology.successors(names, edges, kinds=kinds)
        entries = [*topology.starts(names, edges), *(edge.target for edge in edges if topology.is_whole_graph(edge))]
        back = [*pairwise(entries), *pairwise(reversed(entries))]
        back += [(edge.target, edge.source) for edge in edges if edge.is_error and edge.source in ways]
        back += [(name if name in ways else name.split(SEPARATOR)[0], entries[0]) for name in plan.gatherers]
        waiting = self._queues.intersection(self._graph.responders)  # it answers with what waits in it
        back += [(edge.target, edge.source) for edge in edges if edge.source in waiting]
        for source, target in back:
            ways[source].append(target)
        groups = {name: name for name in names}
        for cycle in topology.cycles(ways):
            groups |= dict.fromkeys(cycle, cycle[0])
        return groups
