"""Windowed: the windows of a set at asked moments, by the code that AggregateByKey has for frames.

Events and questions stand in one order: by key, by the moment from which an event is seen, questions last. Where an
event arrived late (`as_known`), the order of what is seen is not that of the times; such keys have a copy of their
events for each question, which is then in the order of the times again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl

from nbgraph.features.offline.held import SEEN, TIME
from nbgraph.features.offline.kind import Frame
from nbgraph.features.offline.moments import MOMENT, PLACE
from nbgraph.features.offline.table import SEQUENCE, with_fields
from nbgraph.steps.windows.frame import Field, windows_at
from nbgraph.steps.windows.spec import duration

if TYPE_CHECKING:
    from nbgraph.features.set import FeatureSet

CODE = "_code"
Array = Any


def windowed(set: FeatureSet, rows: Frame, asked: Frame, *, as_known: bool) -> Frame:
    """The columns of all windows for each asked row, in its order; missing where a key is missing."""
    keys = list(set.key)
    things = asked.select(keys).drop_nulls().unique(maintain_order=True).with_row_index(CODE)
    questions = asked.join(things, on=keys, how="left", maintain_order="left").select(CODE, MOMENT, PLACE)
    questions = questions.drop_nulls(CODE).with_columns(pl.col(CODE).cast(pl.Int64))
    events = _events(set, rows, things, questions)
    if as_known:
        events, questions = _apart(set, events, questions)
    found = _at(set, events, questions)
    whole = asked.select(PLACE).join(found, on=PLACE, how="left", maintain_order="left")
    return whole.select(set.windows)


def _events(set: FeatureSet, rows: Frame, things: Frame, questions: Frame) -> Frame:
    """The events that any question can see in any window, by key, as they are seen."""
    if not questions.height:
        return rows.head(0).with_columns(pl.lit(0, pl.Int64).alias(CODE)).collect()
    until, since = questions[MOMENT].max(), questions[MOMENT].min() - _reach(set)
    near = rows.filter((pl.col(SEEN) <= until) & (pl.col(TIME) >= since))
    known = things.lazy().with_columns(pl.col(CODE).cast(pl.Int64))
    return near.join(known, on=list(set.key), how="inner").collect().sort([CODE, SEEN, TIME, SEQUENCE])


def _reach(set: FeatureSet) -> int:
    """How far back, in microseconds, a window can see from any moment."""
    longest = max(duration(window) for each in set.aggregates for window in each.windows.windows)
    return (longest + max(spans.period for each in set.aggregates for spans in each.spans())) * 1_000_000


def _apart(set: FeatureSet, events: Frame, questions: Frame) -> tuple[Frame, Frame]:
    """Keys whose events are not seen in the order of their times, questions between them: a copy for each question."""
    moments = questions.select(CODE, pl.col(MOMENT).alias(SEEN), pl.col(MOMENT).alias(TIME)).with_columns(is_asked=True)
    both = pl.concat([events.select(CODE, SEEN, TIME, SEQUENCE).with_columns(is_asked=False), moments], how="diagonal")
    both = both.sort([CODE, SEEN, "is_asked", TIME, SEQUENCE])
    back = pl.col(TIME).diff().over(CODE) < 0
    is_tied = (pl.col(TIME).diff().over(CODE) == 0) & (pl.col(SEQUENCE).diff().over(CODE) < 0)
    codes = pl.concat([both.filter(back)[CODE], events.filter(is_tied)[CODE]]).unique()
    if not len(codes):
        return events, questions
    is_late = pl.col(CODE).is_in(codes.implode())
    apart = questions.filter(is_late).with_columns((pl.int_range(pl.len()) + questions[CODE].max() + 1).alias("_own"))
    copies = apart.select(CODE, MOMENT, "_own").join(events, on=CODE).filter(pl.col(SEEN) <= pl.col(MOMENT))
    copies = copies.filter(pl.col(TIME) >= pl.col(MOMENT) - _reach(set)).with_columns(pl.col("_own").alias(CODE))
    copies = copies.select(events.columns).with_columns(pl.col(TIME).alias(SEEN)).sort([CODE, TIME, SEQUENCE])
    own = apart.with_columns(pl.col("_own").alias(CODE)).select(questions.columns)
    return pl.concat([events.filter(~is_late), copies]), pl.concat([questions.filter(~is_late), own])


def _at(set: FeatureSet, events: Frame, questions: Frame) -> Frame:
    """The columns for each question, in any order, with its place."""
    codes = np.concatenate((events[CODE].to_numpy(), questions[CODE].to_numpy()))
    seen = np.concatenate((events[SEEN].to_numpy(), questions[MOMENT].to_numpy()))
    is_question = np.repeat([False, True], [events.height, questions.height])
    order = np.lexsort((is_question, seen, codes))  # stable: events stay in their order
    times = np.concatenate((events[TIME].to_numpy(), questions[MOMENT].to_numpy()))[order] / 1e6
    aggregators = set.windowing.aggregators
    bodies: list[dict[str, Any]] | None = None
    if any(callable(each.field) or each.aggr_filter is not None for each in aggregators):
        bodies = with_fields(set, events.select(pl.exclude(SEEN, TIME, CODE))).to_dicts()
    fields = [_field(each.field, each.aggr_filter, events, bodies) for each in aggregators]
    found = windows_at(aggregators, set.windowing.layouts, fields, order, codes[order], times)
    places = questions[PLACE].to_numpy()[order[order >= events.height] - events.height]
    made = {name: _column(name, values) for name, values in found.items()}
    return pl.DataFrame({PLACE: places, **made}, schema_overrides={PLACE: questions[PLACE].dtype})


def _column(name: str, values: Array) -> Frame:
    if values.dtype != object:
        return pl.Series(name, values)
    return pl.from_pandas(pd.Series(values, name=name).infer_objects())


def _field(field: Any, is_wanted: Any, events: Frame, bodies: list[dict[str, Any]] | None) -> Field:
    """What an aggregator sees of each event, and whether it counts."""
    if callable(field):
        values = pd.Series([field(body) for body in bodies or ()])
        found, valid = values, values.notna().to_numpy()
    elif field is None:
        found, valid = pd.Series(np.ones(events.height, np.int64)), np.ones(events.height, bool)
    elif field not in events.columns:
        found, valid = pd.Series(np.zeros(events.height)), np.zeros(events.height, bool)
    else:
        column = events[field]
        valid = column.is_not_null().to_numpy()
        is_number = column.dtype.is_numeric() or column.dtype == pl.Boolean
        plain = column.fill_null(0 if column.dtype.is_numeric() else False).to_numpy() if is_number else None
        found = pd.Series(plain) if plain is not None else pd.Series(column.to_list(), dtype=object)
    if is_wanted is not None:
        pairs = zip(valid.tolist(), bodies or (), strict=True)
        valid = np.array([counts and bool(is_wanted(body)) for counts, body in pairs], bool)
    return Field(found, valid)
