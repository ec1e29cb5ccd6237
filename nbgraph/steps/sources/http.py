"""HttpSource: what an HTTP address gives, once or again and again."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from nbgraph.errors import GraphError, RowError
from nbgraph.event import Event
from nbgraph.steps.optional import package
from nbgraph.steps.sources.base import Fields, Row, RowSource

__all__ = ["HttpSource"]


class HttpSource(RowSource):
    """The items of the JSON list at an address, or the lines of JSON that it sends, each as it comes.

    >>> source = HttpSource("https://example.org/quakes.json", items="features", interval=60, id_field="id")

    `items` is the dotted path to the list inside the answer. With `interval` the address is asked again every so many
    seconds, `max_polls` times or without end.

    Parameters
    ----------
    url
        Address.
    items
        Dotted path to the list in the answer; None: the answer is the list, or lines of JSON.
    interval
        Seconds between two requests; None: one request.
    max_polls
        Requests after which it ends; None: never.
    headers
        Headers that are sent.
    timeout
        Seconds for one request.
    """

    io = "the network"

    def __init__(
        self,
        url: str,
        items: str | None = None,
        interval: float | None = None,
        max_polls: int | None = None,
        headers: Mapping[str, str] | None = None,
        key_field: Fields = None,
        time_field: str | None = None,
        id_field: str | None = None,
        timeout: float = 30,
        progress: bool = False,
        *,
        bad_rows: str = "error",
    ) -> None:
        super().__init__(key_field, time_field, None, id_field, progress, bad_rows)
        self._url, self._items, self._headers, self._timeout = url, items, dict(headers or {}), timeout
        self._interval = interval
        self._polls = max_polls if interval is not None else 1

    def rows(self) -> Iterator[Row]:
        httpx = package("httpx", "HttpSource")
        with httpx.Client(headers=self._headers, timeout=self._timeout, follow_redirects=True) as client:
            for number in itertools.count():
                if number == self._polls:
                    return
                if number:
                    time.sleep(self._interval or 0)
                with client.stream("GET", self._url) as response:
                    response.raise_for_status()
                    yield from self._found(response)

    def _row(self, number: int, line: str) -> Any:
        try:
            return json.loads(line)
        except ValueError as error:
            return RowError("HttpSource", Event(line), f"{self._url.partition('?')[0]}, line {number}: {error}")

    def _found(self, response: Any) -> Iterator[Row]:
        if "ndjson" in response.headers.get("content-type", "") or "jsonl" in response.headers.get("content-type", ""):
            for number, line in enumerate(response.iter_lines(), 1):
                if line.strip():
                    yield self._row(number, line)
            return
        found = json.loads(response.read())
        for name in self._items.split(".") if self._items else ():
            if not isinstance(found, dict) or name not in found:
                raise GraphError(f'HttpSource finds no "{name}" of items={self._items!r} in the answer of {self._url}.')
            found = found[name]
        yield from found if isinstance(found, list) else [found]
