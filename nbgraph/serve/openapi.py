"""OpenAPI: the interface of a served graph, described."""

from __future__ import annotations

from typing import Any

from nbgraph.graph.graph import Graph

STATUSES = {
    400: "not JSON", 401: "no key", 408: "too slow", 413: "too large", 422: "a key of another request",
    429: "saturated", 500: "a step failed", 503: "being stopped, or the broker is away", 504: "too late",
}  # fmt: skip
WISHES = {
    "Prefer": "respond-async: 202 at once, and the answer under /requests/{id}; wait=SECONDS: how long to wait",
    "X-Request-Timeout": "seconds after which the answer is of no use; 504 then",
    "Idempotency-Key": "the same key and body get the first answer again, and the event is not run again",
    "traceparent": "the trace to go on with (W3C)",
}
_ANY: dict[str, Any] = {"content": {"application/json": {"schema": {}}}}


def description(graph: Graph) -> dict[str, Any]:
    """The interface in OpenAPI's terms.

    >>> list(description(Graph("fraud"))["paths"])
    ['/', '/{path}', '/requests/{id}', '/health/live', '/health/ready']
    """
    errors = {str(status): {"description": reason} for status, reason in STATUSES.items()}
    answers = {"200": {"description": "the answer", **_ANY}, "204": {"description": "nothing answers"}}
    later = {"202": {"description": "under way; Location tells where to ask"}}
    event = {
        "summary": "Send an event", "requestBody": _ANY, "parameters": [_header(*wish) for wish in WISHES.items()],
        "responses": {**answers, **later, **errors},
    }  # fmt: skip
    found = {**answers, **later, "404": {"description": "not known, or no more"}}
    asked = {"summary": "The answer to an event sent before", "parameters": [_in_path("id")], "responses": found}
    health = {"get": {"responses": {"200": {"description": "yes"}, "503": {"description": "no"}}}}
    paths = {
        "/": {"post": event}, "/{path}": {"parameters": [_in_path("path")], "post": event},
        "/requests/{id}": {"get": asked}, "/health/live": health, "/health/ready": health,
    }  # fmt: skip
    return {"openapi": "3.1.0", "info": {"title": graph.name, "version": "1"}, "paths": paths}


def _header(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
