"""Values in steps: a number, a time, a key is what it means, in events and in frames alike."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbgraph import Event, Graph, StepError
from nbgraph.steps import (
    AggregateByKey,
    Batch,
    DateExtractor,
    FieldAggregator,
    FixedWindows,
    JoinWithTable,
    MapWithState,
    Merge,
    Queue,
    ReifyMetadata,
    SampleWindow,
    SlidingWindows,
)
from nbgraph.streams.base import QueueSpec
from nbgraph.values import is_missing

Body = dict[str, Any]
Run = Callable[[Any, list[Body]], list[Body]]


def by_events(step: Any, rows: list[Body]) -> list[Body]:
    graph = Graph("events")
    graph.to(step)
    return list(graph.stream(rows))


def by_pandas(step: Any, rows: list[Body]) -> list[Body]:
    graph = Graph("frame")
    graph.to(step)
    return graph.run(pd.DataFrame(rows)).to_dict("records")  # type: ignore[no-any-return]


def hour(*operations: str, **more: Any) -> AggregateByKey:
    values = FieldAggregator("x", "v", operations, FixedWindows(["1h"]))
    return AggregateByKey([values], key="k", time_field="t", **more)


MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = [
    date(2026, 1, 1), "2026-01-01", "2026-01-01T00:00:00Z", datetime(2026, 1, 1), MIDNIGHT, MIDNIGHT.timestamp(),
    int(MIDNIGHT.timestamp()), Decimal(int(MIDNIGHT.timestamp())), np.int64(MIDNIGHT.timestamp()),
    pd.Timestamp("2026-01-01"), pd.Timestamp("2026-01-01T01:00", tz="Europe/Berlin"), np.datetime64("2026-01-01"),
    np.datetime64("2026-01-01T00", "ns"),
]  # fmt: skip


@pytest.mark.parametrize("run", [by_events, by_pandas])
def test_a_day_is_its_midnight_wherever_a_time_is_read(run: Run) -> None:
    rows = [{"k": 1, "t": time, "v": 1} for time in DAYS]
    assert [row["x_sum_1h"] for row in run(hour("sum"), rows)] == list(range(1, len(DAYS) + 1))
    step = DateExtractor(["year", "month", "day"], "t")
    parts = [(row["t_year"], row["t_month"], row["t_day"]) for row in run(step, rows)]
    assert parts == [(2026, 1, 1)] * len(DAYS)


@pytest.mark.parametrize("run", [by_events, by_pandas])
@pytest.mark.parametrize("time", [None, math.nan, pd.NaT, pd.NA, Decimal("NaN"), math.inf, "", "soon", True, [1]])
def test_a_time_that_is_none_is_named(run: Run, time: Any) -> None:
    with pytest.raises(StepError, match=r'The time "t" is .*; expected a datetime, a date'):
        run(hour("sum"), [{"k": 1, "t": time, "v": 1}])


def test_the_end_of_all_months() -> None:
    step = DateExtractor(["is_month_end", "is_year_end", "is_quarter_end"], "t")
    assert list(by_events(step, [{"t": date(9999, 12, 31)}])[0].values())[1:] == [True] * 3


# --- events and frames of all kinds of values, against plain Python ---

NUMBERS: dict[str, list[Any]] = {
    "floats": [
        *(np.dtype(kind).type(100) for kind in ("int8", "uint8", "int16", "int64", "float16", "float32", "longdouble")),
        1, -2, 0.5, True, False, np.bool_(True), Fraction(1, 4), 2**40, 1e6, np.array(7),
    ],
    "decimals": [Decimal("1.10"), Decimal("-3"), Decimal("0.25"), 7, np.int16(30000), True, np.uint8(200)],
    "infinite": [math.inf, -math.inf, np.float32("inf"), 1, 2.5, 1e200],
}  # fmt: skip
NOTHING = [None, math.nan, np.float32("nan"), pd.NaT, pd.NA, Decimal("NaN")]
KEYS: list[list[Any]] = [
    NOTHING,
    [7, 7.0, np.int64(7), Decimal(7)],
    ["7", np.str_("7")],
    [1, True, np.bool_(True), 1.0],
    [0.1, np.float64(0.1)],
    [("a", None), ("a", math.nan), ("a", pd.NA)],
]
OPERATIONS = ["count", "sum", "sqr", "avg", "min", "max", "first", "last", "stddev", "stdvar"]
PERIODS = {"1h": (3600, 1), "3h": (3600, 3)}


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Body], list[int]]:
    """Rows of many kinds of values, keys and times; and which key each of them has."""
    values = st.sampled_from(NUMBERS[draw(st.sampled_from(sorted(NUMBERS)))])
    rows, keys = [], []
    for _ in range(draw(st.integers(1, 12))):
        keys.append(draw(st.integers(0, len(KEYS) - 1)))
        seconds = draw(st.integers(0, 5 * 3600))
        written = draw(st.sampled_from([
            int, float, Decimal, Fraction, np.int32, np.float64, lambda at: datetime.fromtimestamp(at, UTC),
            lambda at: datetime.fromtimestamp(at, UTC).replace(tzinfo=None).isoformat(),
            lambda at: pd.Timestamp(at, unit="s"), lambda at: np.datetime64(at, "s"),
        ]))  # fmt: skip
        value = draw(st.one_of(values, values, values, st.sampled_from(NOTHING)))
        rows.append({"k": draw(st.sampled_from(KEYS[keys[-1]])), "t": written(seconds), "v": value, "at": seconds})
    return rows, keys


def plainly(rows: list[Body], keys: list[int]) -> list[Body]:
    """The columns of each row by the words of AggregateByKey's docstring, over floats."""
    found = []
    for index, row in enumerate(rows):
        columns = {}
        for window, (period, length) in PERIODS.items():
            newest = row["at"] // period
            seen = [
                (each["at"], as_float(each["v"]))
                for each, key in zip(rows[: index + 1], keys, strict=False)
                if key == keys[index] and newest - length < each["at"] // period <= newest
            ]
            known = sorted((one for one in seen if one[1] is not None), key=lambda one: one[0])
            of_window = computed([value for _, value in known])
            columns |= {f"x_{operation}_{window}": of_window[operation] for operation in OPERATIONS}
        found.append(columns)
    return found


def as_float(value: Any) -> float | None:
    if any(value is one for one in NOTHING):
        return None
    return float(value)


def computed(values: list[float]) -> dict[str, float]:
    mean = sum(values) / len(values) if values else math.nan
    spread = (
        sum((value - mean) * (value - mean) for value in values) / (len(values) - 1) if len(values) > 1 else math.nan
    )
    return {
        "count": len(values), "sum": sum(values), "sqr": sum(value * value for value in values), "avg": mean,
        "min": min(values, default=math.nan), "max": max(values, default=math.nan),
        "first": values[0] if values else math.nan, "last": values[-1] if values else math.nan,
        "stdvar": spread, "stddev": math.sqrt(spread),
    }  # fmt: skip


def of_window() -> AggregateByKey:
    windows = [FieldAggregator("x", "v", OPERATIONS, SlidingWindows([*PERIODS], "1h"))]
    return AggregateByKey(windows, key="k", time_field="t", lateness="1d")


def wrong_among(found: list[Body], expected: list[Body]) -> list[Any]:
    return [
        (place, name, row[name], value)
        for place, (row, right) in enumerate(zip(found, expected, strict=True))
        for name, value in right.items()
        if not (row[name] != row[name] and value != value)
        and not math.isclose(float(row[name]), value, rel_tol=1e-6, abs_tol=1e-6)
    ]


def foreign_among(found: list[Body]) -> list[Any]:
    """What is not Python's own number."""
    kinds = (int, float, bool, Decimal, Fraction)
    return [value for row in found for name, value in row.items() if name.startswith("x_") and type(value) not in kinds]


@settings(max_examples=60, deadline=None)
@given(histories(), st.integers(0, 12))
def test_events_and_frames_of_all_kinds_give_what_plain_python_gives(history: Any, cut: int) -> None:
    rows, keys = history
    expected = plainly(rows, keys)
    answers = by_events(of_window(), rows)
    assert (wrong_among(answers, expected), foreign_among(answers)) == ([], [])
    graph = Graph("frames")
    graph.to(of_window())
    parts = [pd.DataFrame(part, dtype=object) for part in (rows[:cut], rows[cut:]) if part]
    assert wrong_among([row for part in parts for row in graph.run(part).to_dict("records")], expected) == []


TYPES = ["int8", "uint8", "int16", "float16", "float32", "float64", "bool", "Int8", "Float32", "boolean", "object"]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("has_gaps", [False, True])
def test_a_column_of_any_type_gives_what_its_rows_give(kind: str, has_gaps: bool) -> None:
    has_gaps = has_gaps and (kind[0].isupper() or kind.startswith(("float", "obj")))  # others have none
    values = pd.Series([True, False, True] if kind.startswith("bool") else [100, 3, 100], dtype=kind)
    values[1] = (pd.NA if kind in ("Int8", "Float32", "boolean") else math.nan) if has_gaps else values[1]
    frame = pd.DataFrame({"k": 1, "t": [0, 1, 2], "v": values})
    rows: list[Body] = [{"k": 1, "t": place, "v": value, "at": place} for place, value in enumerate(values)]
    found = by_events(of_window(), [dict(row) for row in rows])
    expected = plainly([row | {"v": None if is_missing(row["v"]) else row["v"]} for row in rows], [1, 1, 1])
    graph = Graph("frame")
    graph.to(of_window())
    answers = [*found, *graph.run(frame).to_dict("records")]
    assert (wrong_among(answers, expected * 2), foreign_among(found)) == ([], [])


def test_small_types_do_not_overflow() -> None:
    rows = [{"k": 1, "t": place, "v": np.int8(100)} for place in range(3)]
    found = by_events(hour("sum", "sqr", "last"), rows)
    assert [(row["x_sum_1h"], row["x_sqr_1h"], type(row["x_last_1h"])) for row in found] == [
        (100, 10000, int), (200, 20000, int), (300, 30000, int),
    ]  # fmt: skip


def test_the_state_holds_pythons_own() -> None:
    step = hour("sum", "first", "stddev")
    for place in range(3):
        step.do({"k": np.int64(1), "t": np.int64(place), "v": np.float32(place)})
    held = [value for series in step.state["keys"][1] for value in series if not isinstance(value, list)]
    assert [type(value).__module__ for value in [*held, *step.state["keys"]]] == ["builtins"] * (len(held) + 1)


def test_decimals_have_a_deviation_of_their_kind() -> None:
    rows = [{"k": 1, "t": place, "v": Decimal(value)} for place, value in enumerate(("1.10", "1.30"))]
    found = by_events(hour("avg", "stdvar"), rows)[-1]
    assert (found["x_avg_1h"], found["x_stdvar_1h"]) == (Decimal("1.20"), Decimal("0.02"))
    assert by_events(hour("stddev"), rows)[-1]["x_stddev_1h"] == Decimal("0.02").sqrt()


@pytest.mark.parametrize("values", [[math.inf, 2.0], [2.0, math.inf], [math.inf, -math.inf]])
def test_nothing_is_told_of_how_infinite_values_deviate(values: list[float]) -> None:
    rows = [{"k": 1, "t": 3600 * place, "v": value} for place, value in enumerate(values)]
    apart = [row | {"t": 60 * place} for place, row in enumerate(rows)]
    found = [by_events(of_window(), each)[-1]["x_stddev_3h"] for each in (rows, apart)]
    assert [math.isnan(value) for value in found] == [True, True]


def test_a_limit_of_any_kind() -> None:
    for limit in (np.float32(5), Decimal(5), Fraction(5), 5):
        aggregator = FieldAggregator("x", "v", ["max"], FixedWindows(["1h"]), max_value=limit)  # type: ignore[arg-type]
        step = AggregateByKey([aggregator], key="k", time_field="t")
        assert by_events(step, [{"k": 1, "t": 0, "v": 9}])[0]["x_max_1h"] == 5


# --- keys ---


@pytest.mark.parametrize("keys", KEYS, ids=repr)
def test_equal_keys_have_one_state_in_every_step(keys: list[Any]) -> None:
    bodies = [{"k": keys[place % len(keys)], "i": place} for place in range(6)]
    events = [Event(body, key=body["k"]) for body in bodies]

    def numbered(body: Body, seen: int) -> tuple[int, int]:
        return seen, seen + 1

    assert [len(batch) for batch in by_events(Batch(6, key="k"), bodies)] == [6]
    assert [body["i"] for body in by_events(SampleWindow(3, key="k"), bodies)] == [0, 3]
    assert by_events(MapWithState(0, numbered, group_by_key=True), events) == [0, 1, 2, 3, 4, 5]
    assert by_events(Merge(key="k", expected_num_events=6), bodies) == [bodies]
    joined = by_events(JoinWithTable({keys[-1]: {"found": 1}}, "k"), bodies)
    assert [body.get("found") for body in joined] == [1] * 6
    assert len({QueueSpec("q", 64).shard_of(key) for key in keys}) == 1


def test_keys_are_what_they_were_behind_a_queue() -> None:
    def graph() -> Graph:
        made = Graph("g")
        queue = made.to(Queue("q", key="k", shards=4))
        queue.to(MapWithState(0, lambda body, seen: ({**body, "seen": seen}, seen + 1), group_by_key=True)).to(
            ReifyMetadata({"key": "key"})
        )
        return made

    keys = [key for keys in KEYS for key in keys if key is not pd.NaT]
    keys += [date(2026, 1, 1), b"x", Decimal("0.1"), (1, (2, date(2026, 1, 1))), datetime(2026, 1, 1)] * 2
    bodies = [{"k": key, "place": place} for place, key in enumerate(keys)]

    def found(**over: Any) -> list[Any]:
        answers = sorted(graph().stream(bodies, **over), key=lambda body: body["place"])
        return [(body["place"], body["seen"], type(body["key"]), body["key"]) for body in answers]

    assert found(streams="nats") == found()
