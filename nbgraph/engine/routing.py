"""Routing: the route by which an event enters a plan; the same for a kernel, a debugger, a stream and a gateway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nbgraph.engine.params import Param, faults_of, refusal
from nbgraph.event import Event
from nbgraph.graph.routes.route import DEFAULT, Route, RouteTable, query_of
from nbgraph.graph.routes.selection import missing


@dataclass(frozen=True, slots=True)
class Entrance:
    """A route, the step by which its events enter, and the parameters that handlers behind it name."""

    step: str
    route: Route
    params: tuple[Param, ...] = ()


class Routing:
    """The entrances of a plan.

    >>> routing = Routing([Entrance("GET /users/{id}", Route("GET", "/users/{id}"))])
    >>> event = Event(None, path="/users/7?tag=a", method="GET")
    >>> routing.admit(event), event.path, event.params
    ('GET /users/{id}', '/users/7', {'tag': 'a', 'id': '7'})
    """

    def __init__(self, entrances: list[Entrance]) -> None:
        self.entrances = {entrance.step: entrance for entrance in entrances}
        self.table = RouteTable(entrance.route for entrance in entrances)
        self._entrances: Mapping[Route, Entrance] = {entrance.route: entrance for entrance in entrances}

    def admit(self, event: Event) -> str:
        """The step by which the event enters, with its parameters set; a RouteError if no route fits."""
        method = (event.method or DEFAULT).upper()
        path, mark, query = event.path.partition("?")
        route, found = self.table.chosen(method, path)
        entrance = self._entrances[route]
        event.path, event.params = path, {**event.params, **(query_of(query) if mark else {}), **found}
        self._require(event, entrance)
        event.entry = entrance.step
        return entrance.step

    def _require(self, event: Event, entrance: Entrance) -> None:
        """Refuse a request with missing or invalid parameters, with all of them."""
        if not entrance.params and not entrance.route.selections:
            return
        lacking, invalid = faults_of(entrance.params, event.params)
        lacking = [*missing(event.body, entrance.route.selections), *lacking]
        if lacking or invalid:
            raise refusal(event.method, event.path, lacking, invalid)
