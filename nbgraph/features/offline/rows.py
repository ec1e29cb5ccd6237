"""Rows: what an ingest is given, whatever it comes in, and what tells that it came before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from nbgraph.errors import FeatureError
from nbgraph.event import Event
from nbgraph.features.offline.kind import Frame, UnfitValue, cast, column, kind_of
from nbgraph.steps.sources.base import Source
from nbgraph.steps.sources.dataframe import columns_of, rows_of_frame
from nbgraph.streams.codec.values import UnfitError, freeze

READERS = {".parquet": "scan_parquet", ".csv": "scan_csv", ".jsonl": "scan_ndjson", ".ndjson": "scan_ndjson"}


@dataclass(frozen=True)
class OfflineRows:
    """The rows of a source: as a frame where they are one, else as they came; `name` says where from.

    `given` is the DataFrame that they came in, whose rows a graph gets as it always does.
    """

    name: str
    frame: Frame | None
    bodies: Sequence[Any]
    given: Any = None

    def __len__(self) -> int:
        return len(self.bodies) if self.frame is None else self.frame.height

    def first(self, count: int) -> OfflineRows:
        frame = None if self.frame is None else self.frame.head(count)
        given = None if self.given is None else self.given.head(count)
        return OfflineRows(self.name, frame, self.bodies[:count], given)

    def events(self) -> Iterable[Any]:
        """What goes into the graph: a dict, or an Event, for each row."""
        if self.given is not None:
            return rows_of_frame(self.given)
        return self.bodies if self.frame is None else self.frame.iter_rows(named=True)

    @property
    def whole(self) -> Any:
        """All of it, as a job takes it."""
        if self.given is not None:
            return self.given
        return self.bodies if self.frame is None else self.frame

    def identity(self) -> str:
        """A text that is the same for the same rows in the same order, wherever they came from."""
        digest = hashlib.blake2b(digest_size=20)
        frame = self.frame if self.frame is not None else _framed(self.bodies)
        if frame is not None:
            for name in sorted(frame.columns):
                _digest(frame[name], digest)
            return digest.hexdigest()
        for body in self.bodies:
            try:
                digest.update(freeze(body.body if isinstance(body, Event) else body, repr))
            except UnfitError as error:
                raise FeatureError(
                    f"{self.name} has a row of which nobody can tell whether it came before: {error}. "
                    "Give the ingest an id of its own: id=..."
                ) from error
        return digest.hexdigest()


def rows_of(source: Any) -> OfflineRows:
    """The rows of a DataFrame (pandas, polars), an Arrow table, files, an iterable of dicts or Events, a Source."""
    kind = type(source)
    library = kind.__module__.partition(".")[0]
    if isinstance(source, str | Path) or _is_paths(source):
        return _of_files([source] if isinstance(source, str | Path) else list(source))
    if library == "pandas" and kind.__name__ == "DataFrame":
        return _of_pandas(source)
    if library == "polars":
        frame = source.collect() if kind.__name__ == "LazyFrame" else source
        return OfflineRows("polars.DataFrame", _canonical(frame), (), frame)
    if library == "pyarrow":
        return OfflineRows("pyarrow.Table", _canonical(pl.from_arrow(source)), ())
    if isinstance(source, Mapping) or not isinstance(source, Iterable):
        raise FeatureError(
            f"An ingest was given a {kind.__name__}; expected a DataFrame, an Arrow table, paths of Parquet, CSV or "
            "JSON lines, an iterable of dicts or Events, or a Source."
        )
    given = source.entries() if isinstance(source, Source) else source
    return OfflineRows(kind.__name__, None, list(given))


def _is_paths(source: Any) -> bool:
    return isinstance(source, list | tuple) and bool(source) and all(isinstance(each, str | Path) for each in source)


def _of_files(paths: Sequence[str | Path]) -> OfflineRows:
    frames = [_read(str(path)) for path in paths]
    name = str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
    return OfflineRows(name, _canonical(pl.concat(frames, how="diagonal_relaxed").collect()), ())


def _read(path: str) -> Frame:
    """A file, a pattern of files, or a folder of Parquet files, as polars reads it when asked."""
    is_folder = Path(path).is_dir()
    ending = ".parquet" if is_folder else Path(path).suffix.lower()
    if ending not in READERS:
        raise FeatureError(f'The file "{path}" ends in none of {", ".join(READERS)}; read it, and give the DataFrame.')
    options = {"try_parse_dates": True} if ending == ".csv" else {}
    try:
        frame = getattr(pl, READERS[ending])(str(Path(path) / "**/*.parquet") if is_folder else path, **options)
        frame.collect_schema()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise FeatureError(f'"{path}" can\'t be read: {str(error).splitlines()[0]}.') from error
    return frame


def _of_pandas(frame: Any) -> OfflineRows:
    levels = [name for name in columns_of(frame) if name not in frame.columns]
    whole = frame.reset_index(levels) if levels else frame
    try:
        made = _canonical(pl.from_pandas(whole, include_index=False))
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError, UnfitValue):  # values of several kinds
        made = None
    except Exception as error:  # pyarrow's own errors, which are not imported for this
        if not type(error).__module__.startswith("pyarrow"):
            raise
        made = None
    return OfflineRows("DataFrame", made, () if made is not None else whole.to_dict("records"), frame)


def _canonical(frame: Frame) -> Frame:
    """The frame with a column for each kind, as it will be stored; those of other kinds stay as they are."""
    columns = []
    for each in frame.get_columns():
        try:
            kind = kind_of(each.dtype)
            columns.append(each if kind is None else cast(each, kind))
        except UnfitValue:
            columns.append(each)
    return pl.DataFrame(columns)


def _framed(bodies: Sequence[Any]) -> Frame | None:
    """Dicts as a frame; None where one does not fit, or they are no dicts."""
    if not all(isinstance(body, dict) for body in bodies):
        return None
    columns = []
    for name in dict.fromkeys(name for body in bodies for name in body):
        if not isinstance(name, str):
            return None
        made, wrong = column(name, [body.get(name) for body in bodies])
        if wrong:
            return None
        columns.append(made)
    return pl.DataFrame(columns)


def _digest(values: Frame, digest: Any) -> None:
    """Take a column into a digest by what it means: a column without any value as one that is not there."""
    if values.null_count() == len(values):
        return
    digest.update(f"{values.name}\0{_kind_name(values.dtype)}\0".encode())
    digest.update(values.is_null().to_numpy().tobytes())
    if isinstance(values.dtype, pl.List | pl.Array):
        digest.update(values.list.len().fill_null(0).to_numpy().tobytes())
        _digest(values.explode(empty_as_null=False).alias("."), digest)
    elif values.dtype in (pl.String, pl.Binary):
        plain = values.cast(pl.Binary).fill_null(b"")
        digest.update(plain.bin.size().to_numpy().tobytes())
        digest.update(b"".join(plain))
    elif values.dtype.is_numeric() or values.dtype.is_temporal() or values.dtype == pl.Boolean:
        digest.update(values.to_physical().fill_null(0 if values.dtype != pl.Boolean else False).to_numpy().tobytes())
    else:
        digest.update(freeze(values.to_list(), repr))


def _kind_name(dtype: Any) -> str:
    try:
        return str(kind_of(dtype))
    except UnfitValue:
        return str(dtype)
