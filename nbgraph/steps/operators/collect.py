"""Collect: the chunks of an event become a list; rows become a DataFrame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nbgraph.event import Chunk, Event
from nbgraph.handler import Counterpart, Handler
from nbgraph.steps.arguments import Names, names_of
from nbgraph.types import Shape

__all__ = ["Collector", "Gather", "ReduceToDataFrame", "ToDataFrame"]


class Gather(Handler):
    """The list of all that came of one event (of a flat map, a generator, several branches), as one event again.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(str.split).to("Flatten").to(str.upper).to(Gather)
    >>> list(graph.stream(["a b", "c d e"]))
    [['A', 'B'], ['C', 'D', 'E']]

    The list goes on when all that came of the event has arrived. An event of which one came goes on as it is;
    with `unwrap=False` that is a list of one.

    Parameters
    ----------
    unwrap
        Whether one alone goes on as it is; else it is a list of one.
    """

    results_are_new = True
    shape = Shape.EVENTS
    holds_bodies = True

    def __init__(self, unwrap: bool = True) -> None:
        self._unwrap = unwrap
        self.state: dict[str, list[Any]] = {}  # the chunks of each event that is on its way

    def do(self, event: Event) -> list[Event]:
        self.state.setdefault(event.id, []).append(event.body)
        return []

    def gathered(self, event: Event) -> list[Event]:
        chunks = self.state.pop(event.id, None)
        if chunks is None:
            return []
        return [event.with_body(chunks[0] if self._unwrap and len(chunks) == 1 else chunks)]


class Collector(Gather):
    """The list of all chunks of a stream, which a generator began, as one event again.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(lambda body: (yield from body), "letters").to(str.upper).to(Collector)
    >>> list(graph.stream(["ab", "c", ""]))
    [['A', 'B'], 'C', []]

    An event that is of no stream goes through, and so does each item of a `FlatMap`, which is an event of its own;
    `Gather` takes them all. Of one chunk the chunk goes on; with `unwrap=False` that is a list of one.
    """

    counterpart = Counterpart(
        "Collector",
        unused={"expected_completions": range(1, 1000)},
        note="the list goes on when all of the event is done, however many completions are expected",
    )

    def do(self, event: Event) -> list[Event]:
        return super().do(event) if isinstance(event, Chunk) else [event]

    def streamed(self, event: Event) -> None:
        self.state.setdefault(event.id, [])


class ToDataFrame(Handler):
    """A DataFrame of each body: of a list of rows, of one row, of columns.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to("Batch", max_events=2).to(ToDataFrame(index="carrier"))
    >>> [frame] = graph.stream([{"carrier": "UA", "delay": 4}, {"carrier": "DL", "delay": 0}])
    >>> frame["delay"].to_dict()
    {'UA': 4, 'DL': 0}

    One frame of a whole stream is `ReduceToDataFrame`.

    Parameters
    ----------
    index
        Columns that become the index.
    columns
        Columns; None: those of the rows.
    """

    counterpart = Counterpart("ToDataFrame")
    packages = ("pandas",)

    def __init__(self, index: Names | None = None, columns: Names | None = None) -> None:
        self._index = names_of(index, "ToDataFrame", "index") if index is not None else None
        self._columns = names_of(columns, "ToDataFrame", "columns") if columns is not None else None

    def do(self, body: Any) -> Any:
        import pandas as pd

        rows = body if _is_columns(body) else list(_rows(body))
        return _indexed(pd.DataFrame(rows, columns=self._columns), self._index)


class ReduceToDataFrame(Handler):
    """All rows of a stream as one DataFrame, which goes on when the stream ends.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(ReduceToDataFrame(index="carrier"))
    >>> [frame] = graph.stream([{"carrier": "UA", "delay": 4}, {"carrier": "DL", "delay": 0}])
    >>> frame["delay"].to_dict()
    {'UA': 4, 'DL': 0}

    A body is a row (a dict, or a sequence in the order of `columns`) or a list of rows. The columns that `insert_...`
    names have what is the event's own.

    Parameters
    ----------
    index
        Columns that become the index.
    columns
        Columns; None: those of the rows.
    insert_key_column_as
        Column for the event's key.
    insert_processing_time_column_as
        Column for the event's time.
    insert_id_column_as
        Column for the event's id.
    """

    counterpart = Counterpart("ReduceToDataFrame")
    packages = ("pandas",)

    do: Callable[[Any], Any]
    holds_bodies = True

    def __init__(
        self,
        index: Names | None = None,
        columns: Names | None = None,
        insert_key_column_as: Names | None = None,
        insert_processing_time_column_as: str | None = None,
        insert_id_column_as: str | None = None,
    ) -> None:
        self._index = names_of(index, "ReduceToDataFrame", "index") if index is not None else None
        self._columns = names_of(columns, "ReduceToDataFrame", "columns") if columns is not None else None
        asked: dict[str, Names | None] = {
            "key": insert_key_column_as,
            "time": insert_processing_time_column_as,
            "id": insert_id_column_as,
        }
        self._beside = {
            name: column
            if isinstance(column, str)
            else names_of(column, "ReduceToDataFrame", f"insert_{name}_column_as")
            for name, column in asked.items()
            if column is not None
        }
        self.shape = Shape.EVENTS if self._beside else Shape.HOLD
        self.do = self._by_event if self._beside else self._by_body
        self.state: dict[str, list[Any]] = {"rows": [], **{name: [] for name in self._beside}}

    def takes_event(self) -> bool:
        return False

    def _by_body(self, body: Any) -> None:
        self.state["rows"].extend(_rows(body))

    def _by_event(self, event: Event) -> list[Event]:
        rows = list(_rows(event.body))
        self.state["rows"].extend(rows)
        for name in self._beside:
            self.state[name].extend([getattr(event, name)] * len(rows))
        return []

    def holding(self) -> bool:
        return bool(self.state["rows"])

    def release(self) -> list[Any]:
        import pandas as pd

        frame = pd.DataFrame(self.state["rows"], columns=self._columns)
        for name, column in self._beside.items():
            values = self.state[name]
            if isinstance(column, str):
                frame[column] = pd.Series(values, index=frame.index, dtype=None if values else object)
            else:  # a key of several parts
                frame[column] = pd.DataFrame(values, index=frame.index, columns=column)
        self.state = {name: [] for name in self.state}
        frame = _indexed(frame, self._index)
        return [Event(frame)] if self._beside else [frame]


def _indexed(frame: Any, names: list[Any] | None) -> Any:
    if names is None or (frame.empty and not set(names) <= set(frame.columns)):
        return frame
    return frame.set_index(names[0] if len(names) == 1 else names)


def _is_columns(body: Any) -> bool:
    """A dict of lists: columns by their names."""
    return isinstance(body, Mapping) and bool(body) and all(isinstance(value, list) for value in body.values())


def _rows(body: Any) -> Iterable[Any]:
    """A list of dicts or of sequences is many rows; anything else is one."""
    is_many = isinstance(body, list) and bool(body) and isinstance(body[0], Mapping | list | tuple)
    return body if is_many else [body]
