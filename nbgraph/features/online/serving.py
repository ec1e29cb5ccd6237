"""Serving: a vector's features from the online rows, without a library of frames."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from time import time_ns
from typing import TYPE_CHECKING, Any

from nbgraph.errors import FeatureError
from nbgraph.features.online.record import Line, Readable, Record, Windowing, newest
from nbgraph.features.reference import FeatureSelection, ReferencePart
from nbgraph.steps.tables.codec import key_text
from nbgraph.values import is_missing, moment_of, normal_key

if TYPE_CHECKING:
    from nbgraph.features.vector import FeatureVector

Row = dict[str, Any]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
PYTHON: dict[str | None, type] = {"int": int, "text": str, "bool": bool, "float": float, "bytes": bytes}


def online(vector: FeatureVector, rows: Any, time: Any, before: bool, missing: Mapping[str, Any] | None) -> Any:
    """See `FeatureVector.online`."""
    is_one = isinstance(rows, Mapping)
    bodies = [rows] if is_one else list(rows)
    store = vector.store
    selection = store.selection(vector)
    for part in selection.parts:
        store.recover(part.set)
    found = features(vector.name, selection, store.online, bodies, _moments(bodies, time), before)
    if missing:
        from nbgraph.features.missing import filled

        found = filled(found, vector, missing)
    if vector.graph is not None:
        from nbgraph.features.derive import derived

        found = [derived(vector, body, row) for body, row in zip(bodies, found, strict=True)]
    return found[0] if is_one else found


def moment_in(body: Mapping[str, Any], time: Any) -> int:
    """The moment that is asked for, in microseconds: of a field, given, or now."""
    if time is None:
        return time_ns() // 1000
    value = body[time] if isinstance(time, str) and time in body else time
    try:
        return (moment_of(value, time if isinstance(time, str) else None) - EPOCH) // MICROSECOND
    except ValueError as error:
        raise FeatureError(str(error)) from None


def _moments(bodies: Sequence[Mapping[str, Any]], time: Any) -> list[int]:
    """The moment of each row; the same for all is read once."""
    if isinstance(time, str) and any(time in body for body in bodies):
        return [moment_in(body, time) for body in bodies]
    return [moment_in({}, time)] * len(bodies)


def features(
    vector: str, selection: FeatureSelection, store: Readable, bodies: Sequence[Mapping[str, Any]],
    moments: Sequence[int], before: bool,
) -> list[Row]:  # fmt: skip
    """The features of each row, in the vector's order; each set is read once for all rows."""
    found: list[Row] = [{} for _ in bodies]
    for body in bodies:
        _check(vector, selection.names, selection.keys, body)
    for part in selection.parts:
        keys = [_key(part, body, row) for body, row in zip(bodies, found, strict=True)]
        known = [key for key in dict.fromkeys(keys) if key is not None]
        stored = dict(zip(known, store.read(part.id, known), strict=True)) if known else {}
        for row, key, moment in zip(found, keys, moments, strict=True):
            row.update(_none(part) if key is None else values(part, *stored[key], moment, before))
    if len(selection.parts) == 1 and not selection.parts[0].windows:
        return found  # in the order of its features already
    return [{name: row[name] for name in selection.features} for row in found]


def record_of(windowing: Windowing, stored: bytes | None, waiting: Sequence[Line]) -> Record:
    """The record of a key, with the rows that are not offline yet at its end."""
    record = Record.unpacked(stored)
    if waiting:
        windowing.grow(record, waiting, tail=len(record.tail) + len(waiting))
    return record


def _check(vector: str, features: frozenset[str], keys: Sequence[str], body: Mapping[str, Any]) -> None:
    for key in keys:
        if key not in body:
            has = ", ".join(map(str, body)) or "nothing"
            raise FeatureError(
                f'The vector "{vector}" finds its features by {", ".join(keys)}, and a row has no "{key}"; it '
                f"has: {has}."
            )
    if features.isdisjoint(body):
        return
    for name in features:
        if name in body:
            raise FeatureError(
                f'A row has a field "{name}", and the vector "{vector}" has a feature of that name; rename the '
                f'field, or the feature: "set.{name} as ...".'
            )


def _key(part: ReferencePart, body: Mapping[str, Any], found: Row) -> str | None:
    """The text of a row's key; None where a part of it is missing."""
    values = [found[field] if field in found else body.get(field) for field in part.fields]
    for value, kind, name in zip(values, part.kinds, part.set.key, strict=True):
        if type(value) is not PYTHON.get(kind) or value != value:
            if is_missing(value):
                return None
            _check_kind(value, name, kind, part.set.name)
    return key_text(values[0] if len(values) == 1 else tuple(values))


def _check_kind(value: Any, name: str, kind: str | None, set: str) -> None:
    if kind not in PYTHON:
        return
    plain = normal_key(value)
    fits = type(plain) is PYTHON[kind] or (kind in ("int", "float") and type(plain) in (int, float))
    if not fits:
        word = next((word for word, own in PYTHON.items() if type(plain) is own), type(plain).__name__)
        raise FeatureError(f'key "{name}": rows have {word}, the set "{set}" has {kind}')


def _none(part: ReferencePart) -> Row:
    return {**{part.names[name]: None for name in part.held}, **{part.names[name]: math.nan for name in part.windows}}


def values(part: ReferencePart, stored: bytes | None, waiting: Sequence[Line], moment: int, before: bool) -> Row:
    """The features of one key at a moment."""
    set, names = part.set, part.names
    if stored is not None and not waiting and not part.windows:
        line = newest(stored, moment - 1 if before else moment)
        if line is not None:
            time, row = line
            if set.lifetime is not None and moment - time > set.lifetime:
                row = {}
            return {names[name]: row.get(name) for name in part.held}
    return _values(part, record_of(part.windowing, stored, waiting), moment, before)


def _values(part: ReferencePart, record: Record, moment: int, before: bool) -> Row:
    found: Row = {}
    windowing, set, names = part.windowing, part.set, part.names
    if part.held:
        known = windowing.held(record, moment, before, set.name)
        is_fresh = known is not None and (set.lifetime is None or moment - known[0] <= set.lifetime)
        row = known[1] if known is not None and is_fresh else {}
        for name in part.held:
            found[names[name]] = row.get(name)
    if part.windows:
        columns = windowing.values(record, moment, before, set.name)
        for name in part.windows:
            found[names[name]] = columns[name]
    return found
