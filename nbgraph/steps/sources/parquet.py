"""ParquetSource: the rows of Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.steps.arguments import Names, names_of
from nbgraph.steps.formats.files import Paths, files_of
from nbgraph.steps.formats.parquet import schema_of
from nbgraph.steps.optional import package
from nbgraph.steps.sources.base import Field, Fields, Piece, RowSource
from nbgraph.values import moment_of

__all__ = ["ParquetSource"]


class ParquetSource(RowSource):
    """The rows of a Parquet file, or of a folder of them with its partitions (`year=2013/month=1`), each a dict.

    >>> import tempfile, pandas as pd
    >>> path = tempfile.mkdtemp() + "/flights.parquet"
    >>> pd.DataFrame({"carrier": ["UA", "DL"], "delay": [4, 0]}).to_parquet(path)
    >>> list(ParquetSource(path, filters=[("delay", ">", 0)]))
    [{'carrier': 'UA', 'delay': 4}]

    `paths` may hold `*`. All files have one schema, of types that hold the values of each. Only `columns` are read, and
    of a folder only the partitions that `filters` may find something in. `start_filter` and `end_filter` are times:
    only rows whose `filter_column` (else the `time_field`) is after the one, and not after the other, are read.

    Parameters
    ----------
    paths
        Path, pattern with `*`, or a list of them.
    columns
        Columns that are read; None: all.
    filters
        pyarrow's filters: `[("delay", ">", 0)]`.
    batch_size
        Rows or messages that are fetched at once.
    start_filter
        Time; only rows after it.
    end_filter
        Time; only rows not after it.
    filter_column
        Column of these times; None: `time_field`.
    """

    io = "files"

    def __init__(
        self,
        paths: Paths,
        columns: Names | None = None,
        filters: Any = None,
        key_field: Fields = None,
        time_field: Field | None = None,
        id_field: Field | None = None,
        batch_size: int = 1000,
        progress: bool = False,
        *,
        start_filter: Any = None,
        end_filter: Any = None,
        filter_column: str | None = None,
        bad_rows: str = "error",
    ) -> None:
        super().__init__(key_field, time_field, None, id_field, progress, bad_rows)
        self._paths = paths
        self._columns = names_of(columns, "ParquetSource", "columns") if columns is not None else None
        self._filters, self._batch_size = filters, batch_size
        self._start = moment_of(start_filter, "start_filter") if start_filter is not None else None
        self._end = moment_of(end_filter, "end_filter") if end_filter is not None else None
        self._known: list[tuple[Any, Any, Any]] = []  # files, with how they are read, once they were looked at
        self._filter_column = filter_column if filter_column is not None else time_field
        if (self._start or self._end) and self._filter_column is None:
            raise GraphError("ParquetSource got a start_filter or an end_filter; name the column: filter_column=...")

    def total(self) -> int:
        return sum(dataset.count_rows(filter=condition) for dataset, condition in self._datasets())

    def files(self) -> list[Path]:
        return [
            file
            for path in files_of("ParquetSource", self._paths)
            for file in (sorted(path.rglob("*.parquet")) if path.is_dir() else [path])
        ]

    def pieces(self, rows: int) -> Iterator[Piece] | None:
        return self._pieces(rows) if type(self) is ParquetSource else None

    def _pieces(self, rows: int) -> Iterator[Piece]:
        """Row groups, by the files' metadata alone: several where they are small, parts of one where it is big."""
        first = 0
        for place, (groups, condition) in enumerate(self._row_groups()):
            ids: list[int] = []
            held = 0
            for group, number in groups:
                if condition is None and number > rows:
                    if ids:
                        yield Piece(first, held, [place, ids, 0])
                        first, ids, held = first + held, [], 0
                    for skipped in range(0, number, rows):
                        taken = min(rows, number - skipped)
                        yield Piece(first, taken, [place, [group], skipped])
                        first += taken
                    continue
                if ids and held + number > rows:
                    yield Piece(first, held, [place, ids, 0])
                    first, ids, held = first + held, [], 0
                ids, held = [*ids, group], held + number
            if ids:
                yield Piece(first, held, [place, ids, 0])
                first += held

    def piece(self, piece: Piece) -> Iterator[tuple[Any, Any]]:
        return enumerate(self.rows_of(piece), piece.first + 1)

    def rows_of(self, piece: Piece) -> Iterator[Any]:
        place, ids, skipped = piece.place
        fragment, schema, condition = self._known[place] if self._known else self._look()[place]
        names = self._columns if self._columns is not None else schema.names
        number, end = -skipped, piece.rows
        for batch in fragment.subset(row_group_ids=ids).to_batches(
            schema=schema, columns=names, filter=condition, batch_size=self._batch_size
        ):
            low, high = max(0, -number), min(len(batch), end - number)
            if low < high:
                yield from batch.slice(low, high - low).to_pylist()
            number += len(batch)
            if number >= end:
                return

    def _look(self) -> list[tuple[Any, Any, Any]]:
        """The files of all datasets, each with the schema that it is read by; known from then on."""
        self._known = [
            (fragment, dataset.schema, condition)
            for dataset, condition in self._datasets()
            for fragment in dataset.get_fragments(filter=condition)
        ]
        return self._known

    def _row_groups(self) -> Iterator[tuple[list[tuple[int, int]], Any]]:
        """Of each file the row groups, and how many rows each gives; by what they are chosen."""
        for fragment, _, condition in self._look():
            groups = [
                (group.id, group.num_rows if condition is None else _matching(fragment, group.id, condition))
                for group in fragment.row_groups
            ]
            yield groups, condition

    def __getstate__(self) -> dict[str, Any]:
        """What was found in the files stays here: another process looks itself."""
        return {**vars(self), "_known": []}

    def rows(self) -> Iterator[dict[str, Any]]:
        for dataset, condition in self._datasets():
            names = self._columns if self._columns is not None else dataset.schema.names
            for batch in dataset.to_batches(columns=names, filter=condition, batch_size=self._batch_size):
                yield from batch.to_pylist()

    def _datasets(self) -> Iterator[tuple[Any, Any]]:
        arrow = package("pyarrow.dataset", "ParquetSource", "pyarrow")
        paths = files_of("ParquetSource", self._paths)
        schema, partitions = schema_of(paths, "ParquetSource")
        schema = _readable(schema)
        self._expect(schema.names, paths)
        condition = self._condition(schema)
        for path in paths:
            by_folder = arrow.partitioning(partitions, flavor="hive") if path.is_dir() and len(partitions) else None
            yield arrow.dataset(path, schema, format="parquet", partitioning=by_folder), condition

    def _expect(self, names: list[str], paths: list[Path]) -> None:
        where = str(paths[0]) if len(paths) == 1 else f"none of {len(paths)} files"
        self.expect(names, where, {"columns": self._columns or ()})
        self.expect(self._columns if self._columns is not None else names, "what is read of it")
        if self._start or self._end:
            self.expect(names, where, {"filter_column": [self._filter_column]})

    def _condition(self, schema: Any) -> Any:
        """All that rows are chosen by, as one expression."""
        parquet = package("pyarrow.parquet", "ParquetSource", "pyarrow")
        is_list = isinstance(self._filters, list) and self._filters
        found = parquet.filters_to_expression(self._filters) if is_list else self._filters or None
        for condition in self._of_times(schema):
            found = condition if found is None else found & condition
        return found

    def _of_times(self, schema: Any) -> Iterator[Any]:
        arrow = package("pyarrow.compute", "ParquetSource", "pyarrow")
        if self._start is not None:
            yield arrow.field(self._filter_column) > self._limit(schema, self._start)
        if self._end is not None:
            yield arrow.field(self._filter_column) <= self._limit(schema, self._end)

    def _limit(self, schema: Any, limit: datetime) -> Any:
        """A time as the column has them: a column without a zone is taken for UTC."""
        arrow = package("pyarrow", "ParquetSource")
        kind = schema.field(self._filter_column).type
        if not arrow.types.is_timestamp(kind):
            raise GraphError(
                f'ParquetSource filters by the time "{self._filter_column}", which is {kind}; expected a column of '
                "times, or filters=[...]."
            )
        return arrow.scalar(limit if kind.tz else limit.astimezone(UTC).replace(tzinfo=None), kind)


def _matching(fragment: Any, group: int, condition: Any) -> int:
    return int(fragment.subset(row_group_ids=[group]).count_rows(filter=condition))


def _readable(schema: Any) -> Any:
    """The schema with a type for columns that no file has a value of: any will do, but none can be read."""
    arrow = package("pyarrow", "ParquetSource")
    return arrow.schema(
        [field.with_type(arrow.string()) if arrow.types.is_null(field.type) else field for field in schema]
    )
