"""Api: what the gateway needs to know of a graph's routes: which requests are events, and how their paths are read."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from nbgraph.engine.routing import Routing
from nbgraph.event import Event
from nbgraph.graph.routes.route import METHODS, allowed, is_of_gateway
from nbgraph.serve.reply import Reply

Scope = MutableMapping[str, Any]
WITH_BODY = ("POST", "PUT", "PATCH")  # others have none where none is sent


class Api:
    """The routes of a graph before its gateway.

    A request is held against them before anything is promised, with the very code that takes the event in afterwards.
    """

    def __init__(self, routing: Routing) -> None:
        self._routing = routing

    def is_event(self, method: str, path: str) -> bool:
        """Whether a request is for the graph: all but what the gateway itself is asked for."""
        return not is_of_gateway(method, path)

    def options(self, scope: Scope) -> Reply | None:
        """What a path takes, where the graph leaves that question to the gateway."""
        if scope["method"] != "OPTIONS":
            return None
        fitting = [route for route, _ in self._routing.table.fitting(target(scope).partition("?")[0])]
        if any(route.method in ("OPTIONS", "*") for route in fitting) or not fitting:
            return None
        return options_of(allowed(fitting))

    def given(self, body: bytes, method: str) -> bytes | None:
        """The body that the graph gets."""
        return body if body or method in WITH_BODY else None

    def admit(self, event: Event) -> None:
        """Refuse an event that no route takes; it goes on as it came, and is taken in where it runs."""
        self._routing.admit(event.with_body(event.body))


def target(scope: Scope) -> str:
    """The path as it came, not decoded, with its query."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return (raw.partition(b"?")[0] + (b"?" + query if query else b"")).decode("latin-1")


def options_of(methods: tuple[str, ...]) -> Reply:
    """The answer to OPTIONS.

    >>> options_of(("GET", "OPTIONS")).headers
    ((b'allow', b'GET, OPTIONS'),)
    """
    return Reply(204, "", b"", ((b"allow", ", ".join(methods).encode()),))


def methods_of(routing: Routing | None) -> list[str]:
    """The methods that scripts of other pages may call by."""
    if routing is None:
        return ["GET", "POST"]
    return [method for method in METHODS if method in {*allowed(routing.table.routes), "GET", "POST"}]
