"""Builder: adds steps and edges to a graph, and tells listeners of every change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from nbgraph.errors import GraphError
from nbgraph.graph import check, topology
from nbgraph.graph.edge import WHOLE_GRAPH, Caught, Condition, Edge, exception_names
from nbgraph.graph.naming import ENDPOINT, READER, is_built_in
from nbgraph.graph.scope import Scope
from nbgraph.graph.step import Handled, Step, handler_name, step
from nbgraph.types import EdgeKind

if TYPE_CHECKING:
    from nbgraph.graph.routes.route import Route
    from nbgraph.monitor.monitor import Monitor

OPENAI = "openai"
PREVIOUS = "$prev"  # `add_step(after="$prev")`: the step added last


class Builder:
    """Refuses what one change can know to be wrong; the rest is left to `check`.

    >>> plan = Builder("shout", 100, None, True, Scope({}))
    >>> plan.place(step(str.strip)), plan.place(step(str.upper), after=["strip"])
    ('strip', 'upper')
    >>> plan.edges
    (Edge(source='strip', target='upper', when=None, otherwise=False, kind=<EdgeKind.FLOW: 'flow'>),)
    """

    def __init__(
        self, name: str, max_iterations: int, error_stream: Any, copy: bool, scope: Scope, protocol: str | None = None
    ) -> None:
        if not isinstance(name, str) or not name:
            raise GraphError(f"A graph's name is {name!r}; expected a text that is not empty.")
        if not isinstance(max_iterations, int) or isinstance(max_iterations, bool) or max_iterations < 1:
            raise GraphError(
                f'Graph "{name}" has max_iterations={max_iterations!r}; expected a whole number of at least 1.'
            )
        if not isinstance(copy, bool):
            raise GraphError(f'Graph "{name}" has copy={copy!r}; expected True or False.')
        self.name = name
        self.max_iterations = max_iterations
        self.error_stream = error_stream
        if protocol not in (None, OPENAI):
            raise GraphError(f'Graph "{name}" has protocol={protocol!r}; expected "{OPENAI}", or None.')
        self.protocol = protocol  # what callers speak over HTTP, beside sending events
        self.copy = copy  # whether branches have bodies of their own
        self.responders: tuple[str, ...] = ()
        self.scope = scope
        self.watched: Monitor | None = None  # what of it is watched
        self._steps: dict[str, Step] = {}
        self._edges: list[Edge] = []
        self._last: str | None = None
        self._cut_off: dict[str, str] = {}  # steps that no arrow leads to since another was removed
        self.places: dict[tuple[str, str], tuple[int, int]] = {}  # steps and arrows: line and column in their cell
        self._listeners: list[Callable[[], None]] = []
        self._takes_requests: bool | None = None  # None: to be found out

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(self._steps.values())

    @property
    def takes_requests(self) -> bool:
        """Whether handlers may name parameters of a request: in a graph with routes, and in its parts behind queues."""
        if self._takes_requests is None:  # kept, since each step of the graph asks
            self._takes_requests = any(is_built_in(step, (ENDPOINT, READER)) for step in self._steps.values())
        return self._takes_requests

    @property
    def edges(self) -> tuple[Edge, ...]:
        return tuple(self._edges)

    @property
    def routes(self) -> dict[str, Route]:
        """The routes that callers' requests enter by, by the names of their steps; none in most graphs."""
        from nbgraph.graph.routes.routing import routes_of  # the import of a graph needs none of it

        return routes_of(self._steps.values())

    @property
    def responder(self) -> str | None:
        """The step that answers the caller; None where there is none, or one for each of several routes."""
        return self.responders[0] if len(self.responders) == 1 else None

    def __contains__(self, name: object) -> bool:
        return name in self._steps

    def spec(self, name: str) -> Step:
        """The data of the step of that name."""
        try:
            return self._steps[name]
        except KeyError:
            raise GraphError(check.unknown_step(name, self._steps, f'There is no step "{name}"')) from None

    def place(
        self,
        declared: Step,
        after: Iterable[str] = (),
        before: Iterable[str] = (),
        *,
        when: Condition | None = None,
        otherwise: bool = False,
    ) -> str:
        """Put a declared step between others; every way of adding a step ends here; its name."""
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
        return name

    def connect(
        self,
        source: str,
        target: str,
        *,
        when: Condition | None = None,
        otherwise: bool = False,
        kind: EdgeKind = EdgeKind.FLOW,
    ) -> None:
        """Draw an arrow between two steps of the graph."""
        for name in (source, target) if source != WHOLE_GRAPH else (target,):
            self.spec(name)
        if kind is EdgeKind.FLOW:
            self._refuse_loop([source], [target])
        edge = Edge(source, target, when, otherwise, kind)
        if edge not in self._edges:
            self._edges.append(edge)
        self._changed()

    def respond(self, name: str) -> None:
        """Let the step of that name answer the caller; a graph has one responder, or one for each route."""
        self.spec(name)
        if self.responders and name not in self.responders and not self.routes:
            raise GraphError(
                f'Step "{name}" can\'t respond: "{self.responders[0]}" already does, and a graph has one responder, '
                "or one for each route (graph.api)."
            )
        self.responders = tuple(dict.fromkeys([*self.responders, name]))
        self._changed()

    def place_endpoint(self, route: Route) -> str:
        """Let callers enter by a route; its step's name."""
        if route.name in self._steps:
            raise GraphError(f'Graph "{self.name}" has the route "{route.name}" already; a route stands once.')
        from nbgraph.graph.routes.routing import step_of

        name = self._add(step_of(route))
        self._changed()
        return name

    def place_error_handler(
        self,
        source: str,
        declared: Step,
        before: str | Sequence[str] | None = None,
        on: Caught | None = None,
    ) -> None:
        caught = exception_names(on)
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
        self._edges += [Edge(name, child) for child in names_of(before)]
        self._changed()

    def place_alert_handler(self, source: str, declared: Step, when: Condition | None = None) -> str:
        """Let a step take the alerts about a step's edges, or about the whole graph; its name."""
        if source != WHOLE_GRAPH:
            self.spec(source)
        name = self._add(declared)
        self._edges.append(Edge(source, name, when, kind=EdgeKind.ALERT))
        self._changed()
        return name

    def watch(self, watched: Monitor | None) -> None:
        """Set what of the graph is watched."""
        self.watched = watched
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

    def exchange(self, step: Step) -> None:
        """Another handler, arguments or options for the step of that name; its arrows stay."""
        self.spec(step.name)
        self._steps[step.name] = step
        self._changed()

    def remove(self, name: str) -> None:
        """Take a step out, with its arrows and the error handlers that only it used.

        Parameters
        ----------
        name
            Name of the step.
        """
        self.spec(name)
        own = [edge.target for edge in self._edges if not edge.carries_events and edge.source == name]
        following = [edge.target for edge in self._edges if edge.source == name and edge.carries_events]
        del self._steps[name]
        self._edges = [edge for edge in self._edges if name not in (edge.source, edge.target)]
        self._cut_off |= dict.fromkeys(following, name)
        self.responders = tuple(one for one in self.responders if one != name)
        if self._last == name:
            self._last = next(reversed(self._steps), None)
        for handler in own:
            if handler in self._steps and all(edge.target != handler for edge in self._edges):
                self.remove(handler)
        self._changed()

    def become(self, other: Self) -> None:
        """Take over the spec of another graph; whoever holds or views this one sees the new steps."""
        self.name, self.max_iterations, self.error_stream = other.name, other.max_iterations, other.error_stream
        self.protocol, self.watched = other.protocol, other.watched or self.watched
        self.copy, self.responders, self.scope, self._last = other.copy, other.responders, other.scope, other._last
        self._steps, self._edges = dict(other._steps), list(other._edges)
        self._cut_off, self.places = dict(other._cut_off), dict(other.places)
        self._changed()

    def on_change(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call the listener after every change of the spec; returns what ends that.

        Parameters
        ----------
        listener
            Called without arguments.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _add(self, declared: Step) -> str:
        name = declared.name or handler_name(declared.handler) or described(declared.handler)
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
        self._takes_requests = None
        for listener in list(self._listeners):
            listener()


def names_of(given: str | Sequence[str] | None) -> list[str]:
    """One name, several, or none, as a list."""
    return [given] if isinstance(given, str) else list(given or ())


def described(handler: Handled) -> str:
    """A name for a handler that has none: the text of an expression, a graph's own name, the class of an object."""
    if isinstance(handler, str):
        return handler
    return handler.name if isinstance(handler, Builder) else type(handler).__name__


def _rewired(edges: list[Edge], name: str, after: list[str], before: list[str]) -> list[Edge]:
    """The edges when `name` goes in between: those it takes over lead to it, in their place and on their condition."""
    rewired: list[Edge] = []
    for edge in edges:
        is_taken = edge.carries_events and edge.target in before and (not after or edge.source in after)
        moved = replace(edge, target=name) if is_taken else edge
        if moved not in rewired:
            rewired.append(moved)
    return rewired
