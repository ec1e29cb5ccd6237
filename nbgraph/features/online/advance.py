"""Advance: the online records of a set made to contain a newer offline version, all of it or none."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

import polars as pl

from nbgraph.errors import FeatureError
from nbgraph.features.offline.kind import Frame, rows_in
from nbgraph.features.offline.table import OWN, SEQUENCE, with_fields
from nbgraph.features.online.record import ALWAYS, NOTHING, TAIL, Advance, KeyMetadata, Line, OnlineStore, Record
from nbgraph.steps.tables.codec import key_text

if TYPE_CHECKING:
    from nbgraph.features.set import FeatureSet

TRIES = 40


def advance(set: FeatureSet, online: OnlineStore) -> KeyMetadata | None:
    """Take the rows in that were written since; what the records contain then."""
    for _ in range(TRIES):
        was = online.about(set.id)
        offline = set.offline
        if offline.version() is None:
            return was
        clear = was is None or offline.deleted_after(was.version)
        since = offline.since(0 if clear or was is None else was.sequence)
        if was is not None and since.version == was.version:
            return was
        about = KeyMetadata(since.version, since.last, offline.schema(since.version))
        arrived = [
            batch for batch in online.batches(set.id) if since.holds(batch)
        ]  # asked behind the version: none slips
        records = dict(grown(set, since.rows.collect(), None if clear else online))
        if online.advance(set.id, was, Advance(about, records, clear, arrived)):
            return about
    raise FeatureError(f'The online rows of the set "{set.name}" were written to by others {TRIES} times; try again.')


def grown(set: FeatureSet, rows: Frame, online: OnlineStore | None) -> Iterator[tuple[str, bytes]]:
    """The records of the keys that rows are of, with these rows taken in, by the texts of their keys."""
    windowing, tail = set.windowing, TAIL if set.time is not None else 0
    found = {key_text(key): lines for key, lines in lines_by_key(set, rows)}
    stored = online.read(set.id, [*found]) if online is not None else [NOTHING] * len(found)
    for (text, lines), (known, _) in zip(found.items(), stored, strict=True):
        record = Record.unpacked(known)
        windowing.grow(record, lines, tail)
        yield text, windowing.packed(record)


def keyed_lines(set: FeatureSet) -> dict[str, list[Line]]:
    """All rows of a set by the texts of their keys, by time and then as they were written."""
    return {key_text(key): lines for key, lines in lines_by_key(set, set.offline.frame().collect(), is_whole=True)}


def lines_by_key(set: FeatureSet, rows: Frame, *, is_whole: bool = False) -> Iterator[tuple[Any, list[Line]]]:
    """For each key its rows, by time and then as they were written; if not whole, those that a record can need."""
    keys = list(set.key)
    moment = pl.lit(ALWAYS).alias("_time") if set.time is None else pl.col(set.time).dt.epoch("us").alias("_time")
    ordered = rows.with_columns(moment).sort([*keys, "_time", SEQUENCE])
    if not set.aggregates and not is_whole:
        ordered = ordered.group_by(keys, maintain_order=True).tail(TAIL + 1)
    ordered = with_fields(set, ordered)
    fields = row_fields(set, ordered.columns)
    key_rows = ordered.select(keys).iter_rows()
    places = ordered.select("_time", SEQUENCE).iter_rows()
    bodies = rows_in(ordered.select(fields)) if fields else ({} for _ in range(ordered.height))
    whole = zip(key_rows, places, bodies, strict=True)
    for key, group in groupby(whole, lambda each: each[0]):
        yield key[0] if len(key) == 1 else key, [(time, sequence, body) for _, (time, sequence), body in group]


def row_fields(set: FeatureSet, columns: list[str]) -> list[str]:
    """The fields that a record keeps of a row: what is held, and what windows ask for."""
    there = [name for name in columns if name not in OWN]
    if any(callable(each.field) or each.aggr_filter is not None for each in set.aggregates):
        return there
    asked = {each.field for each in set.aggregates if isinstance(each.field, str)}
    places = {*set.key, set.time, set.arrival}
    held = {*there} - places if set.features is None else {*set.features}
    return [name for name in there if name in held | asked]
