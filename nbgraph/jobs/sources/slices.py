"""Slices: where the rows of a part are read from; each reads itself, in whatever process it comes to."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from nbgraph.jobs.sources.spill import spilled
from nbgraph.steps.dataframe import rows_of_arrow
from nbgraph.steps.optional import package
from nbgraph.steps.sources.base import Piece
from nbgraph.steps.sources.dataframe import rows_of_frame

if TYPE_CHECKING:
    from nbgraph.jobs.payload import Payload


class Slice(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """`first` is the number of its first row in the whole source, `rows` how many it has."""

    first: int = 0
    rows: int = 0

    def entries(self, payload: Payload) -> Iterator[Any]:
        """Its rows, as `graph.stream` would get them: bodies, Events, or a RowError in the place of a bad row."""
        raise NotImplementedError

    def numbered(self, payload: Payload) -> Iterator[Sequence[Any]]:
        """Pairs of a row's number in the whole source, and the row."""
        return enumerate(self.entries(payload), self.first)

    def files(self, folder: Path) -> list[Path]:
        """Files that were made for it alone, and that nobody needs when its part is done."""
        return []


class Spilled(Slice, frozen=True, tag="spilled"):
    """Rows that the job's own process has read."""

    file: str

    def entries(self, payload: Payload) -> Iterator[Any]:
        return spilled(payload.folder / self.file)

    def files(self, folder: Path) -> list[Path]:
        return [folder / self.file]


class FrameSlice(Slice, frozen=True, tag="frame"):
    """Rows of a DataFrame."""

    file: str

    def entries(self, payload: Payload) -> Iterator[Any]:
        with (payload.folder / self.file).open("rb") as file:
            return rows_of_frame(pickle.load(file))

    def files(self, folder: Path) -> list[Path]:
        return [folder / self.file]


class ArrowSlice(Slice, frozen=True, tag="arrow"):
    """Rows of a table that lies in one file, of which only these are looked at."""

    file: str

    def entries(self, payload: Payload) -> Iterator[Any]:
        arrow = package("pyarrow", "A job over a table of Arrow")
        with arrow.memory_map(str(payload.folder / self.file)) as file:
            table = arrow.ipc.open_file(file).read_all()
            yield from rows_of_arrow(table.slice(self.first, self.rows))


class PieceSlice(Slice, frozen=True, tag="piece"):
    """A piece of files, or a range of a table, which a source reads by itself.

    `is_hashed`: nothing but its rows tells whether it is what it was.
    """

    piece: Piece
    is_hashed: bool = False

    def entries(self, payload: Payload) -> Iterator[Any]:
        found: Iterator[Any] = payload.source.entries_of(self.piece)
        return found


class SourceShard(Slice, frozen=True, tag="shard"):
    """Rows whose keys fall into one shard, in the source's order; each stands behind its number."""

    shard: int
    shards: int
    scattered: list[str]

    def entries(self, payload: Payload) -> Iterator[Any]:
        return (row for _, row in self.numbered(payload))

    def numbered(self, payload: Payload) -> Iterator[Sequence[Any]]:
        for file in self.files(payload.folder):
            if file.exists():  # a part may have no row for a shard
                yield from spilled(file)

    def files(self, folder: Path) -> list[Path]:
        return [folder / name / f"{self.shard:05}" for name in self.scattered]


AnySlice = Spilled | FrameSlice | ArrowSlice | PieceSlice | SourceShard
