"""DataFrameSource: the rows of DataFrames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from nbgraph.steps.source import Fields, Row, RowSource

AT_A_TIME = 1000  # rows that become dicts together


class DataFrameSource(RowSource):
    """The rows of one or more DataFrames (pandas or polars), each a dict.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"carrier": ["UA", "DL"], "delay": [4, 0]})
    >>> [(event.key, event.body) for event in DataFrameSource(frame, key_field="carrier")]
    [('UA', {'carrier': 'UA', 'delay': 4}), ('DL', {'carrier': 'DL', 'delay': 0})]
    """

    def __init__(
        self,
        dfs: Any,
        key_field: Fields = None,
        id_field: str | None = None,
        time_field: str | None = None,
        timestamp_format: str | None = None,
        progress: bool = False,
    ) -> None:
        super().__init__(key_field, time_field, timestamp_format, id_field, progress)
        self._frames = list(dfs) if isinstance(dfs, Sequence) else [dfs]

    def total(self) -> int:
        return sum(len(frame) for frame in self._frames)

    def rows(self) -> Iterator[Row]:
        for frame in self._frames:
            if type(frame).__module__.startswith("polars"):
                yield from frame.iter_rows(named=True)
                continue
            for start in range(0, len(frame), AT_A_TIME):
                yield from frame.iloc[start : start + AT_A_TIME].to_dict("records")
