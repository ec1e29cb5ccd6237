"""Target: where events are written to, one by one or many at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.event import Event
from nbgraph.handler import Handler
from nbgraph.steps.arguments import Names, names_of, seconds, whole
from nbgraph.steps.context import StepContext, clock_of
from nbgraph.types import Section, Shape, StepKind
from nbgraph.values import moment_of

__all__ = ["RowTarget", "Target"]

Row = dict[str, Any]
MOMENTS = ("date", "year", "month", "day", "hour", "minute", "second")
OF_EVENT = ("key", "id", "time", *MOMENTS, "path", "method", "content_type")
WHOLE_BODY = "*"  # the column that stands for all fields of the body


class Target(Handler):
    """Gathers what is to be written and writes it, `max_events` at a time; events go on as they came.

    >>> class Shout(Target):
    ...     def write(self, items):
    ...         print(*items)
    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(Shout(max_events=2))
    >>> list(graph.stream(["a", "b", "c"]))
    a b
    c
    ['a', 'b', 'c']

    What is left is written when the stream ends, and `flush_after_seconds` after the first of them came. When writing
    fails, the event that caused it fails; those that were gathered before are tried again with the next.

    Parameters
    ----------
    max_events
        Events that are written at once.
    flush_after_seconds
        Seconds after the first event that waits, after which what there is goes on; None: not by time.
    """

    section = Section.TARGETS
    kind = StepKind.TARGET
    shape = Shape.EACH
    do: Callable[[Any], Any]

    def __init__(
        self, max_events: int = 1, flush_after_seconds: float | None = None, *, context: StepContext | None = None
    ) -> None:
        name = type(self).__name__
        self._max_events = whole(name, "max_events", max_events)
        self._seconds = seconds(name, "flush_after_seconds", flush_after_seconds)
        self._clock = clock_of(context)
        if max_events > 1:
            self.state: dict[str, Any] = {"began": 0.0, "items": []}  # when the first came, and all that wait
        self.do = self._by_event if self.shape is Shape.EVENT else self._by_body

    def items(self, body: Any, event: Event | None) -> list[Any]:
        """What is written of an event; `event` is there where `shape` is EVENT."""
        return [body]

    def write(self, items: list[Any]) -> None:
        """Write them, all or none where that is possible.

        Parameters
        ----------
        items
            Bodies, or rows.
        """
        raise NotImplementedError(f"{type(self).__name__} has no write(items)")

    def holding(self) -> bool:
        return bool(self.state) and bool(self.state["items"])

    def beside(self, first: Any) -> None:
        self.write = first.write  # type: ignore[method-assign]  # one file, one connection

    def _by_body(self, body: Any) -> None:
        self._take(self.items(body, None))

    def _by_event(self, event: Event) -> None:
        self._take(self.items(event.body, event))

    def _take(self, items: list[Any]) -> None:
        if self._max_events == 1:
            self.write(items)
            return
        waiting: list[Any] = self.state["items"]
        if not waiting:
            self.state["began"] = self._clock() if self._seconds is not None else 0.0
        waiting.extend(items)
        due = self.due()
        if len(waiting) >= self._max_events or (due is not None and due <= self._clock()):
            try:
                self.flush()
            except BaseException:
                del waiting[len(waiting) - len(items) :]  # the event fails, so it may come again
                raise

    def flush(self) -> None:
        """Write what is held back; it stays so when that fails."""
        if self.holding():
            self.write(self.state["items"])
            self.state["items"] = []

    def due(self) -> float | None:
        return self.state["began"] + self._seconds if self._seconds is not None and self.holding() else None

    def release(self) -> tuple[()]:
        self.flush()
        return ()


class RowTarget(Target):
    """A target of rows: bodies that are dicts (or lists of them), or what `columns` picks from body and event.

    >>> class Printed(RowTarget):
    ...     def write(self, items):
    ...         print(*items)
    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(Printed(["degrees", "sensor=$key"]))
    >>> graph.run({"degrees": 21, "note": ""}, key="a")
    {'degrees': 21, 'sensor': 'a'}
    {'degrees': 21, 'note': ''}

    A column is a field's name, `"new=field"`, `"*"` for all other fields, or the event's own: `"$key"`, `"$id"`,
    `"$time"`, `"$date"`, `"$year"` and so on down to `"$second"`; `"at=$time"` gives it a name. The columns stand in
    the order in which they are named. With `time_field` the time is that of this field.

    Parameters
    ----------
    columns
        Columns in their order: fields, `"new=field"`, `"*"`, or the event's own such as `"$key"`; None: the
        fields of the first row.
    time_field
        Field whose value is the time; without it the event's own.
    """

    def __init__(
        self,
        columns: Names | None = None,
        max_events: int = 1,
        flush_after_seconds: float | None = None,
        *,
        time_field: str | None = None,
        context: StepContext | None = None,
    ) -> None:
        step = type(self).__name__
        named = names_of(columns, step, "columns") if columns is not None else None
        if not all(isinstance(name, str) for name in named or ()):
            raise GraphError(f"{step} got columns={columns!r}; expected a name or a list of names.")
        self._columns = [_column(text, step) for text in named] if named is not None else None
        self._time_field = time_field
        if any(source.startswith("$") for _, source in self._columns or ()):
            self.shape = Shape.EVENT
        self._named = {name for name, source in self._columns or () if source != WHOLE_BODY}
        super().__init__(max_events, flush_after_seconds, context=context)

    def items(self, body: Any, event: Event | None) -> list[Row]:
        step = type(self).__name__
        if not isinstance(body, list):
            if not isinstance(body, Mapping):
                kind = type(body).__name__
                line = " ".join(f"{body!r:.60}".split())  # a frame's repr has several
                raise GraphError(f"{step} writes bodies that are dicts, and got a {kind}: {line}.")
            return [self._row(body, event)]
        for one in body:
            if not isinstance(one, Mapping):
                kind = type(one).__name__
                raise GraphError(
                    f"{step} writes bodies that are dicts, or lists of dicts, and got a list that holds a {kind}: "
                    f"{body!r:.60}. Make a dict of it before this step: dict(zip(names, body))."
                )
        return [self._row(one, event) for one in body]

    def _row(self, body: Mapping[str, Any], event: Event | None) -> Row:
        if self._columns is None:
            return dict(body)
        row: Row = {}
        for name, source in self._columns:
            if source == WHOLE_BODY:
                row |= {field: value for field, value in body.items() if field not in self._named}
            else:
                row[name] = self._value(source, body, event)
        return row

    def _value(self, source: str, body: Mapping[str, Any], event: Event | None) -> Any:
        if not source.startswith("$") or event is None:
            return body.get(source)
        name = source[1:]
        if name not in MOMENTS and name != "time":
            return getattr(event, name)
        time = self._time(body, event)
        return time if name == "time" else time.date() if name == "date" else getattr(time, name)

    def _time(self, body: Mapping[str, Any], event: Event) -> datetime:
        field = self._time_field
        return event.time if field is None else moment_of(body.get(field), field)


def _column(text: str, step: str) -> tuple[str, str]:
    """A column's name and where it comes from.

    >>> _column("a", "CSVTarget"), _column("b=a", "CSVTarget"), _column("$key", "CSVTarget")
    (('a', 'a'), ('b', 'a'), ('key', '$key'))
    >>> _column("$week", "CSVTarget")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    nbgraph.errors.GraphError: CSVTarget got the column "$week"; an event has: $key, $id, ...
    """
    name, is_renamed, source = text.partition("=")
    if not is_renamed:
        name, source = text.removeprefix("$"), text
    if source.startswith("$") and source[1:] not in OF_EVENT:
        known = ", ".join(f"${own}" for own in OF_EVENT)
        raise GraphError(f'{step} got the column "{text}"; an event has: {known}.')
    return name, source


def union_of(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """All names that the rows have, in the order they first come.

    >>> union_of([{"a": 1}, {"b": 2, "a": 3}])
    ['a', 'b']
    """
    return list(dict.fromkeys(name for row in rows for name in row))
