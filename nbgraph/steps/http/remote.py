"""Remote: steps that ask an HTTP service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from nbgraph.errors import GraphError
from nbgraph.event import Event
from nbgraph.handler import Counterpart, Handler
from nbgraph.steps.http.client import HttpRequest, HttpResponse, HttpSender
from nbgraph.steps.operators.stateless import BODY, Function, callable_of
from nbgraph.types import Section, Shape

__all__ = ["BatchHttpRequests", "RemoteStep", "SendToHttp"]

CALLERS_PATH = "$path"


class _Remote(Handler):
    """What the remote steps share: how a request is made of a body."""

    section = Section.REMOTE
    io = "the network"
    expressions: ClassVar = {
        "url_expression": ("event", "endpoint"),
        "body_expression": BODY,
        "headers_expression": BODY,
    }

    shape = Shape.EVENT
    default_in_flight: int | None = None

    def __init__(
        self,
        url: str | None = None,
        method: str | None = None,
        *,
        subpath: str | None = None,
        headers: Mapping[str, str] | None = None,
        url_expression: Function | None = None,
        body_expression: Function | None = None,
        headers_expression: Function | None = None,
        return_json: bool = True,
        max_in_flight: int | None = None,
        retries: int = 6,
        backoff_factor: float = 1,
        timeout: float | None = 30,
    ) -> None:
        own = type(self)
        self._url = _url_function(own, url, url_expression)
        self._body = self._more_headers = None
        if body_expression is not None:
            self._body = callable_of(body_expression, own, "body_expression")
        if headers_expression is not None:
            self._more_headers = callable_of(headers_expression, own, "headers_expression")
        self._method, self._subpath, self._headers = method, subpath, dict(headers or {})
        self._returns_json = return_json
        self._sender = HttpSender(
            own.__name__, timeout, retries, backoff_factor, max_in_flight or self.default_in_flight
        )
        self.concurrency = max_in_flight

    async def do(self, event: Event) -> Event:
        subpath = event.path if self._subpath == CALLERS_PATH else self._subpath
        event_headers = {"X-Event-Id": quote(event.id), "X-Event-Path": quote(event.path)}
        event.body = await self._ask(event.body, subpath, event_headers)
        return event

    async def _ask(self, body: Any, subpath: str | None, event_headers: Mapping[str, str]) -> Any:
        response = await self._sender.send(self._request(body, subpath, event_headers))
        return response.json() if self._returns_json else response.content

    def _request(self, body: Any, subpath: str | None, event_headers: Mapping[str, str]) -> HttpRequest:
        url = str(self._url(body))
        if subpath:
            url = f"{url.rstrip('/')}/{subpath.lstrip('/')}"
        headers = {
            **event_headers,
            **self._headers,
            **(self._more_headers(body) if self._more_headers is not None else {}),
        }
        sent = self._body(body) if self._body is not None else body
        method = self._method or ("GET" if sent is None else "POST")
        return HttpRequest(method, url, None if method in ("GET", "HEAD") else sent, headers)


def _url_function(own: type[_Remote], url: str | None, expression: Function | None) -> Callable[[Any], Any]:
    """What makes the address of a body."""
    if expression is None:
        if url is None:
            raise GraphError(f"{own.__name__} needs a url, or a url_expression.")
        return lambda body: url
    function = callable_of(expression, own, "url_expression")
    if not callable(expression):
        return lambda body: function(body, url)
    if url is not None:
        raise GraphError(
            f"{own.__name__} got a url and a function as url_expression, and not both can be asked; the url is "
            "`endpoint` in a text: url_expression=\"endpoint + event['path']\"."
        )
    return function


class RemoteStep(_Remote):
    """Send the body to an HTTP service; its answer replaces the body.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> rates = graph.to(RemoteStep("https://example.org/rates", "GET", subpath="latest", max_in_flight=8), "rates")
    >>> _ = rates.to(RemoteStep(url_expression="'https://example.org/' + event['base']", method="GET"), "bank")

    `method` is POST, or GET where the body is None. `subpath="$path"` goes on to the path that the caller asked for.
    The expressions, texts over `event` or functions of the body, make the address, the body that is sent, and further
    headers; `url` is `endpoint` in the text that makes the address. Only headers given here are sent, the event's
    (`X-Event-Id`, `X-Event-Path`) and the trace context: the caller's own, with his credentials, stay with this graph.
    The answer is read as JSON, whatever its content type, and stays text where it is none; one without a body is None.
    An answer that is no success is an error of the step, `HttpError`, with its `status`; what may pass (no
    connection, 408, 425, 429, 5xx) is tried `retries` more times. `return_json=False` gives the answer's bytes.

    Parameters
    ----------
    url
        Address.
    method
        HTTP method.
    subpath
        Path behind the address; `"$path"` is the event's own.
    headers
        Headers that are sent.
    url_expression
        Address, as expression over `event` or function.
    body_expression
        What is sent, as expression or function; else the body.
    headers_expression
        Headers, as expression or function.
    return_json
        Whether an answer in JSON is decoded.
    max_in_flight
        Requests under way at once; None: the step's own concurrency.
    retries
        Further tries of a request that failed by what may pass: no connection, 408, 425, 429, 5xx.
    backoff_factor
        Seconds before the second try; they double with each further one.
    timeout
        Seconds for one request.
    """

    counterpart = Counterpart("RemoteStep", aliases=("$remote",))


class BatchHttpRequests(_Remote):
    """Send each item of a body that is a list, many at once; the list of their answers, in order, replaces the body.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(BatchHttpRequests(url_expression="event['url']", method="GET", max_in_flight=16))

    The arguments are those of RemoteStep, for each item; `max_in_flight` of them are under way, 8 if not said. When
    one fails for good, the step fails.

    Parameters
    ----------
    url
        Address.
    method
        HTTP method.
    subpath
        Path behind the address; `"$path"` is the event's own.
    headers
        Headers that are sent.
    url_expression
        Address of an item, as expression over `event` or function.
    body_expression
        What is sent of an item, as expression or function.
    headers_expression
        Headers of an item, as expression or function.
    return_json
        Whether an answer in JSON is decoded.
    max_in_flight
        Requests under way at once; None: 8.
    retries
        Further tries of a request that failed by what may pass: no connection, 408, 425, 429, 5xx.
    backoff_factor
        Seconds before the second try; they double with each further one.
    timeout
        Seconds for one request.
    """

    counterpart = Counterpart("BatchHttpRequests")

    default_in_flight = 8

    async def _ask(self, body: Any, subpath: str | None, event_headers: Mapping[str, str]) -> Any:
        """Each item as RemoteStep would; the first error ends the others."""
        ask = super()._ask
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(ask(item, subpath, event_headers)) for item in body]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [task.result() for task in tasks]


class SendToHttp(Handler):
    """Send the request that a function makes of the body; another puts the response into the body.

    >>> from nbgraph import Graph
    >>> def request(body):
    ...     return HttpRequest("GET", f"https://example.org/rates/{body['currency']}")
    >>> def join(body, response):
    ...     return {**body, "rate": response.body["rate"]}
    >>> graph = Graph("g")
    >>> _ = graph.to(SendToHttp(request, join))

    Without `join_from_response` the response's body replaces the event's. Retries are as RemoteStep's.

    Parameters
    ----------
    request_builder
        Function of the body that gives an HttpRequest.
    join_from_response
        Function of body and HttpResponse that gives the new body; None: the response's.
    max_in_flight
        Requests under way at once; None: the step's own concurrency.
    retries
        Further tries of a request that failed by what may pass: no connection, 408, 425, 429, 5xx.
    backoff_factor
        Seconds before the second try; they double with each further one.
    timeout
        Seconds for one request.
    """

    section = Section.REMOTE
    counterpart = Counterpart("SendToHttp")
    io = "the network"

    def __init__(
        self,
        request_builder: Callable[[Any], HttpRequest],
        join_from_response: Callable[[Any, HttpResponse], Any] | None = None,
        max_in_flight: int | None = None,
        retries: int = 6,
        backoff_factor: float = 1,
        timeout: float | None = 30,
    ) -> None:
        self._builder, self._join = request_builder, join_from_response
        self.concurrency = max_in_flight
        self._sender = HttpSender("SendToHttp", timeout, retries, backoff_factor, max_in_flight)

    async def do(self, body: Any) -> Any:
        response = await self._sender.send(self._builder(body))
        return response.body if self._join is None else self._join(body, response)
