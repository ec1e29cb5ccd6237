"""Explanation: the rows that made a key's values at a moment, and the debugger over its events up to then."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nbgraph.errors import FeatureError
from nbgraph.event import Event
from nbgraph.features.definition import windows_graph
from nbgraph.graph.graph import Graph
from nbgraph.steps.windows.aggregate import AggregateByKey
from nbgraph.steps.windows.spec import FieldAggregator, Spans, duration
from nbgraph.values import counted, normal_key, seconds_of

if TYPE_CHECKING:
    from nbgraph.debug.debugger import Debugger
    from nbgraph.features.set import FeatureSet

Row = dict[str, Any]
WINDOWS = "windows"


def pipeline(set: FeatureSet) -> Graph:
    """See `FeatureSet.pipeline`."""
    if set.graph is None or not set.graph.steps:
        return windows_graph(set.name, set.aggregates, set.key, set.time) if set.aggregates else Graph(set.name)
    whole = copy.copy(set.graph)
    if set.aggregates:
        leaving = {edge.source for edge in whole.edges if edge.kind == "flow"}
        caught = {edge.target for edge in whole.edges if edge.kind == "error"}
        ends = [step.name for step in whole.steps if step.name not in leaving | caught]
        keys: Any = set.key[0] if len(set.key) == 1 else list(set.key)
        windows = AggregateByKey(set.aggregates, key=keys, time_field=set.time)
        whole.add_step(windows, WINDOWS, after=ends)
    return whole


def explain(set: FeatureSet, time: Any, key: Mapping[str, Any]) -> Any:
    """See `FeatureSet.explain`."""
    import pandas as pd

    from nbgraph.features.offline.moments import Moments

    moment = _moment(time)
    rows = _rows_of_key(set, key, moment)
    found = [_held(set, name, rows, moment) for name in set.held]
    for each in set.windowing.aggregators:
        for spans in each.spans():
            for window, buckets in spans.windows:
                found += _windowed(set, each, spans, window, buckets, rows, moment)
    answer = _values(set, Moments([{**key, "time": _datetime(moment)}]))
    lines = [{**line, "value": answer[line["feature"]]} for line in found]
    return pd.DataFrame(lines, columns=["feature", "value", "row_time", "written", "why"])


def _values(set: FeatureSet, moments: Any) -> Row:
    from nbgraph.features.offline.answer import part_features
    from nbgraph.features.reference import ReferencePart

    part = ReferencePart(set, set.key, {name: name for name in set.columns})
    return part_features(part, moments, "time")


def _rows_of_key(set: FeatureSet, key: Mapping[str, Any], until: int) -> list[Row]:
    """The stored rows of a key up to a moment, in the order of time, with what the store knows of them."""
    import polars as pl

    from nbgraph.features.offline.held import TIME, seen
    from nbgraph.features.offline.moments import keys_as
    from nbgraph.features.offline.table import SEQUENCE

    if sorted(key) != sorted(set.key):
        raise FeatureError(
            f'The set "{set.name}" has the key {", ".join(set.key)}; give {", ".join(f"{k}=..." for k in set.key)}.'
        )
    rows = seen(set, set.offline.frame(), before=False, as_known=False).filter(pl.col(TIME) <= until)
    for name in set.key:
        wanted = keys_as(pl.Series(name, [key[name]]), name, set.schema[name], set.name)[0]
        rows = rows.filter(pl.col(name) == wanted)
    return rows.sort([TIME, SEQUENCE]).collect().to_dicts()  # type: ignore[no-any-return]


def _held(set: FeatureSet, name: str, rows: list[Row], moment: int) -> Row:
    if not rows:
        return {"feature": name, "row_time": None, "written": None, "why": "no row up to then"}
    row = rows[-1]
    is_old = set.lifetime is not None and moment - row["_time"] > set.lifetime
    since: Any = row[set.time] if set.time else row["_written"]
    why = f"older than ttl {set.ttl}" if is_old else f"held since {since.isoformat()}"
    return {"feature": name, "row_time": row.get(str(set.time)), "written": row["_written"], "why": why}


def _windowed(
    set: FeatureSet, each: FieldAggregator, spans: Spans, window: str, buckets: int, rows: list[Row], moment: int
) -> list[Row]:
    """A line for each row that counts in a window, for each of its operations; one line where none does."""
    last = moment // 1_000_000 // spans.period
    inside = [row for row in rows if last - buckets < row["_time"] // 1_000_000 // spans.period <= last]
    counting = [row for row in inside if _counts(each, row)]
    lines = []
    for operation in each.aggr:
        name = f"{each.name}_{operation}_{window}"
        why = f"in window {window}"
        lines += [
            {"feature": name, "row_time": row[str(set.time)], "written": row["_written"], "why": why}
            for row in counting
        ]
        if not counting:
            lines.append({"feature": name, "row_time": None, "written": None, "why": f"no row in window {window}"})
    return lines


def _counts(each: FieldAggregator, row: Row) -> bool:
    body = {name: value for name, value in row.items() if not name.startswith("_")}
    if each.field is not None:
        value = each.field(body) if callable(each.field) else body.get(each.field)
        if counted(value) is None:
            return False
    return not callable(each.aggr_filter) or bool(each.aggr_filter(body))


def debug(set: FeatureSet, time: Any, key: Mapping[str, Any], source: Any) -> Debugger:
    """See `FeatureSet.debug`."""
    moment = _moment(time)
    graph = pipeline(set)
    if not graph.steps:
        raise FeatureError(f'The set "{set.name}" has neither steps nor windows, so there is nothing to step through.')
    events = _stored_events(set, key, moment) if source is None else _given_events(set, key, moment, source)
    if not events:
        raise FeatureError(f'The set "{set.name}" has no event of {dict(key)!r} up to {_datetime(moment).isoformat()}.')
    debugger = graph.debug(events)
    while debugger.current is not None and debugger.current.event_id != events[-1].id:
        debugger.next()
    return debugger


def _stored_events(set: FeatureSet, key: Mapping[str, Any], moment: int) -> list[Event]:
    if set.graph is not None and set.graph.steps:
        raise FeatureError(
            f'The graph of the set "{set.name}" has steps, and the store has what they made: give the events as they '
            "came, source=..., as to ingest."
        )
    return [
        Event({name: value for name, value in row.items() if not name.startswith("_")})
        for row in _rows_of_key(set, key, moment)
        if row["_time"] > moment - _reach(set)
    ]


def _reach(set: FeatureSet) -> float:
    """How far back, in microseconds, events are looked at: as far as any window sees, and as much again."""
    longest = [duration(window) for each in set.aggregates for window in each.windows.windows]
    return max(longest, default=86_400) * 2_000_000


def _given_events(set: FeatureSet, key: Mapping[str, Any], moment: int, source: Any) -> list[Event]:
    """The events of a source that end as rows of a key up to a moment, by those rows' times."""
    from nbgraph.features.offline.rows import rows_of

    wanted = {name: normal_key(value) for name, value in key.items()}
    found: list[tuple[float, int, Event]] = []
    for number, given in enumerate(rows_of(source).events()):
        event = given if isinstance(given, Event) else Event(given)
        body = event.body
        if any(name in body and normal_key(body[name]) != value for name, value in wanted.items()):
            continue
        for answer in _answers(set, body):
            seconds = seconds_of(answer[str(set.time)]) if set.time else 0
            is_of_key = all(normal_key(answer.get(name)) == value for name, value in wanted.items())
            if is_of_key and moment - _reach(set) < seconds * 1e6 <= moment:
                found.append((seconds, number, event))
                break
    return [event for _, _, event in sorted(found, key=lambda each: each[:2])]


def _answers(set: FeatureSet, body: Any) -> list[Any]:
    if set.graph is None or not set.graph.steps:
        return [body]
    return list(set.graph.answers(copy.deepcopy(body)))


def _moment(time: Any) -> int:
    from nbgraph.features.online.serving import moment_in

    return moment_in({}, time)


def _datetime(moment: int) -> Any:
    from datetime import UTC, datetime, timedelta

    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)
