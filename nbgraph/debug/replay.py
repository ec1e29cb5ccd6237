"""Replay: a recorded event is run again through the current code; its frames beside the recorded ones."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from nbgraph.debug.difference import difference
from nbgraph.debug.frame import Frame, error_document
from nbgraph.debug.json_values import from_document, to_document
from nbgraph.debug.recorder import trace as record
from nbgraph.debug.trace import Trace
from nbgraph.errors import NbgraphError
from nbgraph.event import Event
from nbgraph.introspection import attribute, shown
from nbgraph.streams.codec import arrays, tables

if TYPE_CHECKING:
    import pandas

    from nbgraph.graph.graph import Graph

COLUMNS = ["step", "visit", "recorded", "now", "equal", "difference"]
RECORDED = ("recorded", "now")


def replay(trace: Trace, graph: Graph | None = None) -> pandas.DataFrame:
    """A row for every call of a step of the graph: the recorded result, the new result, the difference.

    A step that ran only in one of the runs differs. Borders of a deployment are not steps of the graph, and are left
    out; redacted fields are dots on both sides.
    """
    import pandas

    graph = graph if graph is not None else trace.graph
    if graph is None:
        raise NbgraphError("The trace does not know its graph; trace.replay(graph).")
    event = _event_of(trace)
    plain = _as_saved if trace.is_marked else _as_saved_unmarked
    before = _calls(trace.frames, graph)
    now = _calls(record(graph, event).frames, graph)
    rows = []
    for call in [*before, *(call for call in now if call not in before)]:
        pair = _result(before.get(call), plain), _result(now.get(call), plain)
        found = difference(*pair, names=RECORDED)
        rows.append((*call, *pair, found is None, found or ""))
    return pandas.DataFrame(rows, columns=COLUMNS)


def _event_of(trace: Trace) -> Event:
    if trace.event is None:
        raise NbgraphError("The trace does not have the event as it came in; it was recorded by an older nbgraph.")
    return trace.event.with_body(copy.deepcopy(trace.event.body))  # a copy: steps may change it


def _calls(frames: list[Frame], graph: Graph) -> dict[tuple[str, int], Frame]:
    return {(frame.step, frame.visit): frame for frame in frames if frame.step in graph}


def _result(frame: Frame | None, plain: Callable[[Any], Any]) -> Any:
    """The result of a call in plain data: its output, or its error."""
    if frame is None:
        return "(did not run)"
    return plain(frame.output) if frame.error is None else {"error": error_document(frame.error)}


def _as_saved(value: Any) -> Any:
    """The value as in a saved trace; arrays and tables as their content."""
    kind = type(value)
    if kind in (list, tuple):
        return kind([_as_saved(item) for item in value])
    if kind is dict:
        return {key: _as_saved(item) for key, item in value.items()}
    if arrays.plain(value) is not None:
        return _as_saved(value.tolist())
    document = to_document(value)
    return from_document(document) if tables.plain(value) is None and not isinstance(value, Event) else document


def _as_saved_unmarked(value: Any) -> Any:
    """The value as in a saved trace without marks."""
    try:
        return msgspec.json.decode(msgspec.json.encode(value, enc_hook=_as_text))
    except (TypeError, ValueError, RecursionError):
        return shown(value)


def _as_text(value: Any) -> Any:
    """A value unknown to JSON: NumPy's arrays and numbers as their content, others as their repr."""
    for method in ("item", "tolist"):
        convert = attribute(value, method)
        if callable(convert):
            try:
                return convert()
            except (ValueError, TypeError):
                continue
    return shown(value)
