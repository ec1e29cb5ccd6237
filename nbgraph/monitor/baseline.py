"""Baseline: the Profiles of a graph when all was well, as a whole and in windows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np

from nbgraph.body import Copier
from nbgraph.errors import NbgraphError
from nbgraph.graph.finding import meant
from nbgraph.monitor.profile import Profile
from nbgraph.monitor.statistics.bins import Bins, Cells, FieldKind
from nbgraph.monitor.statistics.column import MOST_FIELDS, Column, columns_of
from nbgraph.monitor.statistics.counts import FieldCounts
from nbgraph.monitor.statistics.field_profile import FieldProfile
from nbgraph.monitor.statistics.limit import LEAST_EVENTS, Limit, limit_of
from nbgraph.monitor.statistics.sketch import Sketch

VERSION = 1
BLOCK = 4096  # bodies that are sorted into columns at once
ANY = "*"  # `* -> score`: whatever leads to a step

Every = int | str


@dataclass(frozen=True)
class BaselineWindow:
    """One of the windows that a baseline was counted in: how many events, and the judged counts of each field."""

    start: float
    events: int
    cells: Mapping[str, Cells]


@dataclass(frozen=True)
class Baseline(Mapping[str, Profile]):
    """Profiles by the names of their edges, with the windows that limits are learnt from.

    >>> import pandas as pd
    >>> baseline = Baseline.of(pd.DataFrame({"amount": [1.0, 2.0, 4.0]}), at="score")
    >>> baseline["score"]["amount"].quantile(0.5)
    2.0

    Parameters
    ----------
    edges
        A Profile for each edge, over all that was counted.
    windows
        The windows of each edge, in their order.
    every
        The length of a window: `"1m"`, or a number of events.
    """

    edges: Mapping[str, Profile]
    windows: Mapping[str, Sequence[BaselineWindow]] = field(default_factory=dict)
    every: Every = "1m"

    @classmethod
    def of(cls, table: Any, at: str, *, every: Every = 1000) -> Self:
        """The baseline of a table, for what comes to one step.

        Parameters
        ----------
        table
            A DataFrame, or an iterable of bodies.
        at
            The name of a step, or of an edge: `"clean -> score"`.
        every
            Rows of a window.
        """
        rows = table.to_dict("records") if hasattr(table, "to_dict") else list(table)
        size = every if isinstance(every, int) else len(rows) or 1
        edge = at if "->" in at else f"{ANY} -> {at}"
        record = EdgeRecord(edge)
        for begin in range(0, len(rows), size):
            record.add(float(begin), rows[begin : begin + size])
        return cls({edge: record.profile()}, {edge: record.windows()}, every)

    def __getitem__(self, name: str) -> Profile:
        found = self.find(name)
        if found is None:
            known = meant(name, self.edges)
            raise KeyError(f'There is no edge "{name}" in the baseline.{known} Edges: {", ".join(self.edges)}')
        return found

    def find(self, name: str) -> Profile | None:
        """The Profile of an edge, or of the one that leads to a step; None where there is none."""
        key = self._key(name)
        return None if key is None else self.edges[key]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._key(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.edges)

    def __len__(self) -> int:
        return len(self.edges)

    @cached_property
    def limits(self) -> dict[tuple[str, str], Limit]:
        """The limit of each edge and field, learnt from the windows."""
        return {
            (edge, name): limit_of(one.judged(), [window.cells[name] for window in self.windows_of(edge)])
            for edge, profile in self.edges.items()
            for name, one in profile.items()
        }

    def limit(self, edge: str, name: str) -> Limit:
        """The limit of a field."""
        key = self._key(edge)
        assert key is not None
        return self.limits[key, name]

    def windows_of(self, edge: str) -> list[BaselineWindow]:
        """The windows of an edge; those with few events are added to the next ones, as they are when it is watched."""
        found: list[BaselineWindow] = []
        waiting: BaselineWindow | None = None
        for window in self.windows.get(edge, ()):
            waiting = window if waiting is None else _joined(waiting, window)
            if waiting.events >= LEAST_EVENTS:
                found.append(waiting)
                waiting = None
        return found

    def save(self, path: str | Path) -> Path:
        """Write it to a file (MessagePack).

        Parameters
        ----------
        path
            Path of the file.
        """
        path = Path(path)
        path.write_bytes(self.to_bytes())
        return path

    @classmethod
    def load(cls, path: str | Path) -> Baseline:
        """The baseline of a file that `save` wrote.

        Parameters
        ----------
        path
            Path of the file.
        """
        return cls.from_bytes(Path(path).read_bytes(), str(path))

    def to_bytes(self) -> bytes:
        """What `save` writes."""
        edges = [_plain_edge(profile, self.windows.get(edge, ())) for edge, profile in self.edges.items()]
        return msgspec.msgpack.encode(_Document(VERSION, self.every, edges))

    @classmethod
    def from_bytes(cls, content: bytes, name: str = "The baseline") -> Baseline:
        """The baseline that `to_bytes` wrote."""
        try:
            found = msgspec.msgpack.decode(content)
            version = found.get("version") if isinstance(found, dict) else None
            if version != VERSION:
                raise NbgraphError(
                    f"{name} has the version {version!r}; this nbgraph reads {VERSION}. Profile the events again, or "
                    "read it with the nbgraph that wrote it."
                )
            document = msgspec.convert(found, _Document)
        except msgspec.MsgspecError as error:
            raise NbgraphError(
                f"{name} is no baseline, or is damaged: {error}. Expected what Baseline.save wrote."
            ) from None
        return cls(
            {one.edge: one.profile() for one in document.edges},
            {one.edge: one.baseline_windows() for one in document.edges},
            document.every,
        )

    def _key(self, name: str) -> str | None:
        if name in self.edges:
            return name
        step = name.rpartition("->")[2].strip() if "->" in name else name
        if "->" in name:
            return f"{ANY} -> {step}" if f"{ANY} -> {step}" in self.edges else None
        leading = [edge for edge in self.edges if edge.rpartition("->")[2].strip() == step]
        return leading[0] if len(leading) == 1 else None


class EdgeRecord:
    """What went along an edge, window by window, until it is known which bins fit."""

    def __init__(self, edge: str, fields: Iterable[str] | None = None, redacted: Iterable[str] = ()) -> None:
        self.edge = edge
        self.copied = Copier()  # of bodies, which later steps may change
        self._redacted = frozenset(redacted)
        self._fields = None if fields is None else list(fields)
        self._windows: list[tuple[float, int, dict[str, Column]]] = []
        self.unwatched: set[str] = set()

    @property
    def events(self) -> int:
        return sum(events for _, events, _ in self._windows)

    def add(self, start: float, bodies: Sequence[Any]) -> None:
        """Count bodies of the window that begins at `start`."""
        for begin in range(0, len(bodies), BLOCK):
            values, beyond = columns_of(bodies[begin : begin + BLOCK], self._fields)
            self.unwatched |= beyond
            columns = {name: Column.of(values[name]) for name in visible(values, self._redacted)}
            self._put(start, len(bodies[begin : begin + BLOCK]), columns)

    def _put(self, start: float, events: int, columns: dict[str, Column]) -> None:
        if self._windows and self._windows[-1][0] == start:
            _, before, known = self._windows.pop()
            names = dict.fromkeys([*known, *columns])
            columns = {name: _column(known.get(name), before) + _column(columns.get(name), events) for name in names}
            events += before
        self._windows.append((start, events, columns))

    @property
    def _names(self) -> list[str]:
        names = list(dict.fromkeys(name for _, _, columns in self._windows for name in columns))
        return names[:MOST_FIELDS]

    def whole(self, name: str) -> Column:
        """All values of a field."""
        return Column.joined([_column(columns.get(name), events) for _, events, columns in self._windows])

    def profile(self) -> Profile:
        """The whole of it, in bins that fit."""
        fields = {name: FieldProfile.of_column(self.whole(name)) for name in self._names}
        fields = {name: one for name, one in fields.items() if not _is_length_of_class(name, fields)}
        starts = [start for start, _, _ in self._windows] or [0.0]
        return Profile(self.edge, fields, self.events, self.events, starts[0], starts[-1])

    def windows(self, profile: Profile | None = None) -> list[BaselineWindow]:
        """Its windows, in the bins of its profile."""
        profile = profile or self.profile()
        return [
            BaselineWindow(
                start,
                events,
                {name: _judged(_column(columns.get(name), events), one.bins) for name, one in profile.items()},
            )
            for start, events, columns in self._windows
        ]


def visible(fields: Iterable[str], redacted: Collection[str]) -> list[str]:
    """The fields that hold nothing redacted.

    >>> visible(["amount", "card.number", "len(card.number)"], {"number"})
    ['amount']
    """
    return [name for name in fields if not redacted or not set(redacted) & _words(name)]


def _words(name: str) -> set[str]:
    inner = name.partition("(")[2].rstrip(")")
    return {*name.split("."), *inner.split("."), inner}


def _is_length_of_class(name: str, fields: Mapping[str, FieldProfile]) -> bool:
    """The length of a class tells nothing that the class does not."""
    of = fields.get(name[4:-1]) if name.startswith("len(") else None
    return of is not None and of.bins.kind is FieldKind.CLASS


def _column(found: Column | None, events: int) -> Column:
    return Column.absent(events) if found is None else found


def _judged(column: Column, bins: Bins) -> Cells:
    if bins.kind is FieldKind.NUMBER:
        return bins.judged(bins.count(column.numbers))
    if bins.kind is FieldKind.CLASS:
        return bins.judged(bins.count_classes(column.classes)[0], column.missing)
    return bins.judged(np.zeros(bins.size, dtype=np.int64), column.missing)


def _joined(first: BaselineWindow, second: BaselineWindow) -> BaselineWindow:
    cells = {name: counts + second.cells[name] for name, counts in first.cells.items()}
    return BaselineWindow(first.start, first.events + second.events, cells)


# --- as a file ---


class _PlainEdge(msgspec.Struct, array_like=True):
    edge: str
    events: int
    start: float
    end: float
    fields: dict[str, tuple[Bins, FieldCounts, Sketch | None]]
    windows: list[tuple[float, int, dict[str, list[int]]]]

    def profile(self) -> Profile:
        fields = {name: FieldProfile(*found) for name, found in self.fields.items()}
        return Profile(self.edge, fields, self.events, self.events, self.start, self.end)

    def baseline_windows(self) -> list[BaselineWindow]:
        return [
            BaselineWindow(start, events, {name: np.array(counts, dtype=np.int64) for name, counts in cells.items()})
            for start, events, cells in self.windows
        ]


class _Document(msgspec.Struct):
    version: int
    every: int | str
    edges: list[_PlainEdge]


def _plain_edge(profile: Profile, windows: Iterable[BaselineWindow]) -> _PlainEdge:
    return _PlainEdge(
        profile.edge,
        profile.events,
        profile.start,
        profile.end,
        {name: (one.bins, one.counts, one.sketch) for name, one in profile.items()},
        [(one.start, one.events, {name: cells.tolist() for name, cells in one.cells.items()}) for one in windows],
    )
