"""ParquetSource: the rows of Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nbgraph.steps.files import files_of
from nbgraph.steps.package import package
from nbgraph.steps.source import Fields, Row, RowSource


class ParquetSource(RowSource):
    """The rows of a Parquet file, or of a folder of them with its partitions (`year=2013/month=1`), each a dict.

    >>> import tempfile, pandas as pd
    >>> path = tempfile.mkdtemp() + "/flights.parquet"
    >>> pd.DataFrame({"carrier": ["UA", "DL"], "delay": [4, 0]}).to_parquet(path)
    >>> list(ParquetSource(path, filters=[("delay", ">", 0)]))
    [{'carrier': 'UA', 'delay': 4}]

    Only `columns` are read, and of a folder only the partitions that `filters` may find something in.
    """

    io = "files"

    def __init__(
        self,
        paths: str | Path | Sequence[str | Path],
        columns: Sequence[str] | None = None,
        filters: Any = None,
        key_field: Fields = None,
        time_field: str | None = None,
        id_field: str | None = None,
        batch_size: int = 1000,
        progress: bool = False,
    ) -> None:
        super().__init__(key_field, time_field, None, id_field, progress)
        self._paths = [paths] if isinstance(paths, str | Path) else list(paths)
        self._columns = list(columns) if columns is not None else None
        self._filters, self._batch_size = filters, batch_size

    def total(self) -> int:
        return sum(dataset.count_rows(filter=condition) for dataset, condition in self._datasets())

    def rows(self) -> Iterator[Row]:
        for dataset, condition in self._datasets():
            for batch in dataset.to_batches(columns=self._columns, filter=condition, batch_size=self._batch_size):
                yield from batch.to_pylist()

    def _datasets(self) -> Iterator[tuple[Any, Any]]:
        arrow = package("pyarrow.dataset", "ParquetSource", "pyarrow")
        parquet = package("pyarrow.parquet", "ParquetSource", "pyarrow")
        is_list = isinstance(self._filters, list)
        condition = parquet.filters_to_expression(self._filters) if is_list else self._filters
        for path in files_of("ParquetSource", self._paths):
            yield arrow.dataset(path, format="parquet", partitioning="hive"), condition
