"""Windows by key, against a plain re-computation of what the docstring of AggregateByKey says."""

from __future__ import annotations

import math
import statistics
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbgraph import Event, Graph, GraphError, StepError, steps
from nbgraph.steps import AggregateByKey, FieldAggregator, FixedWindows, SlidingWindows
from nbgraph.steps.windows.spec import OPERATIONS, duration
from nbgraph.testing import FakeClock

Body = dict[str, Any]
SLIDING = SlidingWindows(["20m", "1h", "6h"], "10m")
LONG = SlidingWindows(["1h", "7d"], "1h")
FIXED = FixedWindows(["1h", "1d"])
AGGREGATORS = [
    FieldAggregator("s", "x", OPERATIONS, SLIDING),
    FieldAggregator("l", "x", ["sum", "min", "max", "count", "last"], LONG),
    FieldAggregator("f", "x", OPERATIONS, FIXED),
    FieldAggregator("odd", lambda body: body["x"], ["sum", "avg"], FIXED, lambda body: body["kind"] == "odd", 50),
    FieldAggregator("all", None, ["count"], SLIDING),
]

OF_VALUES = {
    "count": lambda x: len(x),
    "sum": lambda x: x.sum(),
    "sqr": lambda x: (x * x).sum(),
    "avg": lambda x: x.mean(),
    "min": lambda x: x.min(),
    "max": lambda x: x.max(),
    "first": lambda x: x.iloc[0] if len(x) else math.nan,
    "last": lambda x: x.iloc[-1] if len(x) else math.nan,
    "stdvar": lambda x: x.var(),
    "stddev": lambda x: x.std(),
}


def recomputed(events: list[Body], aggregators: list[FieldAggregator], lateness: str | None) -> list[Body]:
    """Each event with its columns, worked out from all events before it with pandas."""
    frame = pd.DataFrame(events)
    answers = []
    for index, event in enumerate(events):
        seen = frame.iloc[: index + 1]
        seen = seen[seen["key"] == event["key"]]
        columns = {}
        for aggregator in aggregators:
            for spans in aggregator.spans():
                for window, buckets in spans.windows:
                    values = in_window(seen, aggregator, spans.period, buckets, lateness)
                    for operation in aggregator.aggr:
                        value = OF_VALUES[operation](values)
                        limit = aggregator.max_value
                        name = f"{aggregator.name}_{operation}_{window}"
                        columns[name] = limit if limit is not None and value > limit else value
        answers.append({**event, **{c: columns[c] for a in aggregators for c in a.columns()}})
    return answers


def in_window(
    seen: pd.DataFrame, aggregator: FieldAggregator, period: int, buckets: int, lateness: str | None
) -> pd.Series[Any]:
    number = seen["time"] // period
    allowed = duration(lateness) if lateness else max(map(duration, aggregator.windows.windows))
    behind = number.cummax() - number
    counts = behind <= math.ceil(allowed / period)
    if not counts.iloc[-1]:
        return pd.Series(dtype=float)
    within = counts & (number <= number.iloc[-1]) & (number > number.iloc[-1] - buckets)
    rows = seen[within].sort_values("time", kind="stable")
    if aggregator.aggr_filter is not None:
        rows = rows[rows["kind"] == "odd"]
    return rows["x"].dropna().astype(float) if aggregator.field is not None else rows["time"]


def same(one: Any, other: Any) -> bool:
    if isinstance(one, str):
        return bool(one == other)
    both_nan = one != one and other != other
    return both_nan or math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)


def assert_same(found: list[Body], expected: list[Body]) -> None:
    assert [list(body) for body in found] == [list(body) for body in expected]
    wrong = [
        (number, name, body[name], value)
        for number, (body, right) in enumerate(zip(found, expected, strict=True))
        for name, value in right.items()
        if not (value is None and body[name] is None) and not same(body[name], value)
    ]
    assert wrong == []


@st.composite
def histories(draw: st.DrawFn) -> list[Body]:
    """Events whose time mostly goes on, sometimes stands, jumps or comes late."""
    steps = st.one_of(
        st.integers(0, 900), st.integers(0, 4 * 3600), st.just(0), st.integers(-5 * 3600, 0), st.just(9 * 86400)
    )
    values = st.one_of(st.integers(-100, 100), st.floats(-1e6, 1e6), st.none(), st.just(math.nan))
    events: list[Body] = []
    time = 1_700_000_000
    for _ in range(draw(st.integers(1, 30))):
        time += draw(steps)
        kind = draw(st.sampled_from(["odd", "even"]))
        events.append({"key": draw(st.sampled_from("ab")), "time": time, "x": draw(values), "kind": kind})
    return events


@settings(max_examples=12, deadline=None)
@given(histories(), st.sampled_from([None, "30m", "3d"]))
def test_every_event_carries_what_pandas_computes_from_all_before_it(events: list[Body], lateness: str | None) -> None:
    graph = Graph("g")
    graph.to(AggregateByKey(AGGREGATORS, key="key", time_field="time", lateness=lateness))
    assert_same(list(graph.stream(events)), recomputed(events, AGGREGATORS, lateness))


@settings(max_examples=20, deadline=None)
@given(histories(), st.sampled_from([None, "30m"]), st.integers(0, 40), st.booleans())
def test_a_frame_gives_what_its_rows_give(events: list[Body], lateness: str | None, cut: int, is_ordered: bool) -> None:
    events = sorted(events, key=lambda body: int(body["time"])) if is_ordered else events
    graph, by_frame = Graph("rows"), Graph("frames")
    for each in (graph, by_frame):
        each.to(AggregateByKey(AGGREGATORS, key="key", time_field="time", lateness=lateness))
    frame = pd.DataFrame(events)
    parts = [part for part in (frame.iloc[:cut], frame.iloc[cut:]) if len(part)]
    answers = [row for part in parts for row in by_frame.run(part).to_dict("records")]
    assert_same(answers, list(graph.stream(frame)))


def test_frames_may_meet_inside_a_period_and_out_of_order() -> None:
    graph = Graph("g")
    graph.to(AggregateByKey([FieldAggregator("n", "x", ["first", "last"], FixedWindows(["1h"]))], "k", "t"))
    frames = [pd.DataFrame({"k": 1, "t": [t], "x": [x]}) for t, x in [(600, 1), (300, 2), (200, 3)]]
    answers = pd.concat(graph.stream(frames))
    assert answers[["n_first_1h", "n_last_1h"]].values.tolist() == [[1, 1], [2, 1], [3, 1]]


@pytest.mark.parametrize("times", [[1e300, 2e300], [-1e30, 1.0, 1e30], [2.0**70, 2.0**70]])
def test_times_that_no_calendar_has_are_the_same_in_frames(times: list[float]) -> None:
    events = [{"k": 1, "t": time, "v": 1} for time in times]
    by_event, by_frame = Graph("events"), Graph("frame")
    for graph in (by_event, by_frame):
        graph.to(AggregateByKey([FieldAggregator("x", "v", ["sum"], FIXED)], "k", "t"))
    assert list(by_event.stream(events)) == by_frame.run(pd.DataFrame(events)).to_dict("records")


def rate(emit_policy: Any = None, **more: Any) -> AggregateByKey:
    """The number of a sensor's readings in an hour, by ten minutes."""
    windows = more.pop("windows", SlidingWindows(["1h"], "10m"))
    return AggregateByKey([FieldAggregator("n", "x", ["count"], windows)], "key", "time", emit_policy, **more)


def readings(*times: tuple[str, str]) -> list[Body]:
    return [{"key": key, "time": f"2026-01-01T{time}", "x": 1} for key, time in times]


def counted(graph: Graph, events: Any) -> list[tuple[str, str, int]]:
    return [(body["key"], body["time"][11:16], body["n_count_1h"]) for body in graph.stream(events)]


HOURS = readings(("a", "10:05"), ("b", "10:10"), ("a", "10:55"), ("a", "11:05"), ("a", "12:20"))


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (
            steps.EveryEvent(),
            [("a", "10:05", 1), ("b", "10:10", 1), ("a", "10:55", 2), ("a", "11:05", 2), ("a", "12:20", 1)],
        ),
        (steps.AfterMaxEvent(2), [("a", "10:55", 2), ("a", "12:20", 1), ("b", "10:10", 1)]),
        ({"mode": "maxEvents", "maxEvents": 4}, [("a", "12:20", 1), ("b", "10:10", 1)]),
        (steps.AfterDelay(3600), [("a", "12:20", 1), ("b", "10:10", 1)]),
        (
            steps.AfterWindow(),
            [("a", "11:00", 2), ("b", "11:00", 1), ("a", "12:00", 1), ("a", "13:00", 1)],
        ),
    ],
)  # fmt: skip
def test_a_policy_tells_when_values_go_on(policy: Any, expected: list[tuple[str, str, int]]) -> None:
    graph = Graph("g")
    graph.to(rate(policy, windows=FixedWindows(["1h"])) if policy == steps.AfterWindow() else rate(policy))
    assert counted(graph, HOURS) == expected


def test_after_period_gives_every_key_until_its_windows_are_empty() -> None:
    graph = Graph("g")
    graph.to(rate(steps.AfterPeriod()))
    ends = [("a", f"10:{minute}", 1) for minute in (10, 20, 30, 40, 50)]
    assert counted(graph, readings(("a", "10:05"), ("a", "10:55"))) == [*ends, ("a", "11:00", 2)]


def test_late_events_count_within_the_delay() -> None:
    graph = Graph("g")
    graph.to(rate(steps.AfterWindow(delay_in_seconds=600), windows=FixedWindows(["1h"])))
    events = readings(("a", "10:05"), ("a", "11:05"), ("a", "10:59"), ("a", "11:10"))
    assert counted(graph, events) == [("a", "11:00", 2), ("a", "12:00", 2)]


def test_a_frame_under_a_policy_gives_the_rows_that_go_on() -> None:
    graph = Graph("g")
    graph.to(rate(steps.AfterMaxEvent(2)))
    frame = pd.DataFrame(readings(("a", "10:05"), ("a", "10:06"), ("a", "10:07")))
    first, rest = graph.stream([frame])
    assert (first["n_count_1h"].tolist(), rest["n_count_1h"]) == ([2], 3)


def test_after_a_time_of_waiting_the_last_event_goes_on() -> None:
    clock = FakeClock()
    step = AggregateByKey(
        [FieldAggregator("n", "x", ["count"], FixedWindows(["1h"]))], "key", "time", steps.AfterMaxEvent(3, 10),
        context=SimpleNamespace(clock=clock),
    )  # fmt: skip
    for body in readings(("a", "10:05"), ("a", "10:06")):
        assert step.do(Event(body)) == []
    due = step.due()
    clock.move(10)
    assert (due, [event.body["n_count_1h"] for event in step.overdue()], step.due()) == (10, [2], None)


def test_the_events_own_key_and_time_do_where_no_fields_are_named() -> None:
    graph = Graph("g")
    graph.to(AggregateByKey([FieldAggregator("n", "x", ["sum"], FixedWindows(["1h"]))]))
    events = [Event({"x": x}, key=key, time=datetime(2026, 1, 1, hour, tzinfo=UTC)) for x, key, hour in [
        (1, "a", 10), (2, "b", 10), (4, "a", 10), (8, "a", 11),
    ]]  # fmt: skip
    assert [body["n_sum_1h"] for body in graph.stream(events)] == [1, 2, 5, 8]


def test_keys_and_times_in_many_forms() -> None:
    graph = Graph("g")
    windows = FieldAggregator("n", "x", ["sum"], SlidingWindows(["1h"], "10m"))
    graph.to(AggregateByKey([windows], ["shop", "card"], lambda body: body["at"]["time"]))
    times = [
        "1970-01-01T02:00", datetime(1970, 1, 1, 2), datetime(1970, 1, 1, 2, tzinfo=UTC), 7200, 7200.5,
        pd.Timestamp("1970-01-01T02:00"), pd.Timestamp("1970-01-01T03:00+01:00"),
        pd.Timestamp(7200, unit="s").to_datetime64(),
    ]  # fmt: skip
    events = [{"shop": 1, "card": 2, "x": 1, "at": {"time": time}} for time in times]
    assert [body["n_sum_1h"] for body in graph.stream(events)] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_sums_keep_no_trace_of_what_has_left_the_window() -> None:
    graph = Graph("g")
    graph.to(
        AggregateByKey([FieldAggregator("n", "x", ["sum", "stddev"], SlidingWindows(["30m", "6h"], "1m"))], "k", "t")
    )
    values = [1e16, *[0.1] * 500]
    last = list(graph.stream([{"k": 1, "t": 60 * minute, "x": x} for minute, x in enumerate(values)]))[-1]
    assert (round(last["n_sum_30m"], 9), round(last["n_sum_6h"], 9), last["n_stddev_6h"] < 1e-9) == (3.0, 36.0, True)


def test_memory_is_plain_and_bounded() -> None:
    graph = Graph("g")
    graph.to(rate(), "rate")
    list(graph.stream([{"key": "a", "time": 600 * number, "x": 1} for number in range(2000)]))
    (series,) = graph.plan().steps["rate"].call.target.state["keys"]["a"]
    assert msgspec.json.decode(msgspec.json.encode(series)) == series
    assert max(len(part) for part in series if isinstance(part, list)) < 50


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: SlidingWindows(["1h"], "7m"), 'The period "7m" does not divide the window "1h"'),
        (lambda: FixedWindows(["1w"]), "'1w' is not a duration"),
        (lambda: FixedWindows([]), "expected a list of durations"),
        (lambda: FieldAggregator("n", "x", ["median"], FIXED), 'no operation "median"; known: count, sum'),
        (lambda: FieldAggregator("n", None, ["sum"], FIXED), "has no field, so it can only count"),
        (lambda: FieldAggregator("n", "x", ["sum"], "1h"), "expected FixedWindows"),
        (lambda: AggregateByKey([]), "expected a list of FieldAggregators"),
        (lambda: AggregateByKey([AGGREGATORS[0], AGGREGATORS[0]]), 'would write "s_count_20m" twice'),
        (lambda: rate("sometimes"), "expected one of EveryEvent, AfterMaxEvent"),
        (lambda: rate({"mode": "afterDelay", "wait": 3}), "has wait; known: delay"),
        (lambda: AggregateByKey([{"name": "n"}]), "a dict with name, column, operations, windows"),
        (
            lambda: AggregateByKey([{"name": "n", "aggr_filter": "event"}]),
            '"aggr_filter" in an aggregate; known',
        ),
    ],
)
def test_what_is_wrong_is_said_when_it_is_built(make: Any, says: str) -> None:
    with pytest.raises(GraphError) as caught:
        make()
    assert says in str(caught.value)


NUMBERS = st.one_of(
    st.integers(-9, 9),
    st.integers(-30, 30).map(lambda number: number / 4),
    st.integers(-30, 30).map(lambda number: Decimal(number) / 4),
    st.integers(-100, 100).map(np.int8),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 7200), NUMBERS), min_size=1, max_size=20),
    st.sampled_from([["sum"], ["sum", "sqr", "avg", "min", "max", "stdvar"]]),
)
def test_numbers_of_any_kinds_add_up(paid: list[tuple[int, Any]], operations: list[str]) -> None:
    """A Decimal and a float come to a float, in a bucket, between buckets and in what is made of them."""
    step = AggregateByKey(
        [FieldAggregator("x", "x", operations, SlidingWindows(["1h", "2h"], "10m"))], "k", "t", lateness="1d"
    )
    graph = Graph("g")
    graph.to(step)
    answers = list(graph.stream([{"k": 1, "t": time, "x": value} for time, value in paid]))
    for place, answer in enumerate(answers):
        for window, length in (("1h", 6), ("2h", 12)):
            end = paid[place][0] // 600
            values = [value for time, value in paid[: place + 1] if end - length < time // 600 <= end]
            total = answer[f"x_sum_{window}"]
            assert total == pytest.approx(sum(map(float, values)))
            assert (type(total) is float) == any(type(value) is float for value in values)
            if len(operations) > 1:
                plain = list(map(float, values))
                expected = [
                    sum(plain) / len(plain), sum(value * value for value in plain), max(plain),
                    statistics.variance(plain) if len(plain) > 1 else math.nan,
                ]  # fmt: skip
                found = [float(answer[f"x_{operation}_{window}"]) for operation in ("avg", "sqr", "max", "stdvar")]
                assert found == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("windows", [FixedWindows("1h"), SlidingWindows("1h", "10m")])
def test_one_text_is_one_operation_one_window_and_one_feature(windows: Any) -> None:
    table = steps.Table()
    writes, reads = Graph("writes"), Graph("reads")
    writes.to(AggregateByKey([FieldAggregator("x", "v", "sum", windows)], key="k", time_field="t", table=table))
    reads.to(steps.QueryByKey("x_sum_1h", table, key="k", time_field="t"))
    event = {"k": "a", "t": 0, "v": 2}
    assert (writes.run(dict(event))["x_sum_1h"], reads.run(dict(event))["x_sum_1h"]) == (2, 2)


def test_a_specs_texts_are_one_name_each() -> None:
    given = {"name": "x", "column": "v", "operations": "sum", "windows": "1h"}
    assert FieldAggregator.of(given).columns() == ["x_sum_1h"]


@pytest.mark.parametrize("policy", [None, steps.AfterMaxEvent(2)])
def test_a_body_without_its_key_says_what_it_has(policy: Any) -> None:
    graph = Graph("g")
    graph.to(rate(policy))
    with pytest.raises(StepError, match="takes 'time' from the body, which has key, x; correct key or time_field"):
        list(graph.stream([{"key": 1, "x": 2}]))


def test_a_value_that_is_no_number_leaves_no_trace() -> None:
    graph = Graph("g")
    graph.to(AggregateByKey([FieldAggregator("n", "x", ["count", "sum"], FIXED)], "key", "time"))
    answers = graph.stream([{"key": 1, "time": 0, "x": "?"}, {"key": 1, "time": 0, "x": 2}])
    with pytest.raises(StepError):
        next(answers)
    assert next(answers)["n_count_1h"] == 1
