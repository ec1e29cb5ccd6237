"""OpenAPI: the interface of a served graph, described."""

from __future__ import annotations

from typing import Any

import msgspec

from nbgraph.contract import LIVE_PATH, READY_PATH
from nbgraph.engine.params import Param
from nbgraph.graph.graph import Graph
from nbgraph.graph.routes.route import ANY, METHODS, Route

STATUSES = {
    400: "not JSON", 401: "no key", 408: "too slow", 413: "too large", 422: "not as asked before, or lacking",
    429: "saturated", 500: "a step failed", 503: "being stopped, or the broker is away", 504: "too late",
}  # fmt: skip
WISHES = {
    "Prefer": "respond-async: 202 at once, and the answer under /requests/{id}; wait=SECONDS: how long to wait",
    "X-Request-Timeout": "seconds after which the answer is of no use; 504 then",
    "Idempotency-Key": "the same key and body get the first answer again, and the event is not run again",
    "traceparent": "the trace to go on with (W3C)",
    "X-Request-Id": "what you call the request by: in the answer, the logs and the spans",
    "X-Event-Id": "the id of the event: the same id and request get the first answer again",
}
WITHOUT_BODY = ("GET", "HEAD", "OPTIONS", "DELETE")
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
    entered = _routes(graph, event) if graph.routes else {
        "/": {"post": event}, "/{path}": {"parameters": [_in_path("path")], "post": event},
    }  # fmt: skip
    paths = {
        **entered, "/requests/{id}": {"get": asked}, LIVE_PATH: health, READY_PATH: health,
    }  # fmt: skip
    return {"openapi": "3.1.0", "info": {"title": graph.name, "version": "1"}, "paths": paths}


def _routes(graph: Graph, event: dict[str, Any]) -> dict[str, Any]:
    """The routes that callers may take, by path and method; a `*` at the end of a path is a parameter here."""
    refused = {"403": {"description": "forbidden"}, "404": {"description": "no such path"}}
    routing = graph.plan().routing
    params = {name: entrance.params for name, entrance in routing.entrances.items()} if routing else {}
    paths: dict[str, Any] = {}
    for name, route in graph.routes.items():
        if route.forbid:
            continue
        path = f"{route.path[:-1]}{{path}}" if route.path.endswith("/*") else route.path
        known = route.parameters + (("path",) if path != route.path else ())
        asked = [_in_query(one) for one in params[name] if one.name not in known]
        typed = {one.name: one for one in params[name]}
        places = [_in_path(one, _schema(typed[one]) if one in typed else None) for one in known]
        operation = {**event, "summary": name, "parameters": [*places, *asked, *event["parameters"]]}
        operation["responses"] = {**event["responses"], **refused}
        for method in METHODS if route.method == ANY else [route.method]:
            told = dict(operation)
            if method in WITHOUT_BODY:
                told.pop("requestBody")
            elif route.selections:
                told["requestBody"] = {"content": {"application/json": {"schema": _body(route)}}}
            paths.setdefault(path, {}).setdefault(method.lower(), told)
    return paths


def _body(route: Route) -> dict[str, Any]:
    """What the caller's body must have: the objects on the way to each part."""
    schema: dict[str, Any] = {}
    for selection in route.selections.values():
        at = schema
        for step in selection.steps:
            if isinstance(step, int):
                at["type"] = "array"
                at = at.setdefault("items", {})
                continue
            at["type"] = "object"
            if selection.is_required and step not in at.setdefault("required", []):
                at["required"].append(step)
            at = at.setdefault("properties", {}).setdefault(step, {})
    return schema


def _in_query(param: Param) -> dict[str, Any]:
    return {"name": param.name, "in": "query", "required": param.is_required, "schema": _schema(param)}


def _schema(param: Param) -> dict[str, Any]:
    """The type of a parameter, as JSON's schemas say it."""
    if param.kind is None:
        return {"type": "string"}
    return msgspec.json.schema(param.kind)


def _header(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}


def _in_path(name: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": schema or {"type": "string"}}
