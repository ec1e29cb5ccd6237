"""Graph: what the user means: named steps, the arrows between them, who answers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.graph import check, topology
from nbgraph.graph.doors import Doors
from nbgraph.graph.edge import WHOLE_GRAPH, Caught, Condition, Edge
from nbgraph.graph.ref import StepRef
from nbgraph.graph.scope import Scope
from nbgraph.graph.step import Handled, Retried, Step, handler_name, step
from nbgraph.types import EdgeKind

PREVIOUS = "$prev"  # `add_step(after="$prev")`: the step added last


class Graph(Doors):
    """A graph of steps. It is plain data: it holds no socket, loop or colour, and runs by being compiled.

    >>> graph = Graph("shout")
    >>> graph.to(str.strip).to(str.upper).respond()
    <step 'upper' of graph 'shout'>
    >>> graph.run(" hello ")
    'HELLO'
    """

    def __init__(self, name: str = "graph", max_iterations: int = 100, error_stream: Any = None) -> None:
        if not isinstance(name, str) or not name:
            raise GraphError(f"A graph's name is {name!r}; expected a text that is not empty.")
        self.name = name
        self.max_iterations = max_iterations
        self.error_stream = error_stream
        self.responder: str | None = None
        self._steps: dict[str, Step] = {}
        self._edges: list[Edge] = []
        self._last: str | None = None
        self._listeners: list[Callable[[], None]] = []
        self.scope = Scope(sys._getframe(1).f_globals)  # names are looked up where the graph was made
        super().__init__()

    @classmethod
    def assemble(
        cls,
        name: str,
        steps: Iterable[Step],
        edges: Iterable[Edge],
        *,
        scope: Scope,
        responder: str | None = None,
        max_iterations: int = 100,
        error_stream: Any = None,
    ) -> Graph:
        """A graph of parts that were looked at already: what the readers of texts end with."""
        graph = cls(name, max_iterations, error_stream)
        graph._steps = {step.name: step for step in steps}
        graph._edges = list(dict.fromkeys(edges))
        graph._last = next(reversed(graph._steps), None)
        graph.responder, graph.scope = responder, scope
        return graph

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(self._steps.values())

    @property
    def edges(self) -> tuple[Edge, ...]:
        return tuple(self._edges)

    def __contains__(self, name: object) -> bool:
        return name in self._steps

    def step(self, name: str) -> StepRef:
        """The step of that name, to wire more to it."""
        self.spec(name)
        return StepRef(self, name)

    def spec(self, name: str) -> Step:
        """The data of the step of that name."""
        try:
            return self._steps[name]
        except KeyError:
            raise GraphError(check.unknown_step(name, self._steps, f'There is no step "{name}"')) from None

    def to(
        self,
        handler: Handled,
        name: str | None = None,
        *,
        function: str | None = None,
        full_event: bool = False,
        input_path: str | None = None,
        result_path: str | None = None,
        when: Condition | None = None,
        otherwise: bool = False,
        max_iterations: int | None = None,
        concurrency: int | None = None,
        ordered: bool = True,
        retries: int = 0,
        retry_on: Retried = (Exception,),
        timeout: float | None = None,
        **arguments: Any,
    ) -> StepRef:
        """Add a step that events enter the graph by."""
        declared = step(
            handler, name, function=function, full_event=full_event, input_path=input_path, result_path=result_path,
            max_iterations=max_iterations, concurrency=concurrency, ordered=ordered, retries=retries,
            retry_on=retry_on, timeout=timeout, **arguments,
        )  # fmt: skip
        return self.place(declared, when=when, otherwise=otherwise)

    def add_step(
        self,
        handler: Handled,
        name: str | None = None,
        *,
        after: str | Sequence[str] | None = None,
        before: str | Sequence[str] | None = None,
        when: Condition | None = None,
        otherwise: bool = False,
        **options: Any,
    ) -> StepRef:
        """Add a step anywhere: after steps, before others (taking their arrows over), between both.

        >>> graph = Graph("between")
        >>> _ = graph.to(str.strip).to(str.upper)
        >>> _ = graph.add_step(str.title, after="strip", before="upper")
        >>> [(edge.source, edge.target) for edge in graph.edges]
        [('strip', 'title'), ('title', 'upper')]
        """
        parents = [self._previous() if parent == PREVIOUS else parent for parent in _names(after)]
        return self.place(step(handler, name, **options), parents, _names(before), when=when, otherwise=otherwise)

    def error_handler(
        self, handler: Handled, name: str | None = None, *, on: Caught | None = None, **options: Any
    ) -> Graph:
        """One handler for the errors that no step's own handler takes."""
        if "before" in options:
            raise GraphError(
                f'The error handler of graph "{self.name}" has `before`; only a step\'s own handler can go on with '
                "other steps: use graph.step(name).error_handler(handler, before=...)."
            )
        self.place_error_handler(WHOLE_GRAPH, step(handler, name, **options), on=on)
        return self

    def remove(self, name: str) -> None:
        """Take a step out, with its arrows and the error handlers that only it used."""
        self.spec(name)
        own = [edge.target for edge in self._edges if edge.is_error and edge.source == name]
        del self._steps[name]
        self._edges = [edge for edge in self._edges if name not in (edge.source, edge.target)]
        if self.responder == name:
            self.responder = None
        if self._last == name:
            self._last = next(reversed(self._steps), None)
        for handler in own:
            if handler in self._steps and all(edge.target != handler for edge in self._edges):
                self.remove(handler)
        self._changed()

    def check(self) -> list[str]:
        """All faults of the graph, one sentence each; an empty list for a sound graph."""
        return check.problems(self.steps, self.edges) or self._binding_problems()

    def place(
        self,
        declared: Step,
        after: Iterable[str] = (),
        before: Iterable[str] = (),
        *,
        when: Condition | None = None,
        otherwise: bool = False,
    ) -> StepRef:
        """Put a declared step between others; every way of adding a step ends here."""
        after, before = list(after), list(before)
        for name in (*after, *before):
            self.spec(name)
        if not after and (when is not None or otherwise):
            raise GraphError(
                f'Step "{declared.name or handler_name(declared.handler)}" is where events enter, so no arrow leads '
                "to it that could carry a condition; put a Filter before it."
            )
        self._refuse_loop(after, before)
        name = self._add(declared)
        if before:
            self._edges = _rewired(self._edges, name, after, before)
        reached = {edge.source for edge in self._edges if edge.target == name} if before else ()
        self._edges += [Edge(parent, name, when, otherwise) for parent in after if parent not in reached]
        self._edges += [Edge(name, child) for child in before]
        self._changed()
        return StepRef(self, name)

    def connect(
        self,
        source: str,
        target: str,
        *,
        when: Condition | None = None,
        otherwise: bool = False,
        kind: EdgeKind = EdgeKind.FLOW,
    ) -> StepRef:
        """Draw an arrow between two steps of the graph; returns the target."""
        for name in (source, target) if source != WHOLE_GRAPH else (target,):
            self.spec(name)
        if kind is EdgeKind.FLOW:
            self._refuse_loop([source], [target])
        edge = Edge(source, target, when, otherwise, kind)
        if edge not in self._edges:
            self._edges.append(edge)
        self._changed()
        return StepRef(self, target)

    def respond(self, name: str) -> None:
        """Let the step of that name answer the caller; a graph has one responder."""
        self.spec(name)
        if self.responder not in (None, name):
            raise GraphError(
                f'Step "{name}" can\'t respond: "{self.responder}" already does, and a graph has one responder.'
            )
        self.responder = name
        self._changed()

    def place_error_handler(
        self,
        source: str,
        declared: Step,
        before: str | Sequence[str] | None = None,
        on: Caught | None = None,
    ) -> None:
        caught = _exception_names(on)
        for edge in self._edges:
            if edge.is_error and edge.source == source and edge.when == caught:
                where = f'Graph "{self.name}"' if source == WHOLE_GRAPH else f'Step "{source}"'
                raise GraphError(
                    f'{where} has an error handler already, "{edge.target}"; remove it first, or tell both by the '
                    "exceptions they take: error_handler(handler, on=ValueError)."
                )
        name = self._add(declared)
        self._edges.append(Edge(source, name, caught, kind=EdgeKind.ERROR))
        # `before` may name a step that is added later, so it is left to check().
        self._edges += [Edge(name, child) for child in _names(before)]
        self._changed()

    def place_cycle(self, source: str, targets: Iterable[str], max_iterations: int | None) -> None:
        for target in targets:
            self.connect(source, target, kind=EdgeKind.CYCLE)
        if max_iterations is not None:
            self.limit(source, max_iterations)

    def limit(self, name: str, max_iterations: int) -> None:
        """Set how often the step may run for one event, when it lies on a cycle."""
        spec = self.spec(name)
        checked = step(spec.handler, name, max_iterations=max_iterations).options.max_iterations
        self._steps[name] = replace(spec, options=replace(spec.options, max_iterations=checked))
        self._changed()

    def place_route(self, name: str, route: Step) -> None:
        router = self.spec(name)
        routes = dict(router.arguments.get("routes") or {})
        if route.name in routes:
            raise GraphError(f'Router "{name}" has a route "{route.name}" already.')
        arguments = {**router.arguments, "routes": {**routes, route.name: route}}
        self._steps[name] = replace(router, arguments=MappingProxyType(arguments))
        self._changed()

    def become(self, other: Graph) -> None:
        """Take over the spec of another graph; whoever holds or views this one sees the new steps."""
        self.name, self.max_iterations, self.error_stream = other.name, other.max_iterations, other.error_stream
        self.responder, self.scope, self._last = other.responder, other.scope, other._last
        self._steps, self._edges = dict(other._steps), list(other._edges)
        self._changed()

    def on_change(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call the listener after every change of the spec; returns what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Graph) and self._spec_document() == other._spec_document()

    __hash__ = object.__hash__  # a graph is a place that views and runs refer to

    def __repr__(self) -> str:
        return f"<Graph {self.name!r}: {len(self._steps)} steps, {len(self._edges)} edges>"

    def _add(self, declared: Step) -> str:
        name = declared.name or handler_name(declared.handler) or _described(declared.handler)
        if name in self._steps:
            raise GraphError(
                f'Graph "{self.name}" has a step "{name}" already. Give this one a name of its own: '
                f'.to(handler, "{name}2").'
            )
        if name == WHOLE_GRAPH:
            raise GraphError(f'A step can\'t be called "{WHOLE_GRAPH}"; it stands for the whole graph.')
        self._steps[name] = declared.named(name)
        self._last = name
        return name

    def _previous(self) -> str:
        if self._last is None:
            raise GraphError(f'Graph "{self.name}" has no step yet that "{PREVIOUS}" could mean.')
        return self._last

    def _refuse_loop(self, after: Sequence[str], before: Sequence[str]) -> None:
        if not (after and before):
            return
        following = topology.successors(self._steps, self._edges, kinds=[EdgeKind.FLOW])
        for child in before:
            for parent in after:
                if topology.reaches(following, child, parent):
                    raise GraphError(
                        f'An arrow from "{parent}" to "{child}" makes a loop, since "{child}" already leads to '
                        f'"{parent}". If a cycle is meant: graph.step("{parent}").cycle_to("{child}").'
                    )

    def _changed(self) -> None:
        self._before, self._plan = self._plan or self._before, None
        for listener in list(self._listeners):
            listener()


def _names(given: str | Sequence[str] | None) -> list[str]:
    return [given] if isinstance(given, str) else list(given or ())


def _exception_names(on: Caught | None) -> str | None:
    """The names of exceptions as an error edge has them: `"ValueError | KeyError"`."""
    if on is None:
        return None
    named = [one if isinstance(one, str) else _exception_name(one) for one in (on if isinstance(on, tuple) else (on,))]
    return " | ".join(named)


def _exception_name(kind: type[BaseException]) -> str:
    is_near = kind.__module__ in ("builtins", "__main__") or "<locals>" in kind.__qualname__
    return kind.__name__ if is_near else f"{kind.__module__}.{kind.__qualname__}"


def _described(handler: Handled) -> str:
    """A name for a handler that has none: the text of an expression, the class of an object."""
    if isinstance(handler, str):
        return handler
    name = getattr(handler, "name", None)  # a graph inside a graph is called as itself
    return name if isinstance(handler, Graph) and isinstance(name, str) else type(handler).__name__


def _rewired(edges: list[Edge], name: str, after: list[str], before: list[str]) -> list[Edge]:
    """The edges when `name` goes in between: those it takes over lead to it, in their place and on their condition."""
    rewired: list[Edge] = []
    for edge in edges:
        is_taken = edge.carries_events and edge.target in before and (not after or edge.source in after)
        moved = replace(edge, target=name) if is_taken else edge
        if moved not in rewired:
            rewired.append(moved)
    return rewired
