"""HttpTarget: events to an HTTP address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbgraph.steps.context import StepContext
from nbgraph.steps.http.client import HttpRequest, HttpSender
from nbgraph.steps.runtime.loop_thread import call
from nbgraph.steps.targets.base import Target

__all__ = ["HttpTarget"]


class HttpTarget(Target):
    """Send each body to an address; with `max_events` more than one, lists of bodies.

    >>> target = HttpTarget("https://example.org/delays", headers={"Authorization": "Bearer ..."}, max_events=100)

    Only the `headers` given here are sent, none of the event's. What may pass (no connection, 408, 425, 429, 5xx) is
    tried `retries` more times.

    Parameters
    ----------
    url
        Address.
    method
        HTTP method.
    headers
        Headers that are sent.
    max_events
        Bodies in one request; more than one: as a list.
    retries
        Further tries of a request that failed by what may pass: no connection, 408, 425, 429, 5xx.
    backoff_factor
        Seconds before the second try; they double with each further one.
    timeout
        Seconds for one request.
    """

    io = "the network"

    def __init__(
        self,
        url: str,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        max_events: int = 1,
        flush_after_seconds: float | None = None,
        retries: int = 6,
        backoff_factor: float = 1,
        timeout: float = 30,
        *,
        context: StepContext | None = None,
    ) -> None:
        super().__init__(max_events, flush_after_seconds, context=context)
        self._url, self._method, self._headers = url, method, dict(headers or {})
        self._sender = HttpSender("HttpTarget", timeout, retries, backoff_factor)

    def write(self, items: list[Any]) -> None:
        body = items[0] if self._max_events == 1 and len(items) == 1 else items
        call(self._sender.send(HttpRequest(self._method, self._url, body, self._headers)))
