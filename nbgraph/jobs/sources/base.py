"""JobSource: a data set, cut into slices of some rows each, lazily and in its order."""

from __future__ import annotations

import itertools
import pickle
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from nbgraph.engine.schedule.stream import rows_of
from nbgraph.errors import JobError
from nbgraph.jobs.sources.json_lines import JSONLinesSource
from nbgraph.jobs.sources.slices import AnySlice, ArrowSlice, FrameSlice, PieceSlice, Spilled
from nbgraph.jobs.sources.spill import hash_of, spill
from nbgraph.steps.dataframe import is_arrow, is_frame, rows_of_arrow
from nbgraph.steps.formats.files import COMPRESSED
from nbgraph.steps.optional import package
from nbgraph.steps.sources.base import RowSource, Source
from nbgraph.steps.sources.csv import CSVSource
from nbgraph.steps.sources.dataframe import rows_of_frame
from nbgraph.steps.sources.parquet import ParquetSource

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
Done = Callable[[int], bool]  # whether the slice of that number is not needed any more


class JobSource(Protocol):
    """`reader` goes to the workers, whose slices are read with it."""

    reader: Any

    def total(self) -> int | None:
        """How many rows there are, where that is known before they are read."""
        ...

    def fingerprint(self) -> dict[str, Any]:
        """What tells, without reading all of it, that it is the same source as last time."""
        ...

    def slices(self, rows: int, folder: Path, done: Done) -> Iterator[tuple[AnySlice, str]]:
        """Slices of so many rows, each with a hash of its content where the fingerprint does not tell of that.

        Nothing is written of those that are done.
        """
        ...


class IterableSource:
    """Anything that only one process can read, once: it is spilled as far as the job has come."""

    reader = None

    def __init__(self, given: Any, rows: Callable[[], Any]) -> None:
        self._given, self._rows = given, rows

    def total(self) -> int | None:
        if isinstance(self._given, Source):
            count = getattr(self._given, "total", None)
            return count() if count is not None else None
        return len(self._given) if hasattr(self._given, "__len__") else None

    def fingerprint(self) -> dict[str, Any]:
        return fingerprint_of(self._given) if isinstance(self._given, Source) else {"kind": type(self._given).__name__}

    def slices(self, rows: int, folder: Path, done: Done) -> Iterator[tuple[AnySlice, str]]:
        left, first = iter(self._rows()), 0
        for number in itertools.count():
            head = list(itertools.islice(left, 1))
            if not head:
                return
            part = itertools.chain(head, itertools.islice(left, rows - 1))
            name = f"_job/spill/{number:05}"
            if done(number):
                counted = _CountedRows(part)
                told, size = hash_of(counted), counted.number
            else:
                (folder / name).unlink(missing_ok=True)
                size, told = spill(part, folder / name)
            yield Spilled(first=first, rows=size, file=name), told
            first += size


class ArrowSource:
    """A table of Arrow: one file, which workers map into their memory."""

    reader = None

    def __init__(self, table: Any) -> None:
        self._table = table

    def total(self) -> int:
        return len(self._table)

    def fingerprint(self) -> dict[str, Any]:
        told = hash_of(rows_of_arrow(self._table))
        return {"kind": "Table", "rows": len(self._table), "types": str(self._table.schema), "hash": told}

    def slices(self, rows: int, folder: Path, done: Done) -> Iterator[tuple[AnySlice, str]]:
        arrow, name = package("pyarrow", "A job over a table of Arrow"), "_job/spill/table.arrow"
        with arrow.OSFile(str(folder / name), "wb") as file, arrow.ipc.new_file(file, self._table.schema) as writer:
            writer.write_table(self._table)
        for first in range(0, len(self._table), rows):
            yield ArrowSlice(first=first, rows=min(rows, len(self._table) - first), file=name), ""


class FrameSource:
    """A DataFrame: its slices are frames in files of their own."""

    reader = None

    def __init__(self, frame: Any) -> None:
        self._frame = frame

    def total(self) -> int:
        return len(self._frame)

    def fingerprint(self) -> dict[str, Any]:
        types = self._frame.dtypes
        columns = list(map(str, self._frame.columns))
        return {"kind": "DataFrame", "rows": len(self._frame), "columns": columns, "types": list(map(str, types))}

    def slices(self, rows: int, folder: Path, done: Done) -> Iterator[tuple[AnySlice, str]]:
        for number, first in enumerate(range(0, len(self._frame), rows)):
            part = self._cut(first, first + rows)
            name = f"_job/spill/{number:05}"
            if not done(number):
                with (folder / name).open("wb") as file:
                    pickle.dump(part, file, protocol=pickle.HIGHEST_PROTOCOL)
            yield FrameSlice(first=first, rows=len(part), file=name), _hash_of_frame(part)

    def _cut(self, low: int, high: int) -> Any:
        """Rows by their places, whatever the index of a pandas frame is."""
        return self._frame.iloc[low:high] if hasattr(self._frame, "iloc") else self._frame[low:high]


class _CountedRows:
    def __init__(self, rows: Iterator[Any]) -> None:
        self._rows, self.number = rows, 0

    def __iter__(self) -> Iterator[Any]:
        for row in self._rows:
            self.number += 1
            yield row


def _hash_of_frame(frame: Any) -> str:
    if not type(frame).__module__.startswith("polars"):
        import hashlib

        import pandas

        try:
            told = pandas.util.hash_pandas_object(frame, index=True)
            return hashlib.sha256(told.to_numpy().tobytes()).hexdigest()
        except TypeError:  # cells that can't be hashed
            pass
    return hash_of(rows_of_frame(frame))


class PieceSource:
    """Files, or a table of a database, that are read piece by piece, wherever they can be seen."""

    def __init__(self, reader: RowSource) -> None:
        self.reader = reader

    def total(self) -> int | None:
        return self.reader.total()

    def fingerprint(self) -> dict[str, Any]:
        return fingerprint_of(self.reader)

    def slices(self, rows: int, folder: Path, done: Done) -> Iterator[tuple[AnySlice, str]]:
        is_hashed = not self.reader.files()  # whose sizes and times tell that they are what they were
        for number, piece in enumerate(self.reader.pieces(rows) or ()):
            told = hash_of(self.reader.entries_of(piece)) if is_hashed and done(number) else ""
            yield PieceSlice(first=piece.first, rows=piece.rows, piece=piece, is_hashed=is_hashed), told


def fingerprint_of(source: Source) -> dict[str, Any]:
    """The arguments of a source, and its files with their sizes and times."""
    files = source.files() if isinstance(source, RowSource) else []
    arguments = _ADDRESS.sub("", repr(sorted(source.arguments.items())))
    stated = [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in files]
    return {"kind": type(source).__name__, "arguments": arguments, "files": stated}


def source_of(given: Any) -> JobSource:
    """What a job is given, as something that can be cut.

    >>> source_of([1, 2]).total()
    2
    """
    given = _opened(given)
    if is_frame(given):
        return FrameSource(given)
    if is_arrow(given):
        return ArrowSource(given)
    if isinstance(given, Source) and type(given).commit is not Source.commit:
        raise JobError(
            f"{type(given).__name__} has no end, and a job is for data that has one; use graph.stream(source)."
        )
    if isinstance(given, RowSource) and given.pieces(1) is not None:
        return PieceSource(given)
    return IterableSource(given, lambda: rows_of(given))


def _opened(given: Any) -> Any:
    """The source of files that are told by their paths."""
    paths = list(given) if isinstance(given, list | tuple) and given else [given]
    is_paths = all(isinstance(path, Path) for path in paths) or isinstance(given, str)
    if not is_paths:
        return given
    names = [Path(path) for path in paths]
    kinds = {_kind(name) for name in names}
    if len(kinds) != 1:
        raise JobError("The files of a job are of one kind, and these are not: " + ", ".join(map(str, names)))
    return kinds.pop()(given)


def _kind(path: Path) -> Any:
    suffixes = [suffix for suffix in path.suffixes if suffix not in COMPRESSED]
    suffix = suffixes[-1] if suffixes else ""
    if suffix in (".csv", ".tsv"):
        return CSVSource if suffix == ".csv" else partial(CSVSource, delimiter="\t")
    if suffix in (".jsonl", ".ndjson"):
        return JSONLinesSource
    if suffix in (".parquet", ".pq") or path.is_dir():
        return ParquetSource
    raise JobError(
        f"A job reads Parquet (.parquet, or a folder of it), .csv and .jsonl by their paths, and got {path}; for all "
        "else give it a source: CSVSource(path, ...)."
    )
