"""Online: what serving reads, a record for each key, and the offline version that all records together contain.

A record has the last rows of its key as they were written, `tail`, and what came before them: the newest of those rows
and the buckets of their windows. So a moment that is a little older than the newest row, or that wants only what was
strictly before it, is answered as the offline rows answer it; an older one is refused. Whatever the order in which rows
come, the record of a key is the same.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from nbgraph.errors import FeatureError
from nbgraph.steps.windows.codegen import WindowCode
from nbgraph.steps.windows.series import series_of
from nbgraph.steps.windows.spec import FieldAggregator
from nbgraph.streams.codec.values import freeze, thaw

TAIL = 4  # rows of a key that are kept as they are
BEYOND = 2**62  # numbers of rows that have none yet
ALWAYS = -(2**62)  # the time of rows that have none: before every moment
SECOND = 1_000_000
Row = dict[str, Any]
Line = tuple[int, int, Row]  # a row with its time, in microseconds, and its number


@dataclass(frozen=True)
class KeyMetadata:
    """What the records of a set contain: the offline version, its last row's number, the kinds of its columns."""

    version: int
    sequence: int
    columns: Mapping[str, str]


@dataclass(frozen=True)
class Advance:
    """What takes a set to a newer version: what it contains then, the records that change, the batches that arrive.

    With `clear` the records are all there are; rows of `arrived` batches are in the records, and wait no longer.
    """

    about: KeyMetadata
    records: Mapping[str, bytes]
    clear: bool = False
    arrived: Sequence[str] = ()


@dataclass(frozen=True)
class Waiting:
    """A row of an event that is seen before it is offline: the event's id, the text of its key, its time."""

    id: str
    key: str
    time: int
    row: Row


# The record of a key, and its rows that are not offline yet, with numbers beyond all that are.
Stored = tuple[bytes | None, Sequence[Line]]
NOTHING: Stored = (None, ())


@dataclass
class Record:
    """What is known of one key."""

    time: int = ALWAYS - 1  # of the newest row before the tail; none yet
    sequence: int = 0
    row: Row | None = None
    windows: list[list[Any]] | None = None
    tail: list[Line] = field(default_factory=list)

    def packed(self) -> bytes:
        """The record as bytes, in which the names of fields stand once."""
        lines = [(self.time, self.sequence, self.row), *self.tail] if self.row is not None else self.tail
        fields = list(dict.fromkeys(name for _, _, row in lines for name in row or ()))
        rows = [[time, sequence, *((row or {}).get(name) for name in fields)] for time, sequence, row in lines]
        return freeze([self.row is not None, fields, rows, self.windows])

    @classmethod
    def unpacked(cls, stored: bytes | None) -> Record:
        if stored is None:
            return cls()
        has_base, fields, rows, windows = thaw(stored)
        tail = [(row[0], row[1], dict(zip(fields, row[2:], strict=True))) for row in rows]
        if not has_base:
            return cls(windows=windows, tail=tail)
        time, sequence, base = tail.pop(0)
        return cls(time, sequence, base, windows, tail)


def newest(stored: bytes, limit: int) -> tuple[int, Row] | None:
    """The last row of a record up to a moment, with its time; None where one must look closer."""
    _, fields, rows, _ = thaw(stored)
    for row in reversed(rows):
        if row[0] <= limit:
            return row[0], dict(zip(fields, row[2:], strict=True))
    return None


class Readable(Protocol):
    """What an answer is read from."""

    def read(self, name: str, keys: Sequence[str]) -> list[Stored]:
        """What is stored of keys, in their order, all as of one moment."""


class OnlineStore(Readable, Protocol):
    """What keeps the records: SQLite, Redis, PostgreSQL; keys are texts, records bytes."""

    def about(self, name: str) -> KeyMetadata | None:
        """What the records of a set contain; None where nothing was written yet."""

    def advance(self, name: str, was: KeyMetadata | None, step: Advance) -> bool:
        """Take a step, all of it or none; False, and nothing done, where the set does not contain `was` any more."""

    def wait(self, name: str, rows: Sequence[Waiting]) -> None:
        """Let rows of events be seen at once, before they are offline; those of an id that came before are left out."""

    def gather(self, name: str, batch: str) -> None:
        """Give the rows that wait, and are in no batch, to one of that name."""

    def batches(self, name: str) -> Mapping[str, Sequence[Row]]:
        """The rows of all batches that wait."""

    def drop(self, name: str) -> None:
        """Forget a set."""

    def close(self) -> None:
        """Close what is open."""


class Windowing:
    """How records of one set grow and are read: its aggregates, if it has any."""

    def __init__(self, aggregates: Sequence[FieldAggregator]) -> None:
        self.aggregators = [each.ready() for each in aggregates]
        self.layouts = series_of(self.aggregators, None)
        self.columns = [column for each in self.aggregators for column in each.columns()]
        self._code = WindowCode(self.aggregators, self.layouts) if aggregates else None

    def grow(self, record: Record, lines: Iterable[Line], tail: int = TAIL) -> None:
        """Take rows into a record, of which the last stay as they are."""
        for line in lines:
            if line[:2] > (record.time, record.sequence):
                insort(record.tail, line, key=_place)
            else:
                self._take(record, line)  # late: it belongs before what the tail knows
        surplus = len(record.tail) - tail
        for line in record.tail[: max(surplus, 0)]:
            self._take(record, line)
            record.time, record.sequence, record.row = line
        del record.tail[: max(surplus, 0)]

    def _take(self, record: Record, line: Line) -> None:
        if self._code is None:
            return
        if record.windows is None:
            record.windows = [layout.new() for layout in self.layouts]
        else:
            record.windows = self._whole(record.windows)
        for number, series in enumerate(record.windows):
            self._code.take(number, series, line[0] / SECOND, line[2])

    def packed(self, record: Record) -> bytes:
        """The record without what can be worked out again."""
        if record.windows is not None:
            record.windows = [each[: layout.base(0)] for each, layout in zip(record.windows, self.layouts, strict=True)]
        return record.packed()

    def _whole(self, windows: Sequence[list[Any]]) -> list[list[Any]]:
        assert self._code is not None
        whole = []
        for layout, series, rebuild in zip(self.layouts, windows, self._code.rebuilders, strict=True):
            if len(series) == layout.base(0):
                series = [*(list(each) if isinstance(each, list) else each for each in series)]
                series += layout.new()[layout.base(0) :]
                rebuild(series)
            whole.append(series)
        return whole

    def held(self, record: Record, moment: int, before: bool, name: str) -> tuple[int, Row] | None:
        """The row that counts at a moment, with its time; None where there is none."""
        limit = moment - 1 if before else moment
        for time, _, row in reversed(record.tail):
            if time <= limit:
                return time, row
        if record.row is None:
            return None
        self._refuse_past(record, limit, name)
        return record.time, record.row

    def values(self, record: Record, moment: int, before: bool, name: str) -> Row:
        """The columns of the windows at a moment."""
        assert self._code is not None
        limit = moment - 1 if before else moment
        if record.row is not None:
            self._refuse_past(record, limit, name)
        known = record.windows if record.windows is not None else [layout.new() for layout in self.layouts]
        later = [(time / SECOND, row) for time, _, row in record.tail if time <= limit]
        ended = []
        for layout, series, add in zip(self.layouts, known, self._code.adders, strict=True):
            period, last = layout.spans.period, moment / SECOND // layout.spans.period
            buckets = layout.until(series, last)
            for time, row in later:
                number = time // period
                if number == last:
                    add(buckets, row, time)
                elif number > last - layout.spans.longest:
                    layout.add_late(buckets, number, partial(_add, add, row, time))
            ended.append(buckets)
        return self._code.finished(ended)

    @staticmethod
    def _refuse_past(record: Record, limit: int, name: str) -> None:
        if record.time > limit:
            raise FeatureError(
                f'The online rows of the set "{name}" know a key only since {_text(record.time)}, and {_text(limit)} '
                "is asked; ask the rows of all times: vector.offline(rows, time=...)."
            )


def _add(add: Callable[..., None], row: Row, time: float, bucket: list[Any]) -> None:
    add(bucket, row, time)


def _place(line: Line) -> tuple[int, int]:
    return line[:2]


def _text(microseconds: int) -> str:
    from datetime import UTC, datetime, timedelta

    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)).isoformat()
