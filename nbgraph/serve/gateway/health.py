"""Health: requests beside events: health, readiness, the description of the interface."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nbgraph.contract import LIVE_PATH, READY_PATH
from nbgraph.graph.graph import Graph
from nbgraph.graph.routes.route import GATEWAY
from nbgraph.serve.gateway.identity import Identity
from nbgraph.serve.gateway.open_inference import Protocol
from nbgraph.serve.gateway.openapi import description

OPEN = (LIVE_PATH, READY_PATH)
RESERVED = GATEWAY


def about(graph: Graph, protocol: Protocol, hindrance: Callable[[], str | None], identity: Identity) -> Starlette:
    """The application for it; `hindrance` says in a word why no events can be taken now."""
    began = time.time()

    async def live(request: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def ready(request: Request) -> Response:
        if (reason := hindrance()) is not None:
            return JSONResponse({"status": reason}, 503)
        if loading := protocol.loading():
            return JSONResponse({"status": "loading", "models": loading}, 503)
        told = identity.current
        named = {"deployment": told.name, "version": told.version} if told is not None else {}
        return JSONResponse({"status": "ready", "graph": graph.name, **named, "since": round(began)})

    async def openapi(request: Request) -> Response:
        found = description(graph)
        return JSONResponse({**found, "paths": {**found["paths"], **protocol.paths()}})

    async def refused(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        phrase = HTTPStatus(status).phrase
        message = f"{request.method} {request.url.path}: {phrase}. Events are sent by POST to / or any path below it."
        return JSONResponse({"error": message}, status)

    routes = [Route(path, answer) for path, answer in zip(RESERVED, (live, ready, openapi), strict=True)]
    return Starlette(routes=routes, exception_handlers={HTTPException: refused})
