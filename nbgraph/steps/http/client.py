"""Request: one HTTP request, sent with retries and a limit of how many are under way."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec

from nbgraph.errors import NbgraphError
from nbgraph.event import decode, is_json
from nbgraph.steps.arguments import seconds, whole
from nbgraph.steps.optional import package
from nbgraph.steps.runtime.loop_thread import LONGEST_PAUSE, PerLoop, pause, send_off
from nbgraph.streams import traceparent
from nbgraph.streams.codec.wire import encode
from nbgraph.types import Section

__all__ = ["HttpError", "HttpRequest", "HttpResponse"]

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # what may be otherwise a moment later
NO_CONTENT = 204
EXCERPT = 200  # characters of an answer that an error tells


class HttpError(NbgraphError):
    """The answer was no success: `status` and `body` are the answer's.

    Parameters
    ----------
    request
        What was sent.
    status
        The answer's status.
    body
        The answer's body.
    """

    section: ClassVar[Section] = Section.REMOTE

    def __init__(self, request: HttpRequest, status: int, body: Any) -> None:
        super().__init__(f"{request.method} {_address(request)} answered {status}: {str(body)[:EXCERPT]}")
        self.status, self.body = status, body


@dataclass(frozen=True)
class HttpRequest:
    """What is sent: bytes and text as they are, any other body as JSON.

    >>> HttpRequest("POST", "https://example.org/score", {"amount": 120}).method
    'POST'

    Parameters
    ----------
    method
        HTTP method.
    url
        Address.
    body
        What is sent: bytes and text as they are, any other as JSON.
    headers
        Headers that are sent.
    """

    section: ClassVar[Section] = Section.REMOTE

    method: str
    url: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class HttpResponse:
    """What came back: JSON decoded, text as text, the rest as bytes; `content` is it all as it came.

    Parameters
    ----------
    status
        Status.
    body
        Body: JSON decoded, text as text, the rest as bytes.
    headers
        Headers.
    content
        The body's bytes as they came.
    """

    section: ClassVar[Section] = Section.REMOTE

    status: int
    body: Any
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """The body; a text that is JSON decoded, whatever was said of its type.

        >>> HttpResponse(200, '{"a": 1}', {}, b'{"a": 1}').json(), HttpResponse(200, "well", {}, b"well").json()
        ({'a': 1}, 'well')
        """
        return decode(self.body) if isinstance(self.body, str) else self.body


class HttpSender:
    """Sends requests from any event loop, each with connections of its own.

    Only the headers of the request itself are sent, and the trace it belongs to (W3C). What fails on the way, or is
    answered by a status that may pass, is tried again `retries` times, as late as the server's Retry-After asks for.
    """

    def __init__(
        self, step: str, timeout: float | None, retries: int, backoff_factor: float, max_in_flight: int | None = None
    ) -> None:
        self._timeout, self._retries = seconds(step, "timeout", timeout), whole(step, "retries", retries, 0)
        self._backoff = backoff_factor
        if max_in_flight is not None:
            whole(step, "max_in_flight", max_in_flight)
        self._clients: PerLoop[Any] = PerLoop(self._made_client)
        self._slots: PerLoop[Any] = PerLoop(
            lambda: asyncio.Semaphore(max_in_flight) if max_in_flight is not None else nullcontext()
        )

    async def send(self, request: HttpRequest) -> HttpResponse:
        """The response, when it is a success; else an HttpError."""
        httpx = package("httpx", "An HTTP step")
        async with self._slots.here():
            for attempt in range(self._retries):
                try:
                    return await self._once(request)
                except httpx.TransportError:
                    await asyncio.sleep(pause(attempt, self._backoff))
                except PassingError as error:
                    await asyncio.sleep(error.wait if error.wait is not None else pause(attempt, self._backoff))
            try:
                return await self._once(request)
            except httpx.TransportError as error:
                raise self._told(request, error) from error

    def _told(self, request: HttpRequest, error: Any) -> Exception:
        """The error with what was asked, since that of a timeout says nothing at all."""
        httpx = package("httpx", "An HTTP step")
        why = f"no answer within {self._timeout} s" if isinstance(error, httpx.TimeoutException) else str(error)
        tries = f", tried {self._retries + 1} times" if self._retries else ""
        explained: Exception = type(error)(f"{request.method} {_address(request)}: {why or 'failed on the way'}{tries}")
        return explained

    async def _once(self, request: HttpRequest) -> HttpResponse:
        content, kind = packed(request.body) if request.body is not None else (None, None)
        headers = {**traceparent.current.get(), **({"Content-Type": kind} if kind else {}), **request.headers}
        answer = await self._clients.here().request(request.method, request.url, content=content, headers=headers)
        if answer.is_success:
            return HttpResponse(answer.status_code, _body_of(answer), dict(answer.headers), answer.content)
        body = answer.text
        if answer.status_code in PASSING:
            raise PassingError(request, answer.status_code, body, _seconds(answer.headers.get("retry-after")))
        raise HttpError(request, answer.status_code, body)

    def _made_client(self) -> Any:
        httpx = package("httpx", "An HTTP step")
        client = httpx.AsyncClient(timeout=self._timeout, follow_redirects=True)
        weakref.finalize(self, _hang_up, client, asyncio.get_running_loop())
        return client


def _body_of(answer: Any) -> Any:
    """What a success brought; JSON of no bytes, as a 204 is, brought nothing."""
    kind = answer.headers.get("content-type")
    if not answer.content and (answer.status_code == NO_CONTENT or is_json(kind)):
        return None
    return decode(answer.content, kind)


def _address(request: HttpRequest) -> str:
    """Without the query, which may hold a secret: errors are written down."""
    return request.url.partition("?")[0]


class PassingError(HttpError):
    """An answer that may be another one later; `wait` is how long the server asks to wait."""

    def __init__(self, request: HttpRequest, status: int, body: Any, wait: float | None) -> None:
        super().__init__(request, status, body)
        self.wait = wait


def _seconds(retry_after: str | None) -> float | None:
    """The header as seconds; its other form, a date, is left to the usual pause.

    >>> _seconds("2"), _seconds("Wed, 21 Oct 2026 07:28:00 GMT"), _seconds("99999")
    (2.0, None, 120.0)
    """
    if retry_after is None or not retry_after.isdigit():
        return None
    return min(float(retry_after), LONGEST_PAUSE)


def _hang_up(client: Any, loop: asyncio.AbstractEventLoop) -> None:
    send_off(client.aclose(), loop)


# --- Bodies as bytes, with the content type that brings them back. ---


JSON = "application/json"


def packed(body: Any) -> tuple[bytes, str]:
    """The bytes of a body and their content type: bytes and text as they are, all else as JSON.

    >>> packed({"a": 1}), packed("hello"), packed(b"x")
    ((b'{"a":1}', 'application/json'), (b'hello', 'text/plain'), (b'x', 'application/octet-stream'))
    """
    if isinstance(body, bytes | bytearray):
        return bytes(body), "application/octet-stream"
    if isinstance(body, str):
        return body.encode(), "text/plain"
    return encode(body), JSON


def text(value: Any) -> str | None:
    """A key as the text that a message carries; None stays None.

    >>> text("card-7"), text(7), text(None)
    ('card-7', '7', None)
    """
    return None if value is None else value if isinstance(value, str) else msgspec.json.encode(value).decode()
