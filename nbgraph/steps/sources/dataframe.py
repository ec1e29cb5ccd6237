"""DataFrameSource: the rows of DataFrames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nbgraph.errors import GraphError
from nbgraph.steps.formats.files import missing
from nbgraph.steps.sources.base import Field, Fields, RowSource

__all__ = ["DataFrameSource"]

AT_A_TIME = 1000  # rows that become dicts together


class DataFrameSource(RowSource):
    """The rows of one or more DataFrames (pandas or polars), each a dict; named indexes are columns.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"carrier": ["UA", "DL"], "delay": [4, 0]})
    >>> [(event.key, event.body) for event in DataFrameSource(frame, key_field="carrier")]
    [('UA', {'carrier': 'UA', 'delay': 4}), ('DL', {'carrier': 'DL', 'delay': 0})]

    Parameters
    ----------
    dfs
        A DataFrame of pandas or polars, or a list of them.
    """

    def __init__(
        self,
        dfs: Any,
        key_field: Fields = None,
        id_field: Field | None = None,
        time_field: Field | None = None,
        timestamp_format: str | None = None,
        progress: bool = False,
        *,
        bad_rows: str = "error",
    ) -> None:
        super().__init__(key_field, time_field, timestamp_format, id_field, progress, bad_rows)
        self._frames = list(dfs) if isinstance(dfs, Sequence) and not isinstance(dfs, str) else [dfs]
        for frame in self._frames:
            if type(frame).__name__ != "DataFrame":
                raise _no_frame(frame)

    def total(self) -> int:
        return sum(len(frame) for frame in self._frames)

    def rows(self) -> Iterator[dict[str, Any]]:
        for number, frame in enumerate(self._frames):
            self.expect(columns_of(frame), "the DataFrame" if len(self._frames) == 1 else f"DataFrame {number}")
            yield from rows_of_frame(frame)


def rows_of_frame(frame: Any) -> Iterator[dict[str, Any]]:
    """The rows of a DataFrame (pandas or polars) as dicts; named indexes are columns.

    >>> import pandas as pd
    >>> list(rows_of_frame(pd.DataFrame({"id": [7], "v": [1]}).set_index("id")))
    [{'id': 7, 'v': 1}]
    """
    if _is_polars(frame):
        yield from frame.iter_rows(named=True)
        return
    levels = _named_levels(frame)
    for start in range(0, len(frame), AT_A_TIME):
        part = frame.iloc[start : start + AT_A_TIME]
        yield from (part.reset_index(levels) if levels else part).to_dict("records")


def columns_of(frame: Any) -> list[Any]:
    """The names that its rows have."""
    return list(frame.columns) if _is_polars(frame) else [*_named_levels(frame), *frame.columns]


def _named_levels(frame: Any) -> list[Any]:
    """The levels of its index that have names, and so are columns; every name must be there once."""
    levels = [name for name in frame.index.names if name is not None]
    own = [name for name in levels if name not in frame.columns or not _is_the_same(frame, name)]
    names = [*own, *frame.columns]
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice is not None:
        raise GraphError(f'Two columns of the DataFrame are named "{twice}"; give each a name of its own.')
    return own


def _is_the_same(frame: Any, name: Any) -> bool:
    """Whether the index repeats the column, as `set_index(..., drop=False)` leaves it."""
    column = frame[name]
    return column.ndim == 1 and list(frame.index.get_level_values(name)) == list(column)


def _is_polars(frame: Any) -> bool:
    return type(frame).__module__.startswith("polars")


def _no_frame(given: Any) -> GraphError:
    if isinstance(given, str | Path):
        path = Path(given)
        if not path.exists():
            return missing("DataFrameSource", path)
        return GraphError(
            f"DataFrameSource got the file {path}; expected DataFrames. CSVSource, ParquetSource read files."
        )
    return GraphError(f"DataFrameSource got a {type(given).__name__}; expected a DataFrame or a list of them.")
