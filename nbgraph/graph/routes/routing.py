"""Routing: the routes of a graph, what each of them leads to, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from nbgraph.errors import GraphError, RouteError
from nbgraph.graph import topology
from nbgraph.graph.edge import Edge
from nbgraph.graph.finding import Finding
from nbgraph.graph.naming import ENDPOINT, READER, is_built_in, is_endpoint
from nbgraph.graph.routes.route import Route, is_of_gateway
from nbgraph.graph.step import Step
from nbgraph.types import EdgeKind

_NAMES = ("method", "path", "forbid", "body")  # of an Endpoint's arguments, in their order
BORDERS = (READER, "QueueWriter")  # where a graph was cut into functions
_WAYS = (EdgeKind.FLOW, EdgeKind.CYCLE, EdgeKind.ERROR)


def step_of(route: Route) -> Step:
    """The step by which a route's events enter.

    >>> step_of(Route("GET", "/users/{id}")).name
    'GET /users/{id}'
    """
    given: dict[str, Any] = {"method": route.method, "path": route.path}
    given |= {"forbid": True} if route.forbid else {}
    given |= {"body": dict(route.body)} if route.body is not None else {}
    return Step(route.name, ENDPOINT, MappingProxyType(given))


def route_of(step: Step) -> Route:
    """The route of an endpoint; GraphError for one that is none."""
    given = dict(zip(_NAMES, step.arguments.get("*", ()), strict=False)) | dict(step.arguments)
    wanted = {name: given[name] for name in _NAMES if name in given}
    if not {"method", "path"} <= wanted.keys():
        raise GraphError(f'Endpoint "{step.name}" has no method or no path; expected both.')
    return Route(**wanted)


def routes_of(steps: Iterable[Step]) -> dict[str, Route]:
    """The routes among the steps, by the names of these; without those that are none."""
    found: dict[str, Route] = {}
    for step in steps:
        if is_endpoint(step):
            try:
                found[step.name] = route_of(step)
            except (GraphError, RouteError):
                continue
    return found


def names_of_requests(steps: Iterable[Step]) -> set[str]:
    """The parameters of paths, which are the request's also where a handler would get something else by that name."""
    steps = list(steps)
    found = {name for route in routes_of(steps).values() for name in route.parameters}
    return found | {name for step in steps if is_built_in(step, (READER,)) for name in step.arguments.get("params", ())}


def answerers(
    responders: Sequence[str],
    names: Collection[str],
    edges: Sequence[Edge],
    routes: Collection[str],
    *,
    is_part: bool = False,
) -> list[str]:
    """The steps whose results answer callers: the responders, or else the ends; of each route its own.

    `is_part`: of a graph that was cut, where what answers in other functions has no end here that would.
    """
    if not routes:
        return list(responders) or topology.ends(names, edges)
    if is_part:
        return list(responders)
    found = [one for route in routes for one in answering(route, names, edges, responders)]
    return list(dict.fromkeys([*responders, *found]))


def answering(name: str, names: Collection[str], edges: Sequence[Edge], responders: Collection[str]) -> list[str]:
    """The steps whose results answer what enters by a step: the responder it leads to, else its ends."""
    behind = topology.reachable(topology.successors(names, edges, kinds=_WAYS), [name])
    return [one for one in responders if one in behind] or _ends(name, names, edges)


def findings(steps: Sequence[Step], edges: Sequence[Edge], responders: Collection[str]) -> Iterator[Finding]:
    """What is wrong with the routes of a graph.

    >>> [found.text for found in findings([step_of(Route("GET", "/a"))], [], [])]
    ['Route "GET /a" leads to no step; draw an arrow from it, or let it forbid: `GET /a -> forbid`.']
    """
    if not any(map(is_endpoint, steps)):
        return
    yield from _unreadable(steps)
    routes, names = routes_of(steps), [step.name for step in steps]
    yield from _twice(routes)
    leaving = {edge.source for edge in edges if edge.carries_events}
    for name, route in routes.items():
        if route.forbid and name in leaving:
            yield Finding(f'Route "{name}" is forbidden and leads to a step, which no event would come to.', name)
        elif not route.forbid and name not in leaving:
            text = f"leads to no step; draw an arrow from it, or let it forbid: `{name} -> forbid`."
            yield Finding(f'Route "{name}" {text}', name)
        if is_of_gateway(route.method, route.path):
            yield Finding(f'Route "{name}" is what a deployment answers itself; take another path.', name)
    for edge in edges:
        if edge.target in routes:
            text = f'Route "{edge.target}" is where callers enter; no arrow can lead to it from "{edge.source}".'
            yield Finding(text, edge.source, edge.target)
    yield from _outside(names, edges, routes, {step.name for step in steps if is_built_in(step, BORDERS)})
    if any(is_built_in(step, BORDERS) for step in steps):
        return  # a part of a graph: who answers is said of the whole
    open_routes = [name for name, route in routes.items() if not route.forbid and name in leaving]
    yield from _of_answers(open_routes, names, edges, responders)


def _unreadable(steps: Iterable[Step]) -> Iterator[Finding]:
    for step in filter(is_endpoint, steps):
        try:
            route_of(step)
        except (GraphError, RouteError) as error:
            yield Finding(f'Step "{step.name}": {error}', step.name)


def _twice(routes: Mapping[str, Route]) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for name, route in routes.items():
        other = seen.setdefault(route.shape, name)
        if other != name:
            yield Finding(f'Routes "{other}" and "{name}" take the same requests; take one of them out.', name)


def _outside(
    names: Sequence[str], edges: Sequence[Edge], routes: Collection[str], readers: Collection[str]
) -> Iterator[Finding]:
    for name in topology.starts(names, edges):
        if name not in routes and name not in readers:
            text = f'Step "{name}" is reached by no route; begin a line with one: `POST /{name} -> {name}`.'
            yield Finding(text, name)


def _of_answers(
    routes: Iterable[str], names: Sequence[str], edges: Sequence[Edge], responders: Collection[str]
) -> Iterator[Finding]:
    """One step answers for each route, and never the end of one where another has its responder before."""
    by_route = {name: answering(name, names, edges, responders) for name in routes}
    for name, found in by_route.items():
        if len(found) > 1:
            listed = " and ".join(f'"{one}"' for one in found)
            if found[0] in responders:
                text = f'Route "{name}" comes to two responders, {listed}; a route has one: take the other out.'
            else:
                text = f'Route "{name}" ends at {listed}, and none responds; say which one: `{found[0]} -> respond`.'
            yield Finding(text, name)
            continue
        behind = topology.reachable(topology.successors(names, edges, kinds=_WAYS), [name])
        for other, theirs in by_route.items():
            if len(theirs) == 1 and theirs != found and theirs[0] in behind and theirs[0] not in responders:
                text = f'"{theirs[0]}" answers for route "{other}" and not for "{name}", which comes there too; '
                yield Finding(f"{text}say who answers: `{theirs[0]} -> respond`.", other)


def _ends(name: str, names: Collection[str], edges: Sequence[Edge]) -> list[str]:
    following = topology.successors(names, edges, kinds=[EdgeKind.FLOW, EdgeKind.CYCLE])
    behind = topology.reachable(following, [name])
    return [one for one in names if one in behind and not following[one]]
