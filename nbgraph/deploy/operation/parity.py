"""Parity: the same events through the notebook and through a deployment, compared value by value."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from nbgraph.debug.difference import difference
from nbgraph.engine.schedule.stream import rows_of
from nbgraph.errors import NbgraphError
from nbgraph.event import Event
from nbgraph.streams.codec.wire import UNFIT, pack_answer, unpack

if TYPE_CHECKING:
    import pandas

COLUMNS = ["event", "local", "deployed", "equal"]
DIFFERENCES = "differences"  # of the table's `attrs`: by row, the place of the first difference, and both values
Invoke = Callable[..., Any]


def compared(events: Any, run: Callable[[Any], Any], invoke: Invoke) -> pandas.DataFrame:
    """A row for every event: what both answer, and whether that is equal; where it first is not stands in `attrs`."""
    import pandas

    rows, differences = [], {}
    for number, event in enumerate([events] if isinstance(events, dict | str | bytes | Event) else rows_of(events)):
        body, path, method = event, "/", "POST"
        if isinstance(event, Event):
            body, path, method = event.body, event.path, event.method or method
        shown = _copied(body)  # a step may change what it is given
        deployed = _outcome(partial(invoke, body, path, method=method))
        local = _outcome(partial(run, event))
        found = _difference(local, deployed)
        rows.append((shown, local, deployed, found is None))
        if found is not None:
            differences[number] = found
    table = pandas.DataFrame(rows, columns=COLUMNS)
    table.attrs[DIFFERENCES] = differences
    return table


def _outcome(call: Callable[[], Any]) -> Any:
    """What came of a call, as whoever asked over HTTP gets it: its answer, or the error's text."""
    try:
        answer = call()
        if isinstance(answer, str):
            return str(answer)
        return answer if isinstance(answer, bytes | None) else unpack(pack_answer(answer))
    except (NbgraphError, *UNFIT) as error:
        told = getattr(error, "answer", None)
        return {"error": told["error"] if isinstance(told, dict) and "error" in told else str(error)}


def _difference(local: Any, deployed: Any) -> str | None:
    try:
        return difference(local, deployed)
    except RecursionError:
        return "nested too deeply to be compared"


def _copied(body: Any) -> Any:
    try:
        return copy.deepcopy(body)
    except Exception:  # an open file, say; what can't be sent is told of in its row
        return body
