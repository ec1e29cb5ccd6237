"""ParquetTarget: rows into a folder of Parquet files."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path

from nbgraph.steps.context import StepContext
from nbgraph.steps.package import package
from nbgraph.steps.target import WHOLE_BODY, Row, RowTarget, union_of


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

    `partition_cols` may be fields and the event's own: `"$key"`, `"$year"`, `"$month"`, `"$day"`, `"$hour"`. Files are
    added to the folder; none is ever changed.
    """

    io = "files"

    def __init__(
        self,
        path: str | Path,
        columns: Sequence[str] | None = None,
        partition_cols: Sequence[str] | None = None,
        max_events: int = 10_000,
        flush_after_seconds: float | None = None,
        *,
        context: StepContext | None = None,
    ) -> None:
        partitions = list(partition_cols or ())
        self._partitions = [name.removeprefix("$") for name in partitions]
        if columns is not None:
            columns = list(dict.fromkeys([*columns, *partitions]))
        elif own := [name for name in partitions if name.startswith("$")]:
            columns = [WHOLE_BODY, *own]
        super().__init__(columns, max_events, flush_after_seconds, context=context)
        self._path = Path(path)

    def write(self, items: list[Row]) -> None:
        arrow = package("pyarrow", "ParquetTarget")
        parquet = package("pyarrow.parquet", "ParquetTarget", "pyarrow")
        table = arrow.table({name: [row.get(name) for row in items] for name in union_of(items)})
        parquet.write_to_dataset(
            table,
            self._path,
            partition_cols=self._partitions or None,
            basename_template=f"{uuid.uuid4().hex}-{{i}}.parquet",
        )
