"""Partition: the functions that a graph is cut into, each of which becomes one image and one service.

The graph is cut wherever an arrow leads from a step of one function to a step of another. A Queue on the arrow is the
border; without one, a queue is inserted, so that every hand-over has the same guarantees.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from nbgraph.engine.compile.bind import resolve
from nbgraph.engine.function_spec import FunctionSpec
from nbgraph.engine.params import params_of_handler, plain_params
from nbgraph.engine.step_facts import has_models, remembers
from nbgraph.errors import DeployError, GraphError
from nbgraph.graph import topology
from nbgraph.graph.edge import WHOLE_GRAPH, Edge
from nbgraph.graph.graph import Graph
from nbgraph.graph.naming import READER, is_endpoint, slug
from nbgraph.graph.routes.routing import answerers, names_of_requests
from nbgraph.graph.signature import INJECTED
from nbgraph.graph.step import Step
from nbgraph.graph.topology import reachable
from nbgraph.handler import Handler
from nbgraph.steps.operators.queue import Queue
from nbgraph.types import EdgeKind, Shape

QUEUE, WRITER = "Queue", "QueueWriter"


class Function(FunctionSpec, frozen=True, kw_only=True):
    """A function of a graph and the graph of its steps."""

    graph: Graph


def split(graph: Graph) -> list[Function]:
    """The functions of a graph, the one that callers reach first.

    >>> [function.name for function in split(Graph("Score payments!"))]
    ['score-payments']
    >>> graph = Graph("two")
    >>> _ = graph.to(str.strip).to("Queue", "cleaned").to(str.upper, function="loud").respond()
    >>> [(function.name, function.reads, function.asks) for function in split(graph)]
    [('two', (), True), ('loud', ('cleaned',), False)]
    """
    owners = _owners(graph)
    names = list(dict.fromkeys(owners.values())) or [slug(graph.name)]
    if len(names) == 1:
        return [Function(names[0], graph=graph)]
    check_gathering(graph, owners)
    first = _entry(graph, owners)
    cut = _Cut(graph, owners)
    answering = set(_answering(graph))
    if graph.protocol is not None:
        check_one_answer(graph, answering)
    functions = []
    for name in [first, *(name for name in names if name != first)]:
        part = cut.part(name)
        own = [one for one in answering if owners[one] == name]
        part.responders = tuple(step.name for step in part.steps if step.name in own)
        is_first = name == first
        asks, confirms = is_first and bool(answering), is_first and not answering
        models = is_first and any(owners[step.name] != name and has_models(graph, step) for step in graph.steps)
        functions.append(Function(name, tuple(cut.reads(name)), bool(own), asks, confirms, models, graph=part))
    return functions


def _owners(graph: Graph) -> dict[str, str]:
    """Each step's function: by its own option, else that of the steps before it, else the graph's."""
    default = slug(
        next((step.function for step in graph.steps if step.function and _is_first(graph, step)), graph.name)
    )
    given = {step.name: slug(step.function) for step in graph.steps if step.function}
    _refuse_clash({step.function for step in graph.steps if step.function})
    owners: dict[str, str] = {}
    before: dict[str, list[str]] = {step.name: [] for step in graph.steps}
    for edge in graph.edges:
        if edge.source != WHOLE_GRAPH and edge.kind is not EdgeKind.CYCLE:
            before[edge.target].append(edge.source)
    for name in _in_order(graph):
        above = [owners[parent] for parent in before[name] if parent in owners]
        owners[name] = given.get(name) or (above[0] if above else default)
    return owners


def _refuse_clash(names: Iterable[str]) -> None:
    seen: dict[str, str] = {}
    for name in sorted(names):
        other = seen.setdefault(slug(name), name)
        if other != name:
            raise DeployError(f'Functions "{other}" and "{name}" would both be called "{slug(name)}"; rename one.')


def _is_first(graph: Graph, step: Step) -> bool:
    """Whether the step is the first for callers' events, apart from routes."""
    return all(edge.target != step.name or edge.source in graph.routes for edge in graph.edges)


def _in_order(graph: Graph) -> list[str]:
    """The steps in topological order."""
    kinds = [EdgeKind.FLOW, EdgeKind.ERROR]
    following = topology.successors([step.name for step in graph.steps], graph.edges, kinds=kinds)
    order = topology.sorted_steps(following)
    return [*order, *(name for name in following if name not in order)]


def _entry(graph: Graph, owners: Mapping[str, str]) -> str:
    starts = topology.starts([step.name for step in graph.steps], graph.edges)
    found = list(dict.fromkeys(owners[name] for name in starts))
    if len(found) > 1:
        raise DeployError(
            f'Events enter graph "{graph.name}" in several functions ({", ".join(found)}); put one step before them '
            "all, so that callers have one address."
        )
    return found[0]


def _answering(graph: Graph) -> list[str]:
    """The steps whose results callers get: the responder, else the only end; with routes, those of each route."""
    names = [step.name for step in graph.steps]
    found = answerers(graph.responders, names, graph.edges, graph.routes)
    return found if graph.responders or graph.routes or len(found) == 1 else []


class _Cut:
    """The graph's steps by function, and the borders between them."""

    def __init__(self, graph: Graph, owners: Mapping[str, str]) -> None:
        self._graph, self._owners = graph, owners
        self._queues = {step.name: step for step in graph.steps if is_queue(step)}
        self._handler = next((edge.target for edge in graph.edges if topology.is_whole_graph(edge)), None)
        self._remembered: dict[str, bool] = {}  # by border

    def part(self, function: str) -> Graph:
        """The graph of one function: its steps, and its ends of the borders."""
        given = self._graph
        part = Graph(given.name, given.max_iterations, given.error_stream, given.copy, given.protocol)
        part.scope, part.watched = self._graph.scope, self._graph.watched
        for step in self._graph.steps:
            if self._owners[step.name] == function and self._is_read_elsewhere(step.name):
                self._place_writer(part, step.name)
            elif self._owners[step.name] == function:
                part.place(self._endpoint(step) if is_endpoint(step) else replace(step, function=None))
        for name in self.reads(function):
            part.place(self._border(name, READER))
        for edge in self._graph.edges:
            self._draw(part, edge, function)
        return part

    def _endpoint(self, step: Step) -> Step:
        """A route's step, with the parameters that handlers of other functions name."""
        names = [one.name for one in self._graph.steps]
        following = topology.successors(names, self._graph.edges, kinds=[EdgeKind.FLOW, EdgeKind.CYCLE])
        behind = topology.reachable(following, [step.name])
        far = [
            self._graph.spec(name) for name in names if name in behind and self._owners[name] != self._owners[step.name]
        ]
        wanted = {
            param.name: param for one in far for param in params_of_handler(resolve(self._graph, one), one.arguments)
        }
        given = {**step.arguments, "params": plain_params(wanted.values())} if wanted else step.arguments
        return replace(step, function=None, arguments=MappingProxyType(dict(given)))

    def reads(self, function: str) -> list[str]:
        """The queues whose far side is in the function."""
        crossing = [edge for edge in self._graph.edges if self._crosses(edge) and self._owners[edge.target] == function]
        return list(dict.fromkeys(self._queue_of(edge) for edge in crossing))

    def _draw(self, part: Graph, edge: Edge, function: str) -> None:
        if topology.is_whole_graph(edge):
            self._draw_handler(part, edge, function)
        elif edge.is_alert:
            self._draw_alert(part, edge)
        elif self._crosses(edge):
            if self._owners[edge.source] == function:
                self._write(part, edge)
            if self._owners[edge.target] == function:
                self._read(part, edge)
        elif edge.source in part and edge.target in part:
            _connect(part, edge)
        elif edge.source in part and self._is_read_elsewhere(edge.target):
            self._place_writer(part, edge.target)
            _connect(part, edge)

    def _draw_handler(self, part: Graph, edge: Edge, function: str) -> None:
        """Every function has the graph's error handler, since an error may rise in each."""
        if edge.target not in part:
            part.place(replace(self._graph.spec(edge.target), function=None))
        part.connect(WHOLE_GRAPH, edge.target, when=edge.when, kind=EdgeKind.ERROR)

    def _draw_alert(self, part: Graph, edge: Edge) -> None:
        """Who handles an alert is in one function, where it is told."""
        if edge.target not in part:
            return
        if edge.source != WHOLE_GRAPH and edge.source not in part:
            raise DeployError(
                f'"{edge.target}" handles alerts about "{edge.source}", which is in another function; put both into '
                f"one, or let it handle all: `* -> {edge.target} on alert`."
            )
        _connect(part, edge)

    def _write(self, part: Graph, edge: Edge) -> None:
        if self._is_read_elsewhere(edge.source):
            return  # the queue itself is the border, and the arrow into it leads to the writer
        name = self._queue_of(edge)
        self._place_writer(part, name)
        _connect(part, replace(edge, target=name))

    def _read(self, part: Graph, edge: Edge) -> None:
        name = self._queue_of(edge)
        # The condition of an arrow with its own border has been evaluated before the border.
        kept = edge if self._is_read_elsewhere(edge.source) else Edge(name, edge.target)
        _connect(part, replace(kept, source=name))

    def _place_writer(self, part: Graph, name: str) -> None:
        if name not in part:
            part.place(self._border(name, WRITER))

    def _crosses(self, edge: Edge) -> bool:
        if edge.is_error and edge.source != WHOLE_GRAPH and self._owners[edge.source] != self._owners[edge.target]:
            raise DeployError(
                f'The error handler "{edge.target}" of "{edge.source}" is in another function; an error is handled '
                "where it rises: leave the function out, or hand on to it by `before`."
            )
        return edge.source != WHOLE_GRAPH and self._owners[edge.source] != self._owners[edge.target]

    def _is_read_elsewhere(self, name: str) -> bool:
        """Whether the step is a queue that only steps of one other function read."""
        if name not in self._queues:
            return False
        leaving = [edge for edge in self._graph.edges if edge.source == name]
        return len({self._owners[edge.target] for edge in leaving}) == 1 and self._crosses(leaving[0])

    def _queue_of(self, edge: Edge) -> str:
        """The name of the border that an arrow crosses: a queue of one reader, else a border of the arrow's own."""
        return edge.source if self._is_read_elsewhere(edge.source) else f"{edge.source}-{edge.target}"

    def _border(self, name: str, handler: str) -> Step:
        crossing = [edge for edge in self._graph.edges if edge.source in self._queues and self._crosses(edge)]
        queue = next((self._queues[edge.source] for edge in crossing if self._queue_of(edge) == name), None)
        arguments: dict[str, Any] = {"queue": name}
        if queue is not None:
            arguments |= _arguments(queue)
        if arguments.get("key") is None and self._is_remembered(name):
            # The steps behind it share one state for all events, so these come one by one, in order.
            arguments |= {"key": "$key", "shards": 1}
        shadowed = names_of_requests(self._graph.steps) & set(INJECTED)
        if handler == READER and shadowed:  # for handlers behind it these are request parameters
            arguments["params"] = sorted(shadowed)
        return Step(name, handler, MappingProxyType(arguments))

    def _is_remembered(self, border: str) -> bool:
        """Whether an event that crosses the border reaches a step with a state."""
        if border not in self._remembered:
            kinds = [EdgeKind.FLOW, EdgeKind.ERROR, EdgeKind.CYCLE]
            inside = [edge for edge in self._graph.edges if not self._crosses(edge)]
            following = topology.successors([step.name for step in self._graph.steps], inside, kinds=kinds)
            starts = [
                edge.target for edge in self._graph.edges if self._crosses(edge) and self._queue_of(edge) == border
            ]
            behind = topology.reachable(following, starts)
            self._remembered[border] = any(remembers(self._graph, self._graph.spec(name)) for name in behind)
        return self._remembered[border]


def is_queue(step: Step) -> bool:
    """Whether the step is the built-in Queue."""
    handler = step.handler
    name = handler if isinstance(handler, str) else getattr(handler, "__name__", type(handler).__name__)
    module = getattr(handler, "__module__", "nbgraph")
    return name == QUEUE and str(module).startswith("nbgraph")


def _arguments(queue: Step) -> dict[str, Any]:
    """The queue's arguments by name; a cell may give them by position, the queue's name first."""
    options = [name for name in inspect.signature(Queue).parameters if name != "name"]
    positional = dict(zip(options, queue.arguments.get("*", ())[1:], strict=False))
    return positional | {name: value for name, value in queue.arguments.items() if name in options}


def _connect(part: Graph, edge: Edge) -> None:
    part.connect(edge.source, edge.target, when=edge.when, otherwise=edge.otherwise, kind=edge.kind)


def check_gathering(graph: Graph, owners: Mapping[str, str]) -> None:
    """Refuse to gather parts of an event from another function: none of them is known to be the last."""
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
    """Refuse answers in several parts across functions: a caller would get only the first."""
    for name in answering:
        ways = [name, *_above(graph, name)]
        several = next((one for one in ways if _gives_several(graph, one, is_stream=True)), None)
        if several is not None:
            raise DeployError(
                f'"{several}" gives an answer in parts, and graph "{graph.name}" falls into several functions, over '
                "which a caller gets one. Put all of it into one function, or let the step return the whole text."
            )


def _above(graph: Graph, name: str) -> set[str]:
    """The ancestors of a step."""
    back: dict[str, list[str]] = {step.name: [] for step in graph.steps}
    for edge in graph.edges:
        if edge.carries_events and edge.source in back:
            back[edge.target].append(edge.source)
    return reachable(back, back[name])


def _before(graph: Graph, name: str, owners: Mapping[str, str]) -> Iterator[str]:
    """The ancestors of a step on paths that cross from one function to another."""
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
    except GraphError:  # compile raises it
        return None
