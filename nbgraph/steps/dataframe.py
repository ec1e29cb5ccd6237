"""Frame: a DataFrame of pandas or polars as a body, without loading either to find out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def is_arrow(source: Any) -> bool:
    """Whether a source is a table of Arrow."""
    kind = type(source)
    return kind.__name__ == "Table" and kind.__module__.partition(".")[0] == "pyarrow"


def rows_of_arrow(table: Any) -> Iterator[dict[str, Any]]:
    """The rows of a table of Arrow as dicts, some at a time.

    >>> import pyarrow
    >>> list(rows_of_arrow(pyarrow.table({"x": [1, 2]})))
    [{'x': 1}, {'x': 2}]
    """
    for batch in table.to_batches(max_chunksize=1000):
        yield from batch.to_pylist()


def is_frame(body: Any) -> bool:
    """Whether a body is a DataFrame of pandas or polars.

    >>> import pandas, polars
    >>> is_frame(pandas.DataFrame()), is_frame(polars.DataFrame()), is_frame({})
    (True, True, False)
    """
    kind = type(body)
    return kind.__name__ == "DataFrame" and kind.__module__.partition(".")[0] in ("pandas", "polars")


def is_polars(body: Any) -> bool:
    """Whether a body is a frame, or a column, of polars."""
    return type(body).__module__.startswith("polars")


def rows_of(frame: Any) -> list[dict[str, Any]]:
    """The rows as dicts."""
    rows: list[dict[str, Any]] = frame.to_dicts() if is_polars(frame) else frame.to_dict("records")
    return rows


def of_rows(rows: Sequence[dict[str, Any]], like: Any, *, index: Any = None) -> Any:
    """A frame of the rows, of the same library as another."""
    if is_polars(like):
        return type(like)(rows, infer_schema_length=None, strict=False)
    return type(like)(rows, index=index)


def in_pandas(frame: Any) -> Any:
    """A frame of polars as one of pandas; columns with gaps, or of other things than numbers, as objects."""
    import pandas as pd

    columns = {}
    for column in frame:
        kind = column.dtype
        is_plain = not column.null_count() and (kind.is_numeric() or str(kind) == "Boolean") and not kind.is_decimal()
        columns[column.name] = column.to_numpy() if is_plain else pd.Series(column.to_list(), dtype=object)
    return pd.DataFrame(columns)


def picked(frame: Any, columns: Mapping[str, str]) -> Any:
    """Some of the columns: by the names that they get, those that they have."""
    found = frame[list(columns.values())]
    found.columns = list(columns)
    return found


def with_columns(frame: Any, made: Any, names: Sequence[str]) -> Any:
    """A frame of polars with columns added that a frame of pandas has."""
    return frame.with_columns(type(frame)({name: made[name].tolist() for name in names}, strict=False))
