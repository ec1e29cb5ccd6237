"""ParquetTarget: rows into a folder of Parquet files, or into one file."""

from __future__ import annotations

import time
import uuid
import weakref
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.event import Event
from nbgraph.handler import Counterpart
from nbgraph.steps.arguments import Names, names_of
from nbgraph.steps.context import StepContext
from nbgraph.steps.formats.parquet import arrow_for, column_of, held, is_open, noted, schema_of, type_named
from nbgraph.steps.optional import package
from nbgraph.steps.targets.base import WHOLE_BODY, Row, RowTarget, union_of

__all__ = ["ParquetTarget"]

FILES = (".parquet", ".pq")  # a path that ends so, and is no folder, is one file
TEXTS = ("string", "int64", "bool", "double", "date32[day]")  # types of which a folder's name tells the value
Column = str | tuple[str, Any]
Hashed = tuple[Names, int]


class ParquetTarget(RowTarget):
    """Write bodies, dicts, into a folder of Parquet files, `max_events` a file, in partitions if so wished.

    >>> import tempfile, pandas as pd
    >>> from nbgraph import Graph
    >>> folder = tempfile.mkdtemp() + "/delays"
    >>> graph = Graph("g")
    >>> _ = graph.to(ParquetTarget(folder, partition_cols=["carrier"]))
    >>> _ = list(graph.stream([{"carrier": "UA", "delay": 4}, {"carrier": "DL", "delay": 0}]))
    >>> pd.read_parquet(folder, filters=[("carrier", "==", "UA")])["delay"].tolist()
    [4]

    `partition_cols` may be fields and the event's own: `"$key"`, `"$date"`, `"$year"`, and so on down to `"$second"`,
    by the time of `time_field` if it is named; `(["card", "shop"], 16)` is a partition by their hash, one of 16. Files
    are added to the folder; none is ever changed. A `path` that ends in `.parquet` is one file, begun anew when the
    graph is made ready, and whole when the stream ends. A column has the type of its first values, also of those that
    the folder has, or the one that is given: `columns=[("delay", "float"), "carrier"]`. pandas finds `index_cols` in
    the index.

    Parameters
    ----------
    path
        Path of the file or folder.
    partition_cols
        Fields, or the event's own (`"$date"`, `"$hour"`), that folders are made by.
    max_events
        Rows of a file.
    index_cols
        Columns that pandas finds in the index.
    """

    counterpart = Counterpart(
        "ParquetTarget", unused={"infer_columns_from_data": (True, False), "single_file": (True, False)}
    )
    io = "files"
    packages = ("pyarrow",)

    def __init__(
        self,
        path: str | Path,
        columns: str | Sequence[Column] | None = None,
        partition_cols: Names | Sequence[str | Hashed] | None = None,
        max_events: int = 10_000,
        flush_after_seconds: float | None = None,
        *,
        index_cols: Names | None = None,
        time_field: str | None = None,
        context: StepContext | None = None,
    ) -> None:
        self._path = Path(path)
        given = [partition_cols] if isinstance(partition_cols, str) else list(partition_cols or ())
        self._hashes = {_hash_name(*one): one for one in given if not isinstance(one, str)}
        named = [one for one in given if isinstance(one, str)]
        self._partitions = [name.removeprefix("$") for name in named] + list(self._hashes)
        self._index = names_of(index_cols, "ParquetTarget", "index_cols") if index_cols is not None else []
        self._given_types = {} if columns is None or isinstance(columns, str) else _given_types(columns)
        self._types: dict[str, Any] | None = None  # of the columns; None before the folder was looked at
        self._missing: list[str] = []  # columns without any value so far
        names = _names(columns, [*named, *self._index])
        super().__init__(names, max_events, flush_after_seconds, time_field=time_field, context=context)
        is_file = self._path.suffix in FILES and not self._path.is_dir()
        if is_file and self._partitions:
            raise GraphError(
                f"ParquetTarget got partition_cols for {path}, which is one file; partitions need a folder."
            )
        self._file = _OneFile(self._path) if is_file else None
        if self._file is not None:
            weakref.finalize(self, self._file.close)

    def items(self, body: Any, event: Event | None) -> list[Row]:
        rows = super().items(body, event)
        if self._hashes:
            bodies = body if isinstance(body, list) else [body]
            for row, one in zip(rows, bodies, strict=True):
                row |= {name: _hash(one, *hashed) for name, hashed in self._hashes.items()}
        return rows

    def write(self, items: list[Row]) -> None:
        table = self._table(items)
        if self._file is not None:
            self._file.add(table)
            return
        parquet = package("pyarrow.parquet", "ParquetTarget", "pyarrow")
        parquet.write_to_dataset(
            table,
            self._path,
            partition_cols=self._partitions or None,
            # who reads a folder by its first file finds the one that was written first
            basename_template=f"{time.time_ns():020d}-{uuid.uuid4().hex}-{{i}}.parquet",
        )

    def beside(self, first: Any) -> None:
        super().beside(first)
        self._file = first._file  # whoever of them is released last leaves it whole

    def release(self) -> tuple[()]:
        self.flush()
        if self._file is not None:
            self._file.close()
        return ()

    def _table(self, items: list[Row]) -> Any:
        """The rows as a table; columns without any value are only noted, since their type is not known."""
        arrow = arrow_for("ParquetTarget")
        types = dict(self._types if self._types is not None else self._types_there())
        names = list(dict.fromkeys([*types, *self._missing, *union_of(items)]))  # all files have all columns
        columns = {name: column_of(name, [row.get(name) for row in items], types.get(name)) for name in names}
        types |= {
            name: column.type for name, column in columns.items() if column is not None and not is_open(column.type)
        }
        missing = [name for name, column in columns.items() if column is None]
        columns |= {name: arrow.nulls(len(items), arrow.string()) for name in missing if name in self._partitions}
        if len(missing) == len(columns) and missing:  # a file of no column would have no rows either
            columns[missing[0]] = arrow.nulls(len(items), arrow.string())
        partitions = {name: str(types[name]) for name in self._partitions if name in types}
        for name, kind in partitions.items():
            if kind not in TEXTS:
                raise GraphError(f'ParquetTarget, partition "{name}": {kind} has no form in the name of a folder.')
        table = arrow.table({name: column for name, column in columns.items() if column is not None})
        self._types, self._missing = types, [name for name in missing if name not in types]
        return table.replace_schema_metadata({**noted(partitions, self._missing), **self._index_metadata(table)})

    def _types_there(self) -> dict[str, Any]:
        """The types that were given, and those of the folder that is added to."""
        found = {}
        if self._file is None and any(self._path.rglob("*.parquet")):
            schema, _ = schema_of([self._path], "ParquetTarget")
            found = {field.name: field.type for field in schema if not is_open(field.type)}
        given = {name: type_named(name, kind) for name, kind in self._given_types.items()}
        return found | {name: kind for name, kind in given.items() if kind is not None}

    def _index_metadata(self, table: Any) -> dict[bytes, bytes]:
        """What pandas reads of which columns are its index."""
        if not self._index:
            return {}
        arrow = arrow_for("ParquetTarget")
        frame = table.schema.empty_table().to_pandas().set_index(self._index)
        return {b"pandas": arrow.Schema.from_pandas(frame, preserve_index=True).metadata[b"pandas"]}


class _OneFile:
    """A Parquet file that rows are added to; what is there is the file as it was until all of the new one is."""

    def __init__(self, path: Path) -> None:
        self._path, self._draft = path, path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        self._writer: Any = None
        self._has_begun = False

    def add(self, table: Any) -> None:
        """Add a table; where it has other columns than the file, the file is written anew with all of them."""
        if self._writer is None and not self._has_begun:
            self._open(table.schema)
        elif self._writer is None or not self._writer.schema.equals(table.schema, check_metadata=True):
            self.close()
            table = self._anew(table)
        self._writer.write_table(table)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            self._draft.replace(self._path)

    def _open(self, schema: Any) -> None:
        parquet = package("pyarrow.parquet", "ParquetTarget", "pyarrow")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._writer, self._has_begun = parquet.ParquetWriter(self._draft, schema), True

    def _anew(self, table: Any) -> Any:
        """Begin the next draft with what the file holds; the table in the form of both."""
        arrow = arrow_for("ParquetTarget")
        parquet = package("pyarrow.parquet", "ParquetTarget", "pyarrow")
        with parquet.ParquetFile(self._path) as file:
            both = arrow.unify_schemas([held(table.schema), held(file.schema_arrow)], promote_options="permissive")
            both = (both if len(both) else table.schema).with_metadata(table.schema.metadata)
            self._open(both)
            for number in range(file.num_row_groups):
                self._writer.write_table(_in_form(arrow, file.read_row_group(number), both))
        return _in_form(arrow, table, both)


def _in_form(arrow: Any, table: Any, schema: Any) -> Any:
    """The table with all columns of a schema; what it lacks is missing."""
    columns = [
        table[field.name].cast(field.type) if field.name in table.column_names else arrow.nulls(len(table), field.type)
        for field in schema
    ]
    return arrow.table(columns, schema=schema)


def _given_types(columns: Sequence[Column]) -> dict[str, Any]:
    """The types that columns are given with, by the names that they have in the file."""
    return {one[0].partition("=")[0].removeprefix("$"): one[1] for one in columns if not isinstance(one, str)}


def _names(columns: str | Sequence[Column] | None, more: list[str]) -> list[str] | None:
    """The names of the columns and of what else is written; all fields and the event's own where none are named."""
    if columns is None:
        own = [name for name in more if name.startswith("$")]
        return [WHOLE_BODY, *own] if own else None
    given = [columns] if isinstance(columns, str) else [one if isinstance(one, str) else one[0] for one in columns]
    named = {name.partition("=")[0].removeprefix("$") for name in given}
    return [*given, *(name for name in dict.fromkeys(more) if name.removeprefix("$") not in named)]


def _hash_name(fields: Names, number: int) -> str:
    return f"hash{number}_{'_'.join(names_of(fields, 'ParquetTarget', 'partition_cols'))}"


def _hash(body: Any, fields: Names, number: int) -> int:
    """Which of the partitions: the same in every process, unlike Python's own hash."""
    values = [str(body.get(name)) for name in names_of(fields, "ParquetTarget", "partition_cols")]
    return zlib.crc32("\0".join(values).encode()) % number
