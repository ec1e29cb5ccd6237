"""Replay: a recorded event once more, through the code as it is now, its frames beside those that were recorded."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import msgspec

from nbgraph.debug.difference import difference
from nbgraph.debug.frame import Frame, error_document
from nbgraph.debug.recorder import trace as traced
from nbgraph.debug.trace import Trace, as_text
from nbgraph.errors import NbgraphError
from nbgraph.event import Event

if TYPE_CHECKING:
    import pandas

    from nbgraph.graph.graph import Graph

COLUMNS = ["step", "visit", "recorded", "now", "equal", "difference"]
RECORDED = ("recorded", "now")


def replay(trace: Trace, graph: Graph | None = None) -> pandas.DataFrame:
    """A row for every call of a step that the graph knows: what it gave then, what it gives now, where that differs.

    A step that ran only then, or only now, differs. Borders of a deployment are no steps of the graph, and are left
    out; redacted fields are dots on both sides.
    """
    import pandas

    graph = graph if graph is not None else trace.graph
    if graph is None:
        raise NbgraphError("The trace does not know its graph; trace.replay(graph).")
    event = _event_of(trace)
    before = _calls(trace.frames, graph)
    now = _calls(traced(graph, event).frames, graph)
    rows = []
    for call in [*before, *(call for call in now if call not in before)]:
        told = _told(before.get(call)), _told(now.get(call))
        found = difference(*told, names=RECORDED)
        rows.append((*call, *told, found is None, found or ""))
    return pandas.DataFrame(rows, columns=COLUMNS)


def _event_of(trace: Trace) -> Event:
    if trace.event is None:
        raise NbgraphError("The trace does not have the event as it came in; it was recorded by an older nbgraph.")
    return trace.event.with_body(copy.deepcopy(trace.event.body))  # a step may change what it is given


def _calls(frames: list[Frame], graph: Graph) -> dict[tuple[str, int], Frame]:
    return {(frame.step, frame.visit): frame for frame in frames if frame.step in graph}


def _told(frame: Frame | None) -> Any:
    """What a call gave, in plain data: its output, or its error."""
    if frame is None:
        return "(did not run)"
    return _plain(frame.output) if frame.error is None else {"error": error_document(frame.error)}


def _plain(value: Any) -> Any:
    """The value as a saved trace would have it."""
    try:
        return msgspec.json.decode(msgspec.json.encode(value, enc_hook=as_text))
    except (TypeError, ValueError, RecursionError):
        return repr(value)
