"""Gateway: HTTP in front of a graph; an event comes in by POST, its answer goes back.

A plain ASGI application, since every layer between the socket and the graph is paid for by every event. What is not
an event (health, the description of the interface) is left to Starlette.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from nbgraph.contract import DEPLOYMENT_HEADER, LABELS_PATH
from nbgraph.engine.chat import BEGIN, Completion, asked_about
from nbgraph.errors import BodyError, RequestError, StepError
from nbgraph.event import Event, entering
from nbgraph.graph.builder import OPENAI
from nbgraph.graph.graph import Graph
from nbgraph.serve.gateway import chat, labels, preferences, streaming
from nbgraph.serve.gateway.api import Api, methods_of, options_of, target
from nbgraph.serve.gateway.api_keys import Keys
from nbgraph.serve.gateway.health import OPEN, RESERVED, about
from nbgraph.serve.gateway.identity import Identity
from nbgraph.serve.gateway.limits import Arriving, Headers, Limits, Receive, RefusedError, body_of
from nbgraph.serve.gateway.open_inference import Protocol, refusal, request_of
from nbgraph.serve.gateway.packing import WORTH, packed, unpacked
from nbgraph.serve.gateway.preferences import Preferences, wish_of
from nbgraph.serve.queues.reply_waiters import ReplyWaiters
from nbgraph.serve.reply import JSON, Reply, error_of, reply_of
from nbgraph.serve.requests.accepted_log import Accepted, AcceptedLog
from nbgraph.serve.requests.deferred import ID, DeferredRequests
from nbgraph.serve.requests.recovery import Recovery
from nbgraph.serve.requests.registry import PATH, RequestRegistry
from nbgraph.serve.result import reply_of_error, reply_of_run
from nbgraph.serve.runner import Runner
from nbgraph.serve.telemetry.captures import Captures
from nbgraph.serve.telemetry.failures import Failures
from nbgraph.serve.telemetry.metrics import Metrics
from nbgraph.serve.telemetry.tracing import Tracing, tracer
from nbgraph.streams import request_id, traceparent
from nbgraph.streams.codec.wire import encode

if TYPE_CHECKING:
    from nbgraph.monitor.ledger import Ledger
    from nbgraph.serve.telemetry.watching import Watching

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
EVENT = "nbgraph.event"  # where a request's scope has the event that it is,
ASKED = "nbgraph.request_id"  # and what the caller calls it by
LONGEST_ID = 200  # characters of an event's id that a caller gives
RETRY = {429: b"1", 503: b"2"}  # seconds after which it is worth to ask again


class Gateway:
    """The ASGI application of one graph."""

    def __init__(
        self, graph: Graph, metrics: Metrics, failures: Failures, keys: Keys, limits: Limits,
        captures: Captures | None = None, spool: AcceptedLog | None = None, threads: int = 1,
        identity: Identity | None = None, watching: Watching | None = None,
    ) -> None:  # fmt: skip
        self.is_ready = True  # what load balancers are told
        self.is_draining = False  # new events are refused
        self.awaits: str | None = None  # what has to come before events are taken, as a sentence
        self.in_flight = 0
        self.watching = watching
        self.ledger: Ledger | None = (
            None if watching is None else watching.ledger
        )  # where labels go: of a watched graph
        self._arriving = Arriving(limits)
        self._metrics, self._keys, self.limits = metrics, keys, limits
        self.tracing = Tracing(tracer())
        self.captures = captures or Captures(graph)
        self.runner = Runner(graph, metrics.tally, failures, self.tracing, self.captures, threads, watching)
        self.protocol = Protocol(self.runner.plan)
        self._spool = spool or AcceptedLog(None)
        self.requests = RequestRegistry(owner=self._spool.name, lives=self._spool.lives)
        self._later = DeferredRequests(self.runner, self.requests, limits, self._spool)
        self.recovery = Recovery(self._spool, self.runner, self._later)
        self._identity = identity or Identity(graph.name)
        self._about = about(graph, self.protocol, self.hindrance, self._identity)
        routing = self.runner.plan.routing
        self._speaks_chat = graph.protocol == OPENAI
        self._api = Api(routing) if routing is not None else None  # in front of a graph with routes
        metrics.in_flight.set_function(lambda: self.in_flight)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        method, path, headers = scope["method"], scope["path"], _headers(scope)
        if self._speaks_chat and path.startswith(BEGIN):
            await self._chat(scope, headers, receive, send)
            return
        if self.ledger is not None and path == LABELS_PATH and method == "POST":
            await self._labels(self.ledger, headers, receive, send)
            return
        is_event = (
            (method == "POST" and path not in RESERVED) if self._api is None else self._api.is_event(method, path)
        )
        if not is_event and not (method == "GET" and self.protocol.is_for(path)):
            await self._other(scope, headers, receive, send)
            return
        began = time.perf_counter()
        if request_id.HEADER in headers:
            _note(scope, headers)
        with self.tracing.serving(method, path, headers) as hop:
            if ASKED in scope:
                hop.named(scope[ASKED])
            try:
                self._let_in(headers)
                kind = streaming.wanted(headers)
                if kind is not None and not self.runner.is_joined:
                    reply = await self._chunks(scope, headers, receive, partial(_told, send, hop.headers, scope), kind)
                else:
                    reply = await self._event(scope, headers, receive)
            except RefusedError as refusal:
                reply = _named(error_of(refusal.status, str(refusal)), scope, headers.get(ID, ""))
            status = 200 if reply is None else reply.status
            hop.told(status)
            self._metrics.answered(status, time.perf_counter() - began, hop.headers.get(traceparent.HEADER, ""))
        if reply is not None:
            if len(reply.body) >= WORTH:
                reply = await packed(reply, headers)
            await _send(self._signed(reply, headers), send, hop.headers, scope)

    def join(self, callers: ReplyWaiters, *, models: bool = False) -> None:
        """From now on other functions take part, and what is kept for callers stands where they reach it too.

        `models`: one of them has models that callers may ask about.
        """
        self.runner.join(callers)
        self.protocol.is_elsewhere = models
        self.requests.shelf = callers.shelf

    @property
    def methods(self) -> list[str]:
        """The methods that scripts of other pages may call by."""
        return methods_of(self.runner.plan.routing)

    def close(self) -> None:
        self.runner.close()
        self._spool.close()

    def _let_in(self, headers: Headers) -> None:
        """Refuse who has no key, or means another deployment."""
        self._keys.check(headers)
        if DEPLOYMENT_HEADER in headers:
            self._identity.check(headers)

    def _signed(self, reply: Reply, headers: Headers) -> Reply:
        """The reply, with what this is for a caller who asked for a deployment."""
        return self._identity.signed(reply) if DEPLOYMENT_HEADER in headers else reply

    async def _other(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        """What is no event."""
        path = scope["path"]
        try:
            if path not in OPEN:
                self._keys.check(headers)
        except RefusedError as refusal:
            await _send(error_of(refusal.status, str(refusal)), send)
            return
        if scope["method"] == "OPTIONS":
            await _send(options_of(("GET", "HEAD", "OPTIONS") if path in RESERVED else ("POST", "OPTIONS")), send)
            return
        if scope["method"] == "GET" and path.startswith(PATH):
            if self.awaits is not None:
                await _send(error_of(503, f"Requests can't be found: {self.awaits}; try again in a while."), send)
                return
            id = path.removeprefix(PATH)
            await _send(_named(await self.requests.reply_for(id), scope, id), send)
            return
        await self._about(scope, receive, send)

    async def _labels(self, ledger: Ledger, headers: Headers, receive: Receive, send: Send) -> None:
        """What was true of events that were answered before."""
        try:
            self._keys.check(headers)
            reply = await labels.reply_of_labels(ledger, await self._body(headers, receive))
        except RefusedError as refusal:
            reply = error_of(refusal.status, str(refusal))
        await _send(reply, send)

    def hindrance(self) -> str | None:
        """Why no events can be taken now."""
        if not self.is_ready:
            return "draining"
        if self.awaits is not None:
            return self.awaits
        return None if self.runner.is_reachable else "the broker is away"

    async def _chunks(self, scope: Scope, headers: Headers, receive: Receive, send: Send, kind: str) -> Reply | None:
        """Send every answer as it comes; the reply instead, where it came to an error before the first."""
        body = await self._body(headers, receive)
        self._admit()
        try:
            event = self._entered(scope, headers, body)
            sending = streaming.send_all(self.runner.track, event, kind, receive, send)
            await self.runner.telling(event, body, sending)
        except BodyError as error:
            return error_of(400, str(error))
        except RequestError as error:
            return refusal(error)
        except StepError as error:
            return reply_of_error(event, error)
        finally:
            self.in_flight -= 1
        return None

    async def _chat(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        """A request in OpenAI's form, and an answer in it whatever happens."""
        began, status = time.perf_counter(), 200
        _note(scope, headers)
        with self.tracing.serving(scope["method"], scope["path"], headers) as hop:
            if ASKED in scope:
                hop.named(scope[ASKED])
            reply: Reply | None
            try:
                self._let_in(headers)
                reply = await self._completed(scope, headers, receive, partial(_told, send, hop.headers, scope))
            except Exception as error:
                reply = chat.error_reply(error)
            status = 200 if reply is None else reply.status
            hop.told(status)
            self._metrics.answered(status, time.perf_counter() - began, hop.headers.get(traceparent.HEADER, ""))
        if reply is not None:
            reply = await packed(reply, headers) if len(reply.body) >= WORTH else reply
            await _send(self._signed(reply, headers), send, hop.headers, scope)

    async def _completed(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> Reply | None:
        """The reply; None for one that was sent in chunks."""
        event = Event(None, path=target(scope), method=scope["method"], headers=headers)
        if (found := asked_about(self.runner.plan.name, event)) is not None:
            return reply_of(found)
        body = await self._body(headers, receive)
        self._admit()
        try:
            id = _id(headers) if ID in headers else None
            event = entering(
                body, path=scope["path"], method=scope["method"], headers=headers, id=id, content_type=JSON
            )
            scope[EVENT] = event
            completion = Completion(event, self.runner.plan.name)
            given = self.runner.given(event, body, self.limits.seconds)
            if completion.is_stream:
                work = chat.stream(given, completion, send)
            else:
                work = chat.fill(given, completion, self.limits.seconds)
            await self.runner.telling(event, body, streaming.while_there(work, receive))
            return None if completion.is_stream else reply_of(completion.whole())
        finally:
            self.in_flight -= 1

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        """The body; a request has a place among those in flight only once it is there."""
        self._refuse_when_closed()
        body = await body_of(receive, headers, self.limits, self._arriving)
        return await unpacked(body, self.limits.body_bytes) if headers.get("content-encoding") == "gzip" else body

    def _entered(self, scope: Scope, headers: Headers, body: bytes) -> Event:
        """The event that a request is, which a route takes where there are any."""
        method: str = scope["method"]
        given = request_of(body, headers) if method != "GET" else None
        kind = (headers.get("content-type") or None) if given is body else None
        id = _id(headers) if ID in headers else None
        if self._api is None:
            event = scope[EVENT] = entering(
                given, path=scope["path"], method=method, headers=headers, id=id, content_type=kind
            )
            return event
        sent = self._api.given(body, method) if given is None or given is body else given
        event = scope[EVENT] = entering(
            sent, path=target(scope), method=method, headers=headers, id=id, content_type=kind
        )
        if not self.protocol.is_for(scope["path"]):
            self._api.admit(event)
        return event

    def _refuse_when_closed(self) -> None:
        if self.is_draining:
            raise RefusedError(503, "This deployment is being stopped and takes no new events.")
        if self.awaits is not None:
            raise RefusedError(503, f"No events can be taken: {self.awaits}; try again in a while.")

    def _admit(self) -> None:
        self._refuse_when_closed()
        if self.in_flight >= self.limits.in_flight:
            raise RefusedError(429, f"{self.in_flight} requests are being worked on, the most that are taken.")
        self.in_flight += 1

    async def _event(self, scope: Scope, headers: Headers, receive: Receive) -> Reply:
        wanted = wish_of(headers)
        body = await self._body(headers, receive)
        self._admit()
        runs: list[asyncio.Future[Any]] = []  # what keeps this request's place
        try:
            if self._api is not None and (about := self._api.options(scope)) is not None:
                return about
            event = self._entered(scope, headers, body)
            if self.protocol.is_for(event.path) and (told := self.protocol.answer(event)) is not None:
                return told
            if wanted.is_async or wanted.key is not None or ID in headers:
                return await self._later.reply(event, body, wanted, runs)
            if self.runner.is_quick:
                return reply_of_run(event, partial(self.runner.here, event, body))
            return await self._within_deadline(event, body, wanted, runs, receive)
        except BodyError as error:
            return error_of(400, str(error))
        except RequestError as error:
            return refusal(error)
        finally:
            self._leave(runs)

    async def take(self, event: Event) -> None:
        """Run an event of the worker's own clock, once among all who know it by its id."""
        self._admit()
        runs: list[asyncio.Future[Any]] = []
        try:
            body = encode(event.body)
            reply = await self._later.reply(event, body, Preferences(is_async=True, key=event.id), runs)
            if reply.status == 503:
                raise RefusedError(503, reply.body.decode())
        finally:
            self._leave(runs)

    async def _within_deadline(
        self, event: Event, body: bytes, wanted: Preferences, runs: list[asyncio.Future[Any]], receive: Receive
    ) -> Reply:
        seconds = self.limits.seconds if wanted is preferences.NONE else self.limits.within(wanted.seconds)
        if self.runner.answers_early:
            await self._spool.accept(Accepted.of(event, body, event.headers))
        run, early = self.runner.begin(event, body, seconds)
        runs.append(run)
        if early:
            run.add_done_callback(partial(self._spool.ended, event.id))
        leaving = self.runner.watch(event, receive)
        try:
            done, _ = await asyncio.wait({run, *early}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
        if not done:
            return error_of(504, f"No answer within {seconds:g} seconds.", event=event.id)
        return reply_of_run(event, (run if run in done else done.pop()).result)

    def _leave(self, runs: list[asyncio.Future[Any]]) -> None:
        """The caller has been answered, but the place is free only when the work ends."""
        if runs and not runs[0].done():
            runs[0].add_done_callback(self._left)
        else:
            self.in_flight -= 1

    def _left(self, _: asyncio.Future[Any]) -> None:
        self.in_flight -= 1


def _id(headers: Headers) -> str:
    """The id that a caller gives his event."""
    given = headers[ID]
    if not _is_id(given):
        raise RequestError(
            f"X-Event-Id is {given[:50]!r}, of {len(given)} characters; expected 1 to {LONGEST_ID} printable ones of "
            "ASCII. Leave it out to be told the id that the event gets."
        )
    return given


def _is_id(text: str) -> bool:
    return 0 < len(text) <= LONGEST_ID and text.isascii() and text.isprintable()


def _named(reply: Reply, scope: Scope, id: str) -> Reply:
    """The reply with the id of an event that is not there, or no more, as whoever asks calls it."""
    if EVENT in scope or not _is_id(id):
        return reply
    return reply._replace(headers=(*reply.headers, (b"x-event-id", id.encode())))


def _note(scope: Scope, headers: Headers) -> None:
    """Keep what the caller calls his request by, for the answer and the logs."""
    asked = request_id.of_headers(headers)
    if asked is not None:
        scope[ASKED] = asked
        request_id.current.set(asked)


def _headers(scope: Scope) -> Headers:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


async def _told(send: Send, trace: Mapping[str, str], scope: Scope, message: MutableMapping[str, Any]) -> None:
    """Send a part of an answer, its beginning with the headers of the trace."""
    if message["type"] == "http.response.start":
        ids = [(b"x-event-id", scope[EVENT].id.encode())]
        ids += [(b"x-request-id", scope[ASKED].encode())] if ASKED in scope else []
        message["headers"] = [*message["headers"], *_encoded(trace), *ids]
    await send(message)


async def _send(reply: Reply, send: Send, trace: Mapping[str, str] | None = None, scope: Scope | None = None) -> None:
    headers = [(b"content-length", b"%d" % len(reply.body))] if reply.status != HTTPStatus.NO_CONTENT else []
    headers += reply.headers
    if reply.content_type:
        headers.append((b"content-type", reply.content_type.encode()))
    if reply.status in RETRY:
        headers.append((b"retry-after", RETRY[reply.status]))
    if reply.status == HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b"Bearer"))
    if trace is not None:
        headers += _encoded(trace)
    if scope is not None:
        event: Event | None = scope.get(EVENT)
        if event is not None:
            headers.append((b"x-event-id", event.id.encode()))
        if ASKED in scope:
            headers.append((b"x-request-id", scope[ASKED].encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send(
        {"type": "http.response.body", "body": reply.body if scope is None or scope["method"] != "HEAD" else b""}
    )


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    if len(headers) == 1:  # most often the trace is all there is
        return [(b"traceparent", headers["traceparent"].encode())]
    return [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
