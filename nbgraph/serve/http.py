"""HTTP: the gateway in front of a graph; an event comes in by POST, its answer goes back.

A plain ASGI application, since every layer between the socket and the graph is paid for by every event. What is not
an event (health, the description of the interface) is left to Starlette.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nbgraph.engine.observer import Move, Observer
from nbgraph.engine.plan import Plan, entering
from nbgraph.errors import BodyError, RequestError, StepError
from nbgraph.event import Event
from nbgraph.graph.graph import Graph
from nbgraph.serve.answer import AnswerError, Reply, error_of, reply_of
from nbgraph.serve.failures import Failures
from nbgraph.serve.keys import Keys
from nbgraph.serve.lane import Lane
from nbgraph.serve.limits import Headers, Limits, Receive, RefusedError, body_of
from nbgraph.serve.metrics import Metrics
from nbgraph.serve.protocol import Protocol, refusal, reply_to, request_of

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
        self._metrics, self._failures, self._keys, self._limits = metrics, failures, keys, limits
        self._early = _EarlyAnswers(graph) if _goes_on_after_answer(graph) else None
        if self._early is not None:
            graph.observers.append(self._early)
        self._plan: Plan = graph.plan()
        self.protocol = Protocol(self._plan)
        self._lane = Lane()
        self._rest = _rest(graph, self)

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
            reply = await self._event(scope, headers, receive)
        except RefusedError as refusal:
            reply = error_of(refusal.status, str(refusal))
        self._metrics.answered(reply.status)
        await _send(reply, send)

    def close(self) -> None:
        self._lane.close()

    async def _event(self, scope: Scope, headers: Headers, receive: Receive) -> Reply:
        if self.is_draining:
            raise RefusedError(503, "This deployment is being stopped and takes no new events.")
        if self.in_flight >= self._limits.in_flight:
            raise RefusedError(429, f"{self.in_flight} requests are being worked on, the most that are taken.")
        self._entered(1)
        began = None
        try:
            body = await body_of(receive, headers, self._limits)
            event = entering(
                request_of(body, headers),
                scope["path"],
                scope["method"],
                headers,
                content_type=headers.get("content-type") or None,
            )
            if self.protocol.is_for(event.path) and (told := self.protocol.answer(event)) is not None:
                return told
            self._failures.received(event, body)
            if self._lane.is_on_loop and not self._plan.is_async:
                return self._reply(event, partial(self._lane.here, partial(self._plan.answer_to, event)))
            early = {self._early.of(event)} if self._early is not None else set()  # before the first step may answer
            began = self._begin(event)
            return await self._within_deadline(event, began, early)
        except BodyError as error:
            return error_of(400, str(error))
        except RequestError as error:
            return refusal(error)
        finally:
            if began is None or began.done():
                self._entered(-1)
            else:  # the caller has been answered, but the place is free only when the work ends
                began.add_done_callback(lambda _: self._entered(-1))

    def _begin(self, event: Event) -> asyncio.Future[Any]:
        if self._plan.is_async:
            return asyncio.ensure_future(self._plan.arun(event))
        return self._lane.on_thread(partial(self._plan.answer_to, event))

    async def _within_deadline(self, event: Event, run: asyncio.Future[Any], early: set[asyncio.Future[Any]]) -> Reply:
        seconds = self._limits.seconds
        done, _ = await asyncio.wait({run, *early}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            run.add_done_callback(partial(_log_late, event))
            return error_of(504, f"No answer within {seconds:g} seconds.", event=event.id)
        if run not in done:
            run.add_done_callback(partial(_log_late, event))
        finished = run if run in done else done.pop()
        return self._reply(event, finished.result)

    def _reply(self, event: Event, result: Callable[[], Any]) -> Reply:
        """The reply to an answer, or to what was raised; the traceback goes to the log, never to the caller."""
        try:
            return reply_to(result())
        except StepError as error:
            if isinstance(error.__cause__, RequestError) and error.answer is None:
                return refusal(error.__cause__)
            _log_failure(event, error)
            if error.answer is not None:  # the responder had answered before a later branch failed
                return reply_of(error.answer)
            return error_of(500, str(error), step=error.step, event=event.id)
        except AnswerError as error:
            log.error("%s", error, extra={"event": event.id})
            return error_of(500, str(error), event=event.id)
        except Exception as error:
            log.exception("The graph failed outside of its steps", extra={"event": event.id})
            return error_of(500, f"{type(error).__name__}: {error}", event=event.id)

    def _entered(self, number: int) -> None:
        self.in_flight += number
        self._metrics.in_flight.set(self.in_flight)


class _EarlyAnswers(Observer):
    """Hands out what a responder in the middle of a graph answers, while the rest still runs."""

    def __init__(self, graph: Graph) -> None:
        self._responder = graph.responder
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[str, asyncio.Future[Any]] = {}

    def of(self, event: Event) -> asyncio.Future[Any]:
        self._loop = asyncio.get_running_loop()
        future = self._waiting[event.id] = self._loop.create_future()
        return future

    def after(self, move: Move) -> None:
        if move.step == self._responder and move.error is None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._answer, move.event.id, move.output)

    def finished(self, event: Event, answers: Sequence[Any], error: StepError | None) -> None:
        """An event that never came to the responder: nobody waits for it any more."""
        if not answers:
            self._waiting.pop(event.id, None)

    def _answer(self, id: str, answer: Any) -> None:
        future = self._waiting.pop(id, None)
        if future is not None and not future.done():
            future.set_result(answer)


def _goes_on_after_answer(graph: Graph) -> bool:
    return any(edge.source == graph.responder and edge.carries_events for edge in graph.edges)


def _log_failure(event: Event, error: StepError) -> None:
    fields = {"event": event.id, "step": error.step}
    log.error("%s", error, exc_info=error.__cause__ or error, extra=fields)


def _log_late(event: Event, run: asyncio.Future[Any]) -> None:
    error = None if run.cancelled() else run.exception()
    if isinstance(error, StepError):
        _log_failure(event, error)
    elif error is not None:
        log.error("%s", error, exc_info=error, extra={"event": event.id})


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
