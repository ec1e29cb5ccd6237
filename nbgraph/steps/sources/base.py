"""Source: where events come from."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import msgspec

from nbgraph.errors import GraphError, RowError
from nbgraph.event import Event
from nbgraph.handler import Handler
from nbgraph.types import Section, Shape, StepKind
from nbgraph.values import is_missing, moment_of

__all__ = ["RowSource", "Source"]

Row = dict[str, Any]
Field = str | int  # a name, or a place where rows are sequences
Fields = Field | Sequence[Field] | None
BAD_ROWS = ("error", "skip", "stop")
_logger = logging.getLogger("nbgraph.source")


class Source(Handler):
    """What `graph.stream` takes: an iterable of bodies or Events that may be notified which of them are done.

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

    section = Section.SOURCES
    kind = StepKind.SOURCE
    shape = Shape.EVENTS
    results_are_new = True

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} has no __iter__")

    def entries(self) -> Iterator[Any]:
        """What a graph reads: as `__iter__`, with a RowError in the place of a row that can't become an event."""
        return iter(self)

    def commit(self, event: Event) -> None:
        """That event, and all that came before it, are through: they need not come again after a crash.

        Parameters
        ----------
        event
            The event.
        """

    def do(self, event: Event) -> Iterator[Event]:
        """All good rows go on; then the step fails by the first that was bad."""
        first: RowError | None = None
        for item in self.entries():
            if isinstance(item, RowError):
                first = first or item
            else:
                yield item if isinstance(item, Event) else event.with_body(item)
        if first is not None:
            raise first


class Piece(msgspec.Struct, frozen=True):
    """A part of a source that can be read by itself: the number of its first row, its rows, and where they are."""

    first: int
    rows: int
    place: list[Any]


class RowSource(Source):
    """A source of rows: their key, time and id are taken from fields of theirs.

    >>> class Sensors(RowSource):
    ...     def rows(self):
    ...         return iter([{"sensor": "a", "degrees": 21}])
    >>> [(event.key, event.body["degrees"]) for event in Sensors(key_field="sensor")]
    [('a', 21)]

    Without any of them the rows themselves come, since they are cheaper than Events. `progress` shows a bar. A row
    whose key or time is empty or unfit goes the way of errors, and those behind it follow; `bad_rows="skip"` logs it
    and leaves it out, `"stop"` ends the stream with it. An event without an id in its row gets one of its own.

    Parameters
    ----------
    key_field
        Field, or fields, of a row that are its event's key.
    time_field
        Field whose value is the time; without it the event's own.
    timestamp_format
        How a time that is text is written, as for `datetime.strptime`; else ISO 8601.
    id_field
        Field of a row that is its event's id.
    progress
        Whether a progress bar is shown.
    bad_rows
        What becomes of a row that can't be read: `"error"` (the way of errors), `"skip"` (logged), `"stop"`.
    """

    def __init__(
        self,
        key_field: Fields = None,
        time_field: Field | None = None,
        timestamp_format: str | None = None,
        id_field: Field | None = None,
        progress: bool = False,
        bad_rows: str = "error",
    ) -> None:
        if bad_rows not in BAD_ROWS:
            raise GraphError(f"{type(self).__name__} got bad_rows={bad_rows!r}; expected one of: {listed(BAD_ROWS)}.")
        self._keys = [key_field] if isinstance(key_field, str | int) else list(key_field or ())
        self._key = _key_function(key_field)
        self._time_field, self._timestamp_format, self._id_field = time_field, timestamp_format, id_field
        self._progress, self._bad_rows = progress, bad_rows

    def rows(self) -> Iterator[Any]:
        """The rows as dicts; a RowError in the place of one that can't be read."""
        raise NotImplementedError(f"{type(self).__name__} has no rows()")

    def placed(self) -> Iterator[tuple[Any, Any]]:
        """The rows with their places: the number of each, or what `place` makes words of."""
        return enumerate(self.rows(), 1)

    def place(self, place: Any) -> str:
        """Where a row stands, in words."""
        return f"{type(self).__name__}, row {place}"

    @property
    def keys(self) -> Sequence[Field]:
        """The fields that an event's key is taken from."""
        return tuple(self._keys)

    def total(self) -> int | None:
        """How many rows there are, where that is known before they are read."""
        return None

    def __iter__(self) -> Iterator[Any]:
        return map(_sound, self.entries())

    # --- in pieces, where its files allow it ---

    def files(self) -> list[Path]:
        """The files that all of its rows are in; none where they come from elsewhere."""
        return []

    def pieces(self, rows: int) -> Iterator[Piece] | None:
        """Pieces of about so many rows, to be read anywhere and in any order; None where it has to be read whole."""
        return None

    def piece(self, piece: Piece) -> Iterator[tuple[Any, Any]]:
        """The rows of a piece, with their places."""
        raise NotImplementedError(f"{type(self).__name__} has no piece(piece)")

    def rows_of(self, piece: Piece) -> Iterator[Any]:
        """The rows of a piece, without their places."""
        return (row for _, row in self.piece(piece))

    def entries_of(self, piece: Piece) -> Iterator[Any]:
        """The entries of a piece: those of all pieces are those of the source."""
        found = self.rows_of(piece) if self._is_plain else (self._entry(one) for one in self.piece(piece))
        return found if self._bad_rows == "error" else self._sifted(found)

    # --- as a whole ---

    @property
    def _is_plain(self) -> bool:
        """Whether rows come without an Event around them, which costs nothing."""
        return not self._keys and self._time_field is None and self._id_field is None

    def entries(self) -> Iterator[Any]:
        if type(self).__iter__ is not RowSource.__iter__:  # a class of one's own that changes what comes
            return iter(self)
        # a generator can be closed, and closes what it reads
        found = self.rows() if self._is_plain else (self._entry(placed) for placed in self.placed())
        if self._progress:
            from nbgraph.steps.sources.base import shown

            found = shown(found, type(self).__name__, self.total())
        return found if self._bad_rows == "error" else self._sifted(found)

    def _sifted(self, entries: Iterator[Any]) -> Iterator[Any]:
        for entry in entries:
            if not isinstance(entry, RowError):
                yield entry
            elif self._bad_rows == "stop":
                yield entry
                return
            else:
                _logger.warning("left out: %s", entry)

    def expect(self, names: Sequence[Any], place: str, also: Mapping[str, Iterable[Any]] | None = None) -> None:
        """Refuse columns that lack one that an argument names; `also` has further arguments and their columns.

        >>> RowSource(key_field="id").expect(["a", "b"], "x.csv")
        Traceback (most recent call last):
        nbgraph.errors.GraphError: RowSource got key_field="id", and x.csv has no such column; it has: a, b.
        """
        own: dict[str, Iterable[Any]] = {
            "key_field": self._keys,
            "time_field": [self._time_field],
            "id_field": [self._id_field],
        }
        for argument, wanted in {**own, **(also or {})}.items():
            for name in wanted:
                if name is not None and name not in names:
                    raise GraphError(
                        f"{type(self).__name__} got {argument}={_quoted(name)}, and {place} has no such column; it "
                        f"has: {listed(names)}."
                    )

    def _entry(self, placed: tuple[Any, Any]) -> Event | RowError:
        place, row = placed
        if type(row) is RowError:
            return row
        has_time, has_id = self._time_field is not None, self._id_field is not None
        try:
            return Event(
                row, self._key(row), self._id_of(row) if has_id else None, time=self._time_of(row) if has_time else None
            )
        except _FieldError as fault:
            return RowError(type(self).__name__, Event(row), f"{self.place(place)}: {fault}")

    def _time_of(self, row: Any) -> datetime:
        field: Any = self._time_field
        try:
            return moment_of(_value(row, field, "the time"), str(field), self._timestamp_format)
        except ValueError as error:
            raise _FieldError(str(error)) from error

    def _id_of(self, row: Any) -> str | None:
        value = _value(row, self._id_field, "the id")
        return None if is_missing(value) else str(value)


def _key_function(fields: Fields) -> Callable[[Any], Any]:
    """A row's key: one field, or a tuple of several; an error for a field that can't be one."""
    if fields is None:
        return lambda row: None
    if isinstance(fields, str | int):
        return lambda row: _part_of_key(row, fields)
    names = tuple(fields)
    return lambda row: tuple([_part_of_key(row, name) for name in names])


class _FieldError(Exception):
    """A field that something of the event is taken from is not there, empty, or unfit."""


def _value(row: Any, name: Any, what: str) -> Any:
    try:
        return row[name]
    except (KeyError, IndexError, TypeError):
        there = listed(row) if isinstance(row, Mapping) else f"a {type(row).__name__}"
        raise _FieldError(f'There is no field "{name}" for {what}; the row has: {there}.') from None


def _part_of_key(row: Any, name: Field) -> Any:
    value = _value(row, name, "the key")
    if type(value) is str or type(value) is int:
        return value
    if is_missing(value):
        raise _FieldError(f'The key "{name}" is missing: got {value!r}.')
    try:
        hash(value)
    except TypeError:
        kind = type(value).__name__
        raise _FieldError(f'The key "{name}" is a {kind}, and a key is a text, a number, or the like.') from None
    return value


def _sound(entry: Any) -> Any:
    """An entry for who reads the source himself: what can't become an event is raised."""
    if isinstance(entry, RowError):
        raise entry
    return entry


def _quoted(name: Field) -> str:
    return f'"{name}"' if isinstance(name, str) else str(name)


def listed(names: Iterable[Any]) -> str:
    """Names as they stand in a sentence."""
    return ", ".join(map(str, names)) or "nothing"


# --- A bar that shows how far a long source has been read. ---


T = TypeVar("T")
SECONDS = 0.1  # between two looks at the bar


def shown(rows: Iterator[T], title: str, total: int | None = None) -> Iterator[T]:
    """The same rows, while a bar counts them."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as progress:
        task = progress.add_task(title, total=total)
        count, due = 0, monotonic()
        for row in rows:
            yield row
            count += 1
            if monotonic() >= due:
                progress.update(task, completed=count)
                due = monotonic() + SECONDS
        progress.update(task, completed=count, total=count)
