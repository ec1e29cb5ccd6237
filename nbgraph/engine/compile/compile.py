"""A Graph becomes a Plan: names are bound, steps built, sync or async decided, functions generated."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from weakref import WeakKeyDictionary

from nbgraph.engine.codegen.generate import generate
from nbgraph.engine.compile.call import Call, beside_loop, call_of
from nbgraph.engine.compile.condition import Condition, exceptions_of
from nbgraph.engine.compile.error_stream import reporter
from nbgraph.engine.compile.flatten import Flat, flatten
from nbgraph.engine.compile.inspection import findings
from nbgraph.engine.compile.staleness import watch
from nbgraph.engine.params import params_from_plain
from nbgraph.engine.plan import Arrow, Handling, Plan, PlanStep
from nbgraph.engine.routing import Entrance, Routing
from nbgraph.errors import GraphError, own
from nbgraph.graph import check, topology
from nbgraph.graph.edge import WHOLE_GRAPH, Edge
from nbgraph.graph.finding import faults
from nbgraph.graph.graph import Graph
from nbgraph.graph.routes.route import Route
from nbgraph.graph.routes.routing import answerers
from nbgraph.steps.operators.endpoint import Endpoint
from nbgraph.types import EdgeKind, Shape


def compile(graph: Graph, before: Plan | None = None) -> Plan:
    """The plan of a graph; steps that an earlier plan has built from the same things stay as they are.

    >>> graph = Graph("shout")
    >>> _ = graph.to(str.strip).to(str.upper)
    >>> print(compile(graph).source)
    def shout(event, item=None):
        try:
            event = strip(event)
            event = upper(event)
            return event
        except own() as error:
            raise failed(error, locals())
    """
    flat = _sound(graph)
    calls = _calls(graph.name, flat, before)
    steps = _plan_steps(flat, calls, graph.routes)
    starts = _starts(steps, flat)
    if not starts:
        raise GraphError(f'Graph "{graph.name}" has no step that events could enter by: every step follows another.')
    routes = graph.routes
    confirms = not flat.responders and not routes and len(topology.ends(steps, flat.edges)) > 1
    uses_events = any(step.call.shape in (Shape.EVENT, Shape.EVENTS) or step.handlers for step in steps.values())
    is_async = any(step.call.is_async for step in steps.values())
    report = reporter(graph)
    nests = any(step.call.nests for step in steps.values())
    copier = graph.copier if graph.copy else None
    is_line_wanted = not (confirms or report or nests or graph.protocol)
    functions = generate(
        graph.name,
        steps,
        starts,
        is_line_wanted=is_line_wanted,
        uses_events=uses_events,
        is_async=is_async,
        copier=copier,
        is_routed=bool(routes),
    )
    return Plan(
        name=graph.name,
        steps=steps,
        starts=starts,
        confirms=confirms,
        uses_events=uses_events,
        is_async=is_async,
        observers=graph.observers,
        report=report,
        watch=watch(graph, flat),
        source=functions.source,
        line=functions.line,
        tree=functions.tree,
        fused=functions.fused,
        after=functions.after,
        staged=functions.staged,
        takes=functions.takes,
        nests=nests,
        copier=copier,
        holders=tuple(name for name in topology.order(steps, flat.edges) if steps[name].call.release is not None),
        gatherers=tuple(name for name, step in steps.items() if step.call.gathered is not None),
        streams={name: _gatherers(name, steps) for name, step in steps.items() if step.call.streams},
        is_staged=any(step.is_stage for step in steps.values()),
        protocol=graph.protocol,
        routing=_routing(routes, flat, calls),
    )


_locks: WeakKeyDictionary[Graph, threading.RLock] = WeakKeyDictionary()
_lookup = threading.Lock()


def lock_of(graph: Graph) -> threading.RLock:
    """The lock for compiling a graph, so that its steps are built once for all threads."""
    with _lookup:
        return _locks.setdefault(graph, threading.RLock())


def _sound(graph: Graph) -> Flat:
    """The graph without inner graphs; all faults of its form are raised at once."""
    problems = faults([*check.findings(graph.steps, graph.edges, {}, graph.responders), *findings(graph, tries=False)])
    if problems:  # nothing will be built, so the faults that building would raise are looked for as well
        problems = faults(graph.findings())
    if not graph.steps:
        problems.append(f'Graph "{graph.name}" has no steps; add the first with graph.to(handler).')
    if problems:
        raise GraphError.of_problems(graph.name, problems)
    return flatten(graph)


def _calls(graph: str, flat: Flat, before: Plan | None) -> dict[str, Call]:
    """Every step's call; one error for all that can't be bound or built."""
    calls: dict[str, Call] = {}
    wrong: list[str] = []
    for name, owned in flat.steps.items():
        earlier = before.steps.get(name) if before else None
        try:
            calls[name] = call_of(owned.graph, owned.step, earlier.call if earlier else None)
        except GraphError as error:
            wrong += error.problems
        except own() as error:
            fault = GraphError(f'Step "{name}" can\'t be built: {type(error).__name__}: {error}')
            raise fault from error  # a single failed constructor of the user: keep its traceback
    if wrong:
        raise GraphError.of_problems(graph, wrong)
    if any(call.is_async for call in calls.values()):
        calls = {name: beside_loop(call) for name, call in calls.items()}
    return calls


def _gatherers(name: str, steps: Mapping[str, PlanStep]) -> tuple[str, ...]:
    """The first steps behind a generator, on each path, that gather its chunks."""
    found: dict[str, None] = {}
    seen, waiting = {name}, [name]
    while waiting:
        for target in (arrow.target for arrow in steps[waiting.pop()].arrows):
            if steps[target].call.streamed is not None:
                found[target] = None
            elif target not in seen:
                seen.add(target)
                waiting.append(target)
    return tuple(found)


def _starts(steps: Mapping[str, PlanStep], flat: Flat) -> tuple[str, ...]:
    """The steps by which callers' events enter; every start, if none is marked as an entry."""
    found = topology.starts(steps, flat.edges)
    return tuple([name for name in found if steps[name].call.is_entry] or found)


def _routing(routes: Mapping[str, Route], flat: Flat, calls: Mapping[str, Call]) -> Routing | None:
    """The entrances of a graph with routes, each with the request parameters that the handlers behind it name."""
    if not routes:
        return None
    following = topology.successors(flat.steps, flat.edges, kinds=[EdgeKind.FLOW, EdgeKind.CYCLE])
    entrances = []
    for name, route in routes.items():
        behind = topology.reachable(following, [name])
        params = dict.fromkeys(param for step in flat.steps if step in behind for param in calls[step].params)
        endpoint = calls[name].target
        far = params_from_plain(endpoint.params) if isinstance(endpoint, Endpoint) else ()
        entrances.append(Entrance(name, route, tuple(dict.fromkeys([*params, *far]))))
    return Routing(entrances)


def _plan_steps(flat: Flat, calls: Mapping[str, Call], routes: Mapping[str, Route]) -> dict[str, PlanStep]:
    names, edges = list(flat.steps), flat.edges
    limits = _limits(flat)
    handlers: dict[str, list[Handling]] = {}
    leaving: dict[str, list[Edge]] = {name: [] for name in names}
    for edge in edges:
        if edge.carries_events:
            leaving[edge.source].append(edge)
        elif edge.is_error:
            handlers.setdefault(edge.source, []).append(Handling(edge.target, exceptions_of(edge)))
    following = topology.successors(names, edges, kinds=[EdgeKind.FLOW, EdgeKind.CYCLE])
    main = topology.reachable(following, topology.starts(names, edges))
    alerted = topology.reachable(following, [edge.target for edge in edges if edge.is_alert])
    is_part = any(call.is_border for call in calls.values())
    answering = set(answerers(flat.responders, names, edges, routes, is_part=is_part))
    of_graph = handlers.get(WHOLE_GRAPH, [])
    return {
        name: PlanStep(
            name=name,
            call=calls[name],
            arrows=tuple(_arrow(edge) for edge in leaving[name]),
            handlers=tuple(handlers.get(name, [])) + tuple(one for one in of_graph if one.target != name),
            limit=limits.get(name),
            is_responder=name in answering,
            is_rescue=name not in main and name not in alerted and not leaving[name],
        )
        for name in names
    }


def _limits(flat: Flat) -> dict[str, int]:
    """The limits of the steps that may run again for one event, also by way of an error handler.

    A step's limit above the graph's applies to the whole cycle: else another step would end it before.
    """
    kinds = [EdgeKind.FLOW, EdgeKind.CYCLE, EdgeKind.ERROR]
    groups = topology.cycles(topology.successors(flat.steps, flat.edges, kinds=kinds))
    limits: dict[str, int] = {}
    for group in groups:
        own = {name: flat.steps[name].step.options.max_iterations for name in group}
        most = max((limit for limit in own.values() if limit is not None), default=0)
        limits |= {name: own[name] or max(flat.steps[name].limit, most) for name in group}
    return limits


def _arrow(edge: Edge) -> Arrow:
    if not isinstance(edge.when, Condition):
        return Arrow(edge.target, otherwise=edge.otherwise)
    return Arrow(edge.target, edge.when.function, edge.when.text, edge.when.is_inline, edge.otherwise)
