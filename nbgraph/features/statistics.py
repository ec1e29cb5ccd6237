"""Statistics: what values the features of a set have in one of its versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbgraph.errors import FeatureError

if TYPE_CHECKING:
    from nbgraph.features.set import FeatureSet

COLUMNS = ("kind", "count", "missing", "distinct", "min", "max", "mean", "std", "p50", "p99", "top")
NUMBERS = ("int", "float", "bool")


def statistics_frame(set: FeatureSet, version: int | None) -> Any:
    """See `FeatureSet.stats`."""
    import pandas as pd

    found = statistics(set, version)
    rows = [{"feature": name, **each} for name, each in found.items()]
    return pd.DataFrame(rows, columns=["feature", *COLUMNS]).set_index("feature")


def statistics(set: FeatureSet, version: int | None) -> dict[str, dict[str, Any]]:
    """Of each feature its numbers; those of windows are of their values at the moment of every row."""
    at = set.offline.version() if version is None else version
    if at is None:
        raise FeatureError(f'The set "{set.name}" has no rows yet; ingest some: set.ingest(source).')
    known: dict[str, dict[str, Any]] | None = set.store.statistics(set, at)
    if known is None:
        known = _counted(set, at)
        set.store.keep_statistics(set, at, known)
    return known


def _counted(set: FeatureSet, version: int) -> dict[str, dict[str, Any]]:
    import polars as pl

    from nbgraph.features.offline.held import seen
    from nbgraph.features.offline.moments import MOMENT, PLACE
    from nbgraph.features.offline.windowed import windowed

    rows = set.offline.frame(version)
    schema = rows.collect_schema().names()
    found = rows.select([name for name in set.held if name in schema]).collect()
    if set.aggregates:
        asked = rows.select(*set.key, pl.col(str(set.time)).dt.epoch("us").alias(MOMENT)).collect()
        asked = asked.with_columns(pl.int_range(pl.len()).alias(PLACE))
        windows = windowed(set, seen(set, rows, before=False, as_known=False), asked, as_known=False)
        found = pl.DataFrame([*found.get_columns(), *windows.get_columns()])
    return {column.name: _of(column) for column in found.get_columns()}


def _of(column: Any) -> dict[str, Any]:
    """The numbers of one column, as plain data."""
    from nbgraph.features.offline.kind import kind_of

    kind = kind_of(column.dtype) or "none"
    values = (column.fill_nan(None) if column.dtype.is_float() else column).drop_nulls()
    found: dict[str, Any] = dict.fromkeys(COLUMNS)
    found |= {"kind": kind, "count": len(values), "missing": len(column) - len(values)}
    if not len(values) or kind.startswith("list"):
        return found
    found |= {"distinct": values.n_unique(), "top": _plain(values.mode().sort()[0])}
    if kind != "bytes":
        found |= {"min": _plain(values.min()), "max": _plain(values.max())}
    if kind in NUMBERS:
        numbers = values.cast(float)
        found |= {
            "mean": numbers.mean(), "std": numbers.std(), "p50": numbers.median(),
            "p99": numbers.quantile(0.99, interpolation="linear"),
        }  # fmt: skip
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if hasattr(value, "isoformat") else value
