"""HTTP: the gateway in front of a graph; an event comes in by POST, its answer goes back.

A plain ASGI application, since every layer between the socket and the graph is paid for by every event. What is not
an event (health, the description of the interface) is left to Starlette.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nbgraph.engine.plan import entering
from nbgraph.errors import BodyError, RequestError, StepError
from nbgraph.event import Event
from nbgraph.graph.graph import Graph
from nbgraph.serve import chunks
from nbgraph.serve.answer import Reply, error_of, reply_of
from nbgraph.serve.failures import Failures
from nbgraph.serve.keys import Keys
from nbgraph.serve.limits import Headers, Limits, Receive, RefusedError, body_of
from nbgraph.serve.metrics import Metrics
from nbgraph.serve.pipeline import RemoteError
from nbgraph.serve.protocol import Protocol, refusal, reply_to, request_of
from nbgraph.serve.runner import Runner
from nbgraph.streams.wire import AnswerError

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
OPEN = ("/health/live", "/health/ready")
RESERVED = (*OPEN, "/openapi.json")
RETRY = {429: b"1", 503: b"2"}  # seconds after which it is worth to ask again
log = logging.getLogger("nbgraph.serve")


class Gateway:
    """The ASGI application of one graph."""

    def __init__(self, graph: Graph, metrics: Metrics, failures: Failures, keys: Keys, limits: Limits) -> None:
        self.is_ready = True  # what load balancers are told
        self.is_draining = False  # new events are refused
        self.in_flight = 0
        self._metrics, self._keys, self._limits = metrics, keys, limits
        self.runner = Runner(graph, metrics.tally, failures)
        self.protocol = Protocol(self.runner.plan)
        self._rest = _rest(graph, self)
        metrics.in_flight.set_function(lambda: self.in_flight)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        is_question = scope["method"] == "GET" and self.protocol.is_for(scope["path"])
        is_event = is_question or (scope["method"] == "POST" and scope["path"] not in RESERVED)
        headers = _headers(scope)
        try:
            if scope["path"] not in OPEN:
                self._keys.check(headers)
            if not is_event:
                await self._rest(scope, receive, send)
                return
            kind = chunks.wanted(headers)
            if kind is not None:
                await self._chunks(scope, headers, receive, send, kind)
                return
            reply = await self._event(scope, headers, receive)
        except RefusedError as refusal:
            reply = error_of(refusal.status, str(refusal))
        self._metrics.answered(reply.status)
        await _send(reply, send)

    def close(self) -> None:
        self.runner.close()

    async def _chunks(self, scope: Scope, headers: Headers, receive: Receive, send: Send, kind: str) -> None:
        """Send every answer as it comes; whoever has gone away before the end is not waited for."""
        self._admit()
        try:
            body = await body_of(receive, headers, self._limits)
            given = headers.get("content-type") or None
            event = entering(body, scope["path"], scope["method"], headers, content_type=given)
            await chunks.send_all(self.runner.plan, event, kind, send)
            status = 200
        except (StepError, BodyError) as error:
            is_body = isinstance(error, BodyError)
            reply = error_of(400, str(error)) if is_body else _reply(event, partial(_raised, error))
            await _send(reply, send)
            status = reply.status
        finally:
            self.in_flight -= 1
        self._metrics.answered(status)

    def _admit(self) -> None:
        if self.is_draining:
            raise RefusedError(503, "This deployment is being stopped and takes no new events.")
        if self.in_flight >= self._limits.in_flight:
            raise RefusedError(429, f"{self.in_flight} requests are being worked on, the most that are taken.")
        self.in_flight += 1

    async def _event(self, scope: Scope, headers: Headers, receive: Receive) -> Reply:
        self._admit()
        run = None
        try:
            body = await body_of(receive, headers, self._limits)
            given = request_of(body, headers)
            kind = headers.get("content-type") or None
            event = entering(given, scope["path"], scope["method"], headers, content_type=kind)
            if self.protocol.is_for(event.path) and (told := self.protocol.answer(event)) is not None:
                return told
            if self.runner.is_quick:
                return _reply(event, partial(self.runner.here, event, body))
            run, early = self.runner.begin(event, body)
            return await self._within_deadline(event, run, early)
        except BodyError as error:
            return error_of(400, str(error))
        except RequestError as error:
            return refusal(error)
        finally:
            if run is None or run.done():
                self.in_flight -= 1
            else:  # the caller has been answered, but the place is free only when the work ends
                run.add_done_callback(self._left)

    async def _within_deadline(self, event: Event, run: asyncio.Future[Any], early: set[asyncio.Future[Any]]) -> Reply:
        seconds = self._limits.seconds
        done, _ = await asyncio.wait({run, *early}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            return error_of(504, f"No answer within {seconds:g} seconds.", event=event.id)
        return _reply(event, (run if run in done else done.pop()).result)

    def _left(self, _: asyncio.Future[Any]) -> None:
        self.in_flight -= 1


def _reply(event: Event, result: Callable[[], Any]) -> Reply:
    """The reply to an answer, or to what was raised."""
    try:
        return reply_to(result())
    except StepError as error:
        if error.answer is not None:  # the responder had answered before a later branch failed
            return reply_of(error.answer)
        if isinstance(error.__cause__, RequestError):
            return refusal(error.__cause__)
        return error_of(500, str(error), step=error.step, event=event.id)
    except RemoteError as error:
        return error_of(error.status, str(error), event=event.id, **({"step": error.step} if error.step else {}))
    except AnswerError as error:
        log.error("%s", error, extra={"event": event.id})
        return error_of(500, str(error), event=event.id)
    except Exception as error:
        log.exception("The graph failed outside of its steps", extra={"event": event.id})
        return error_of(500, f"{type(error).__name__}: {error}", event=event.id)


def _raised(error: Exception) -> Any:
    raise error


def _headers(scope: Scope) -> Headers:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


async def _send(reply: Reply, send: Send) -> None:
    headers = [(b"content-length", b"%d" % len(reply.body))] if reply.status != HTTPStatus.NO_CONTENT else []
    headers += reply.headers
    if reply.content_type:
        headers.append((b"content-type", reply.content_type.encode()))
    if reply.status in RETRY:
        headers.append((b"retry-after", RETRY[reply.status]))
    if reply.status == HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


def _rest(graph: Graph, gateway: Gateway) -> Starlette:
    """Everything that is not an event."""
    began = time.time()

    async def live(request: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def ready(request: Request) -> Response:
        if not gateway.is_ready:
            return JSONResponse({"status": "draining"}, 503)
        if loading := gateway.protocol.loading():
            return JSONResponse({"status": "loading", "models": loading}, 503)
        return JSONResponse({"status": "ready", "graph": graph.name, "since": round(began)})

    async def openapi(request: Request) -> Response:
        found = description(graph)
        return JSONResponse({**found, "paths": {**found["paths"], **gateway.protocol.paths()}})

    async def refused(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        phrase = HTTPStatus(status).phrase
        message = f"{request.method} {request.url.path}: {phrase}. Events are sent by POST to / or any path below it."
        return JSONResponse({"error": message}, status)

    paths = {"/health/live": live, "/health/ready": ready, "/openapi.json": openapi}
    routes = [Route(path, answer) for path, answer in paths.items()]
    return Starlette(routes=routes, exception_handlers={HTTPException: refused})


def description(graph: Graph) -> dict[str, Any]:
    """The interface in OpenAPI's terms.

    >>> list(description(Graph("fraud"))["paths"])
    ['/', '/{path}', '/health/live', '/health/ready']
    """
    any_json: dict[str, Any] = {"content": {"application/json": {"schema": {}}}}
    statuses = {400: "not JSON", 401: "no key", 413: "too large", 429: "saturated", 500: "a step failed",
                503: "being stopped", 504: "too late"}  # fmt: skip
    errors = {str(status): {"description": reason} for status, reason in statuses.items()}
    answers = {"200": {"description": "the answer", **any_json}, "204": {"description": "nothing answers"}, **errors}
    event = {"summary": "Send an event", "requestBody": any_json, "responses": answers}
    path = {"name": "path", "in": "path", "required": True, "schema": {"type": "string"}}
    health = {"get": {"responses": {"200": {"description": "yes"}, "503": {"description": "no"}}}}
    paths = {"/": {"post": event}, "/{path}": {"parameters": [path], "post": event}, **dict.fromkeys(OPEN, health)}
    return {"openapi": "3.1.0", "info": {"title": graph.name, "version": "1"}, "paths": paths}
