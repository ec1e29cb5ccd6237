"""Parity: the same events through the notebook and through a deployment, compared value by value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from nbgraph.debug.difference import difference
from nbgraph.errors import NbgraphError
from nbgraph.event import Event
from nbgraph.streams.wire import encode

if TYPE_CHECKING:
    import pandas

COLUMNS = ["event", "local", "deployed", "equal", "difference"]
JSON = {"Content-Type": "application/json"}
Invoke = Callable[[Any, str, Mapping[str, str] | None], Any]


def compared(events: Iterable[Any], run: Callable[[Any], Any], invoke: Invoke) -> pandas.DataFrame:
    """A row for every event: what both answer, whether that is equal, and where it first is not."""
    import pandas

    rows = []
    for event in events:
        body, path = (event.body, event.path) if isinstance(event, Event) else (event, "/")
        is_raw = isinstance(body, str | bytes)
        content = body if is_raw else encode(body)  # first, since a step may change what it is given
        local = _outcome(partial(run, event))
        deployed = _outcome(partial(invoke, content, path, {} if is_raw else JSON))
        shown = content if is_raw else msgspec.json.decode(content)
        found = difference(local, deployed)
        rows.append((shown, local, deployed, found is None, found or ""))
    return pandas.DataFrame(rows, columns=COLUMNS)


def _outcome(call: Callable[[], Any]) -> Any:
    """What came of a call in plain data: its answer, or the error's text."""
    try:
        answer = call()
    except NbgraphError as error:
        told = getattr(error, "answer", None)
        return {"error": told["error"] if isinstance(told, dict) and "error" in told else str(error)}
    if answer is None or isinstance(answer, str | bytes):
        return answer
    return msgspec.json.decode(encode(answer))
