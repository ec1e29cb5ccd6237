"""Collect: the chunks of an event become a list; the rows of a stream become a DataFrame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nbgraph.event import Event
from nbgraph.handler import Handler
from nbgraph.steps.names import Names, names_of
from nbgraph.types import Shape


class Collector(Handler):
    """The list of all chunks that came of one event (of a generator, a flat map), as one event again.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(str.split).to("Flatten").to(str.upper).to(Collector)
    >>> list(graph.stream(["a b", "c d e"]))
    [['A', 'B'], ['C', 'D', 'E']]

    The list goes on when all that came of the event has arrived.
    """

    results_are_new = True
    shape = Shape.EVENTS
    holds_bodies = True

    def __init__(self) -> None:
        self.state: dict[str, list[Any]] = {}  # the chunks of each event that is on its way

    def do(self, event: Event) -> list[Event]:
        self.state.setdefault(event.id, []).append(event.body)
        return []

    def gathered(self, event: Event) -> list[Event]:
        chunks = self.state.pop(event.id, None)
        return [] if chunks is None else [event.with_body(chunks)]


class ToDataFrame(Handler):
    """All rows of a stream as one DataFrame, which goes on when the stream ends.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(ToDataFrame(index="carrier"))
    >>> [frame] = graph.stream([{"carrier": "UA", "delay": 4}, {"carrier": "DL", "delay": 0}])
    >>> frame["delay"].to_dict()
    {'UA': 4, 'DL': 0}

    A body is a row (a dict, or a sequence in the order of `columns`) or a list of rows.
    """

    shape = Shape.HOLD
    holds_bodies = True

    def __init__(self, index: Names | None = None, columns: Names | None = None) -> None:
        self._index = names_of(index, "ToDataFrame", "index") if index is not None else None
        self._columns = names_of(columns, "ToDataFrame", "columns") if columns is not None else None
        self.state: list[Any] = []

    def do(self, body: Any) -> None:
        self.state.extend(_rows(body))

    def holding(self) -> bool:
        return bool(self.state)

    def release(self) -> list[Any]:
        import pandas as pd

        frame = pd.DataFrame(self.state, columns=self._columns)
        self.state = []
        if self._index is not None and (not frame.empty or set(self._index) <= set(frame.columns)):
            frame = frame.set_index(self._index[0] if len(self._index) == 1 else self._index)
        return [frame]


def _rows(body: Any) -> Iterable[Any]:
    """A list of dicts or of sequences is many rows; anything else is one."""
    is_many = isinstance(body, list) and bool(body) and isinstance(body[0], Mapping | list | tuple)
    return body if is_many else [body]
