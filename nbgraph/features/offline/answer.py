"""Answer: a vector's features at past moments, beside the rows that were asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from nbgraph.errors import FeatureError
from nbgraph.features.offline.held import held, seen
from nbgraph.features.offline.kind import Frame, UnfitValue, moment, type_of
from nbgraph.features.offline.moments import PLACE, Moments, keys_as
from nbgraph.features.offline.windowed import windowed
from nbgraph.features.reference import ReferencePart

if TYPE_CHECKING:
    from nbgraph.features.vector import FeatureVector

Versions = Mapping[str, int]
NEWEST: Versions = {}


def offline(
    vector: FeatureVector, rows: Any, time: Any, before: bool, as_known: bool, versions: Versions,
    missing: Mapping[str, Any] | None,
) -> Any:  # fmt: skip
    """See `FeatureVector.offline`."""
    moments = Moments(rows)
    found = features(vector, moments, time, before=before, as_known=as_known, versions=versions)
    asked: dict[str, int | None] = {}
    if missing:
        from nbgraph.features.missing import filled_frame

        found, asked = filled_frame(found, vector, missing, versions)
    if vector.graph is not None:
        from nbgraph.features.derive import derived_frame

        return derived_frame(vector, moments, found)
    answer = moments.beside(found)
    if asked and hasattr(answer, "attrs"):
        answer.attrs["missing"] = asked
    return answer


def part_features(part: ReferencePart, moments: Moments, time: Any) -> dict[str, Any]:
    """The features of one set for one row."""
    asked = pl.DataFrame([pl.int_range(len(moments), eager=True).alias(PLACE), moments.moments(time)])
    keys = [moments.column(field) for field in part.fields]
    found: dict[str, Any] = _of_part(part, asked, keys, False, False, {}).row(0, named=True)
    return found


def features(
    vector: FeatureVector,
    moments: Moments,
    time: Any,
    *,
    before: bool,
    as_known: bool = False,
    versions: Versions = NEWEST,
) -> Frame:
    """The features alone, a row for each row that was asked for."""
    selection = vector.selection
    fields = moments.fields
    check_names(vector, fields)
    for field in selection.keys:
        if field not in fields:
            has = ", ".join(map(str, fields)) or "nothing"
            raise FeatureError(
                f'The vector "{vector.name}" finds its features by {", ".join(selection.keys)}, and the rows have no '
                f'"{field}"; they have: {has}.'
            )
    unknown = [name for name in versions if name.partition("@")[0] not in vector.names]
    if unknown:
        raise FeatureError(f'versions= names "{unknown[0]}"; the sets of "{vector.name}": {", ".join(vector.names)}.')
    at = moments.moments(time)
    asked = pl.DataFrame([pl.int_range(len(moments), eager=True).alias(PLACE), at])
    found = pl.DataFrame()
    for part in selection.parts:
        keys = [found[field] if field in found.columns else moments.column(field) for field in part.fields]
        made = _of_part(part, asked, keys, before, as_known, versions)
        found = pl.DataFrame([*found.get_columns(), *made.get_columns()])
    return found.select(selection.features)


def check_names(vector: FeatureVector, fields: list[str]) -> None:
    """A feature of the name of a field that is there would stand in its place in silence."""
    for name in vector.selection.features:
        if name in fields:
            raise FeatureError(
                f'The rows have a field "{name}", and the vector "{vector.name}" has a feature of that name; rename '
                f'the field, or the feature: "set.{name} as ...".'
            )


def _of_part(
    part: ReferencePart, asked: Frame, keys: list[Frame], before: bool, as_known: bool, versions: Versions
) -> Frame:
    """The features of one set, under their names in the vector."""
    set = part.set
    version = versions.get(set.name, versions.get(set.id))
    table = set.offline
    schema = table.schema(version)
    if not schema:
        raise FeatureError(f'The set "{set.name}" has no rows yet; ingest some: set.ingest(source).')
    as_keys = [keys_as(key, name, schema[name], set.name) for key, name in zip(keys, set.key, strict=True)]
    questions = asked.with_columns(as_keys)
    rows = seen(set, table.frame(version), before, as_known)
    found: list[Frame] = []
    if part.held:
        there = [feature for feature in part.held if feature in schema]
        found += held(set, rows, questions, there, as_known=as_known).get_columns()
        lacking = [feature for feature in part.held if feature not in schema]
        found += [pl.Series(name, [None] * asked.height, dtype=pl.Null) for name in lacking]
    if part.windows:
        found += windowed(set, rows, questions, as_known=as_known).select(part.windows).get_columns()
    return pl.DataFrame({part.names[column.name]: column for column in found})


def split(rows: Any, at: Any, time: str | None) -> tuple[Any, Any]:
    """See `FeatureVector.split`."""
    moments = Moments(rows)
    try:
        limit = moment(at)
    except UnfitValue as error:
        raise FeatureError(f"split got at={at!r}, which {error}") from None
    times = moments.moments(time).cast(type_of("time"))
    is_train = (times < limit).to_list()
    if hasattr(rows, "filter") and not hasattr(rows, "loc"):  # polars, Arrow
        mask: Any = pl.Series(is_train, dtype=pl.Boolean)
        if hasattr(rows, "column_names"):
            return rows.filter(mask.to_arrow()), rows.filter((~mask).to_arrow())
        return rows.filter(mask), rows.filter(~mask)
    if hasattr(rows, "loc"):
        import numpy as np

        chosen = np.array(is_train, bool)
        return rows[chosen], rows[~chosen]
    pairs = list(zip(rows, is_train, strict=True))
    return [row for row, is_before in pairs if is_before], [row for row, is_before in pairs if not is_before]


def save(vector: FeatureVector, path: Path, rows: Any, asked: Mapping[str, Any]) -> Path:
    """See `FeatureVector.save`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    versions = {
        part.set.name: part.set.offline.version() for part in vector.selection.parts
    } | dict(asked.get("versions") or {})  # fmt: skip
    whole = vector.offline(rows, **{**asked, "versions": versions})
    frame = Moments(whole)
    table = pa.table({name: frame.column(name).to_arrow() for name in frame.fields})
    told = {
        "vector": f"{vector.name}@{vector.version}", "versions": versions, "label": vector.label,
        "asked": {name: str(value) for name, value in asked.items() if name != "versions"},
    }  # fmt: skip
    metadata = {**(table.schema.metadata or {}), b"nbgraph": json.dumps(told).encode()}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata(metadata), path)
    return path
