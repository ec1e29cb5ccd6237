"""Replay: a recorded event is run again through the current code; its frames beside the recorded ones."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from nbgraph.debug.comparison import as_saved, as_saved_unmarked, compared
from nbgraph.debug.frame import Frame
from nbgraph.debug.recorder import trace as record
from nbgraph.debug.trace import Trace
from nbgraph.errors import NbgraphError
from nbgraph.event import Event

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
    plain = as_saved if trace.is_marked else as_saved_unmarked
    before, now = _own(trace.frames, graph), _own(record(graph, event).frames, graph)
    calls = compared(before, now, plain=plain, names=RECORDED, with_edges=False)
    rows = [(one.step, one.visit, one.this, one.other, one.state == "same", one.difference) for one in calls]
    return pandas.DataFrame(rows, columns=COLUMNS)


def _event_of(trace: Trace) -> Event:
    if trace.event is None:
        raise NbgraphError("The trace does not have the event as it came in; it was recorded by an older nbgraph.")
    return trace.event.with_body(copy.deepcopy(trace.event.body))  # a copy: steps may change it


def _own(frames: list[Frame], graph: Graph) -> list[Frame]:
    return [frame for frame in frames if frame.step in graph]
