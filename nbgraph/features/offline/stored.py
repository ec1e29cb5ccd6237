"""Stored: the rows of a set as they are in its table: read, listed by version, deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from nbgraph.errors import FeatureError
from nbgraph.features.offline.kind import UnfitValue, column, moment
from nbgraph.features.offline.table import OWN, SEQUENCE
from nbgraph.steps.arguments import Names, names_of

if TYPE_CHECKING:
    from nbgraph.features.set import FeatureSet


def stored_frame(set: FeatureSet, columns: Names | None, start: Any, end: Any, version: int | None) -> Any:
    """See `FeatureSet.frame`."""
    rows = set.offline.frame(version)
    schema = [name for name in rows.collect_schema().names() if name not in OWN]
    wanted = schema if columns is None else names_of(columns, f'The set "{set.name}"', "columns")
    for name in wanted:
        if name not in schema:
            raise FeatureError(f'The set "{set.name}" has no column "{name}"; its columns: {", ".join(schema)}.')
    if (start is not None or end is not None) and set.time is None:
        raise FeatureError(f'The set "{set.name}" has no time, so start= and end= mean nothing; leave them out.')
    if start is not None:
        rows = rows.filter(pl.col(str(set.time)) >= _moment(start, "start"))
    if end is not None:
        rows = rows.filter(pl.col(str(set.time)) < _moment(end, "end"))
    return rows.sort(SEQUENCE).select(wanted).collect().to_pandas()


def _moment(value: Any, argument: str) -> Any:
    try:
        return moment(value)
    except UnfitValue as error:
        raise FeatureError(f"{argument}={value!r} {error}") from None


def history_frame(set: FeatureSet) -> Any:
    """See `FeatureSet.history`."""
    import pandas as pd

    rows = [
        {
            "version": each["version"],
            "id": each.get("id", each.get("action", "")),
            "rows": each.get("rows", 0),
            "time": pd.Timestamp(each["time"], unit="ms", tz="UTC"),
            "source": each.get("source", ""),
            "changes": "; ".join(each.get("changes", [])),
        }
        for each in set.offline.history()
    ]
    return pd.DataFrame(rows, columns=["version", "id", "rows", "time", "source", "changes"])


def delete(set: FeatureSet, key: Any, before: Any) -> int:
    """See `FeatureSet.delete`."""
    condition = " AND ".join(_conditions(set, key, before))
    with set.store.writing(set):
        count, _ = set.offline.delete(condition, {"action": "delete", "rows": 0})
        set.store.changed(set)
        set.store.advance(set)
    return count


def _conditions(set: FeatureSet, key: Any, before: Any) -> list[str]:
    """SQL that holds for the rows of a key."""
    values = key if isinstance(key, Mapping) else dict(zip(set.key, [key] if len(set.key) == 1 else key, strict=False))
    if sorted(values) != sorted(set.key):
        raise FeatureError(
            f'delete got {key!r}; the set "{set.name}" has the key {", ".join(set.key)}: give all of it.'
        )
    schema = set.schema
    found = []
    for name in set.key:
        made, wrong = column(name, [values[name]], schema.get(name))
        if wrong or made[0] is None:
            raise FeatureError(f'delete got {values[name]!r} for "{name}", which holds {schema.get(name)}.')
        found.append(f"{_quoted(name)} = {_literal(made[0], schema[name])}")
    if before is not None:
        if set.time is None:
            raise FeatureError(f'The set "{set.name}" has no time, so before= means nothing; leave it out.')
        found.append(f"{_quoted(set.time)} < {_literal(_moment(before, 'before'), 'time')}")
    return found


def _literal(value: Any, kind: str) -> str:
    """A value as SQL has it."""
    if kind == "text":
        return "'" + str(value).replace("'", "''") + "'"
    if kind == "time":
        return f"arrow_cast('{value.isoformat()}', 'Timestamp(Microsecond, Some(\"UTC\"))')"
    if kind == "date":
        return f"arrow_cast('{value.isoformat()}', 'Date32')"
    if kind == "bytes":
        return f"X'{value.hex()}'"
    return "true" if value is True else "false" if value is False else repr(value)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
