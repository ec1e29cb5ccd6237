"""Source: where events come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from nbgraph.event import Event
from nbgraph.handler import Handler
from nbgraph.types import Shape
from nbgraph.values import moment_of

Row = dict[str, Any]
Fields = str | Sequence[str] | None


class Source(Handler):
    """What `graph.stream` takes: an iterable of bodies or Events that may be told which of them are through.

    >>> class Countdown(Source):
    ...     def __iter__(self):
    ...         return iter([3, 2, 1])
    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(lambda body: body * 2)
    >>> list(graph.stream(Countdown()))
    [6, 4, 2]

    As a step of a graph it gives all it has for every event that comes: a tick of a clock, say.
    """

    shape = Shape.EVENTS

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} has no __iter__")

    def commit(self, event: Event) -> None:
        """That event, and all that came before it, are through: they need not come again after a crash."""

    def do(self, event: Event) -> Iterator[Event]:
        for item in self:
            yield item if isinstance(item, Event) else event.with_body(item)


class RowSource(Source):
    """A source of rows: their key, time and id are taken from fields of theirs.

    >>> class Sensors(RowSource):
    ...     def rows(self):
    ...         return iter([{"sensor": "a", "degrees": 21}])
    >>> [(event.key, event.body["degrees"]) for event in Sensors(key_field="sensor")]
    [('a', 21)]

    Without any of them the rows themselves come, since they are cheaper than Events. `progress` shows a bar.
    """

    def __init__(
        self,
        key_field: Fields = None,
        time_field: str | None = None,
        timestamp_format: str | None = None,
        id_field: str | None = None,
        progress: bool = False,
    ) -> None:
        self._key = key_function(key_field)
        self._time_field, self._timestamp_format, self._id_field = time_field, timestamp_format, id_field
        self._progress = progress

    def rows(self) -> Iterator[Row]:
        """The rows as dicts."""
        raise NotImplementedError(f"{type(self).__name__} has no rows()")

    def total(self) -> int | None:
        """How many rows there are, where that is known before they are read."""
        return None

    def __iter__(self) -> Iterator[Any]:
        rows = self.rows()
        if self._progress:
            from nbgraph.steps.source_progress import shown

            rows = shown(rows, type(self).__name__, self.total())
        is_plain = self._key is None and self._time_field is None and self._id_field is None
        return rows if is_plain else map(self._event, rows)  # plain rows cost no Event

    def _event(self, row: Row) -> Event:
        field = self._time_field
        return Event(
            row,
            key=self._key(row) if self._key else None,
            id=str(row[self._id_field]) if self._id_field else None,
            time=moment_of(row[field], field, self._timestamp_format) if field else None,
        )


def key_function(fields: Fields) -> Callable[[Mapping[str, Any]], Any] | None:
    """A row's key: one field, or a tuple of several.

    >>> key_function(["a", "b"])({"a": 1, "b": 2})
    (1, 2)
    """
    if fields is None:
        return None
    if isinstance(fields, str):
        return lambda row: row[fields]
    names = tuple(fields)
    return lambda row: tuple(row[name] for name in names)
