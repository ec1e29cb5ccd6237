"""Missing: what stands for a missing value, the same offline and online."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from nbgraph.errors import FeatureError
from nbgraph.values import is_missing

if TYPE_CHECKING:
    from nbgraph.features.set import FeatureSet
    from nbgraph.features.vector import FeatureVector

WORDS = {"$mean": "mean", "$median": "p50", "$min": "min", "$max": "max", "$mode": "top"}
READ = {"time": datetime.fromisoformat, "date": date.fromisoformat, "bytes": bytes.fromhex}
Versions = Mapping[str, int]


def stand_ins(
    vector: FeatureVector, missing: Mapping[str, Any], versions: Versions
) -> tuple[dict[str, Any], dict[str, int | None]]:
    """The value for each feature, and the versions of the sets whose statistics were asked."""
    places = {name: (part.set, feature) for part in vector.selection.parts for feature, name in part.names.items()}
    found: dict[str, Any] = {}
    asked: dict[str, int | None] = {}
    for name, value in missing.items():
        if name not in places:
            raise FeatureError(f'missing= names "{name}"; the features of "{vector.name}": {", ".join(places)}.')
        set, feature = places[name]
        if isinstance(value, str) and value.startswith("$"):
            version = versions.get(set.name, versions.get(set.id))
            asked[set.name] = set.offline.version() if version is None else version
            found[name] = _statistic(set, feature, value, asked[set.name], name)
        else:
            found[name] = value
    return found, asked


def _statistic(set: FeatureSet, feature: str, word: str, version: int | None, name: str) -> Any:
    from nbgraph.features.statistics import statistics

    if word not in WORDS:
        raise FeatureError(f'missing= has {word!r} for "{name}"; known are {", ".join(WORDS)}, or a value.')
    known = statistics(set, version).get(feature, {})
    value = known.get(WORDS[word])
    if value is None:
        raise FeatureError(
            f'missing= has {word!r} for "{name}", and version {version} of the set "{set.name}" has none of '
            f"{known.get('count', 0)} values of the kind {known.get('kind', 'none')}; give a value."
        )
    read = READ.get(known["kind"]) if word != "$mean" and word != "$median" else None
    return read(value) if read is not None else value


def filled(rows: Sequence[dict[str, Any]], vector: FeatureVector, missing: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of features with what stands for missing ones."""
    found, _ = stand_ins(vector, missing, {})
    return [
        {name: found[name] if name in found and is_missing(value) else value for name, value in row.items()}
        for row in rows
    ]


def filled_frame(
    frame: Any, vector: FeatureVector, missing: Mapping[str, Any], versions: Versions
) -> tuple[Any, dict[str, int | None]]:
    """The same for a frame of polars; and the versions whose statistics were asked."""
    import polars as pl

    found, asked = stand_ins(vector, missing, versions)
    for name, value in found.items():
        column = frame[name]
        if column.dtype.is_float():
            column = column.fill_nan(None)
        if column.dtype == pl.Null or (column.dtype.is_integer() and isinstance(value, float)):
            column = column.cast(pl.Series([value]).dtype)
        frame = frame.with_columns(column.fill_null(pl.lit(value)).alias(name))
    return frame, asked
