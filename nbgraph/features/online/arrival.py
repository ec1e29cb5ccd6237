"""Arrival: an event as the rows of a set that it is: through its graph, looked at, ready to be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbgraph.event import Event
from nbgraph.features.ingest import STREAM, Produced
from nbgraph.features.offline.fit import fitted
from nbgraph.features.offline.kind import rows_in
from nbgraph.features.online.record import ALWAYS, Waiting
from nbgraph.features.online.serving import EPOCH, MICROSECOND
from nbgraph.steps.dataframe import is_frame, rows_of
from nbgraph.steps.tables.codec import key_text

if TYPE_CHECKING:
    from nbgraph.features.set import FeatureSet


def arrived(set: FeatureSet, event: Event) -> list[Waiting]:
    """The rows that an event is; one that does not fit is an error of the event."""
    given = rows_of(event.body) if is_frame(event.body) else [event.body]
    graph = set.graph
    bodies = given if graph is None or not graph.steps else [made for body in given for made in graph.answers(body)]
    if not bodies:
        return []
    fit = fitted(set, Produced(None, bodies, STREAM), "raise")(set.schema)
    rows = []
    for number, row in enumerate(rows_in(fit.frame)):
        key = [row[name] for name in set.key]
        time = ALWAYS if set.time is None else (row[set.time] - EPOCH) // MICROSECOND
        text = key_text(key[0] if len(key) == 1 else tuple(key))
        rows.append(Waiting(f"{event.id}/{number}", text, time, row))
    return rows
