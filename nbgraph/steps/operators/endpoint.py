"""Endpoint: the step by which the requests of a route enter a graph."""

from __future__ import annotations

from collections.abc import Mapping

from nbgraph.event import Event
from nbgraph.graph.routes.route import Route
from nbgraph.graph.routes.selection import selected
from nbgraph.handler import Handler
from nbgraph.types import Section, Shape, StepKind

__all__ = ["Endpoint"]


class Endpoint(Handler):
    """Lets in what comes by a method and a path; `graph.api` and the arrow lines of a cell make it.

    >>> from nbgraph import Graph
    >>> graph = Graph("shop")
    >>> _ = graph.api("GET", "/users/{id}", to=lambda body, id: f"user {id}")
    >>> graph.run(None, path="/users/7", method="GET")
    'user 7'

    Parameters
    ----------
    method, path
        `"GET"`, or `"*"` for each; `"/users/{id}"`, or `"/files/*"` for all paths from there on.
    forbid
        Whether callers are refused (403).
    body
        What the graph gets instead of the caller's body: `{"amount": "$.order.amount!"}`; without the `!` a part that
        is not there is left out.
    params
        Parameters that handlers of other functions name, where the graph was cut: `{"limit": "int?"}`.
    """

    section = Section.QUEUES
    kind = StepKind.SOURCE
    shape = Shape.EVENT

    def __init__(
        self,
        method: str,
        path: str,
        forbid: bool = False,
        body: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> None:
        self.route = Route(method, path, forbid, body)
        self.params = dict(params or {})

    def do(self, event: Event) -> None:
        if self.route.selections:
            event.body = selected(event.body, self.route.selections)
