"""Request: one HTTP request, sent with retries and a limit of how many are under way."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from nbgraph.errors import NbgraphError
from nbgraph.event import decode
from nbgraph.steps.flight import LONGEST_PAUSE, PerLoop, pause
from nbgraph.steps.package import package
from nbgraph.steps.portal import send_off
from nbgraph.steps.wire import packed
from nbgraph.streams import traceparent

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # what may be otherwise a moment later
EXCERPT = 200  # characters of an answer that an error tells


class HttpError(NbgraphError):
    """The answer was no success: `status` and `body` are the answer's."""

    def __init__(self, request: HttpRequest, status: int, body: Any) -> None:
        address = request.url.partition("?")[0]  # the query may hold a secret, and errors are written down
        super().__init__(f"{request.method} {address} answered {status}: {str(body)[:EXCERPT]}")
        self.status, self.body = status, body


@dataclass(frozen=True)
class HttpRequest:
    """What is sent: bytes and text as they are, any other body as JSON.

    >>> HttpRequest("POST", "https://example.org/score", {"amount": 120}).method
    'POST'
    """

    method: str
    url: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class HttpResponse:
    """What came back: JSON decoded, text as text, the rest as bytes; `content` is it all as it came."""

    status: int
    body: Any
    headers: Mapping[str, str]
    content: bytes


class Sender:
    """Sends requests from any event loop, each with connections of its own.

    Only the headers of the request itself are sent, and the trace it belongs to (W3C). What fails on the way, or is
    answered by a status that may pass, is tried again `retries` times, as late as the server's Retry-After asks for.
    """

    def __init__(
        self, timeout: float | None = 30, retries: int = 6, backoff_factor: float = 1, max_in_flight: int | None = None
    ) -> None:
        self._timeout, self._retries, self._backoff = timeout, retries, backoff_factor
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
                except _PassingError as error:
                    await asyncio.sleep(error.wait if error.wait is not None else pause(attempt, self._backoff))
            return await self._once(request)

    async def _once(self, request: HttpRequest) -> HttpResponse:
        content, kind = packed(request.body) if request.body is not None else (None, None)
        headers = {**traceparent.current.get(), **({"Content-Type": kind} if kind else {}), **request.headers}
        answer = await self._clients.here().request(request.method, request.url, content=content, headers=headers)
        body = decode(answer.content, answer.headers.get("content-type")) if answer.is_success else answer.text
        if answer.is_success:
            return HttpResponse(answer.status_code, body, dict(answer.headers), answer.content)
        if answer.status_code in PASSING:
            raise _PassingError(request, answer.status_code, body, _seconds(answer.headers.get("retry-after")))
        raise HttpError(request, answer.status_code, body)

    def _made_client(self) -> Any:
        httpx = package("httpx", "An HTTP step")
        client = httpx.AsyncClient(timeout=self._timeout, follow_redirects=True)
        weakref.finalize(self, _hang_up, client, asyncio.get_running_loop())
        return client


class _PassingError(HttpError):
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
