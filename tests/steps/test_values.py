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
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbgraph import Event, Graph, GraphError, StepError, steps
from nbgraph.steps import (
    AfterMaxEvent,
    AfterWindow,
    AggregateByKey,
    Batch,
    DateExtractor,
    FieldAggregator,
    FixedWindows,
    Imputer,
    JoinWithTable,
    MapWithState,
    Merge,
    OneHotEncoder,
    QueryByKey,
    Queue,
    ReifyMetadata,
    SampleWindow,
    SlidingWindows,
    Table,
    TableTarget,
    Validate,
)  # fmt: skip
from nbgraph.steps.windows.emit import KINDS
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
    [("a", None), ("a", math.nan), ("a", pd.NA), ["a", None]],
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


@settings(max_examples=30, deadline=None)
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


def test_an_answer_stays_what_it_was_when_arrays_are_added_up() -> None:
    rows = [{"k": 1, "t": 0, "v": np.array([1, 2])} for _ in range(2)]
    assert [row["x_sum_1h"].tolist() for row in by_events(hour("sum"), rows)] == [[1, 2], [2, 4]]


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
    joined = by_events(JoinWithTable({keys[0]: {"found": 1}}, "k"), bodies)
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


# --- frames of polars ---


POLARS: dict[str, Any] = {
    "ints": pl.Series([3, None, 100], dtype=pl.Int8),
    "floats": pl.Series([1.5, math.nan, 2.5], dtype=pl.Float32),
    "decimals": pl.Series([Decimal("1.10"), Decimal("2.20"), None]),
    "bools": pl.Series([True, False, True]),
}


@pytest.mark.parametrize("values", POLARS.values(), ids=POLARS)
@pytest.mark.parametrize("more", [{}, {"emit_policy": AfterMaxEvent(2)}])
def test_a_frame_of_polars_gives_what_its_rows_give(values: pl.Series, more: Any) -> None:
    times = [datetime(2026, 1, 1, 0, minute, tzinfo=UTC) for minute in range(3)]
    frame = pl.DataFrame({"k": pl.Series([1, None, 1]), "t": times, "v": values})
    graph = Graph("frame")
    graph.to(hour("sum", "last", "stddev", **more))
    answer = next(iter(graph.stream([frame])))
    rows = answer.to_dicts()
    assert type(answer) is pl.DataFrame
    expected = by_events(hour("sum", "last", "stddev", **more), frame.to_dicts())[: len(rows)]
    assert wrong_among(rows, [{n: v for n, v in row.items() if n.startswith("x_")} for row in expected]) == []


def test_steps_of_features_take_frames_of_polars() -> None:
    frame = pl.DataFrame({"at": ["2026-11-23T09:30", None], "kind": ["a", "b"], "n": [1, None]})
    graph = Graph("g")
    graph.to(DateExtractor(["hour"], "at")).to(OneHotEncoder({"kind": ["a"]})).to(
        Imputer(mapping={"n": 0, "land": "PT"})
    ).to(Validate({"n": {"min": 1}}, "drop"))
    rows = [{"at": "2026-11-23T09:30", "kind_a": 1, "n": 1, "at_hour": 9, "land": "PT"}]
    assert graph.run(frame).to_dicts() == rows


# --- keys that never come again, other names ---


def days(*when: tuple[Any, float]) -> list[Body]:
    return [{"k": key, "t": day * 86400.0, "v": 1} for key, day in when]


def test_a_key_that_came_long_ago_is_forgotten() -> None:
    rows = days(("a", 0), ("b", 1), ("a", 3), ("b", 3.5), ("c", 20), ("a", 3.01), ("b", 20))
    step = FieldAggregator("x", "v", ["sum"], SlidingWindows(["2d"], "1d"))
    for run in (by_events, by_pandas):
        found = [
            [row["x_sum_2d"] for row in run(AggregateByKey([step], "k", "t", lateness="90d", expire=expire), rows)]
            for expire in (None, "2d")
        ]
        assert found == [[1, 1, 1, 1, 1, 2, 1], [1, 1, 1, 1, 1, 1, 1]]


def test_memory_holds_the_keys_of_the_time_that_is_asked_for() -> None:
    step = hour("sum", expire="1d")
    for number in range(5000):
        step.do({"k": number, "t": 600 * number, "v": 1})  # 144 keys a day
    assert len(step.state["keys"]) <= 2 * 150


@pytest.mark.parametrize("run", [by_events, by_pandas])
def test_names_and_fields_of_the_table(run: Run) -> None:
    table = Table({1: {"land": "PT", "other": 0}})
    step = hour("sum", "count", table=table, enrich_with=["land"], aliases={"x_sum_1h": "v", "land": "country"})
    rows = run(step, [{"k": 1, "t": place, "v": 2} for place in range(2)])
    added = [{"v": 2, "x_count_1h": 1, "country": "PT"}, {"v": 4, "x_count_1h": 2, "country": "PT"}]
    assert rows == [{"k": 1, "t": place, **more} for place, more in enumerate(added)]


@pytest.mark.parametrize("run", [by_events, by_pandas])
def test_times_as_they_are_written(run: Run) -> None:
    rows = run(hour("sum", time_format="%d/%m/%Y %H:%M"), [{"k": 1, "t": "15/02/2020 10:30", "v": 2}] * 2)
    assert [row["x_sum_1h"] for row in rows] == [2, 4]
    step = hour("sum", time_format="%d/%m/%Y %H:%M", emit_policy=AfterWindow())
    ends = by_events(step, [{"k": 1, "t": "15/02/2020 10:30", "v": 2}])
    assert ends == [{"k": 1, "t": "15/02/2020 11:00", "x_sum_1h": 2}]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: hour("sum", expire="30m"), 'its windows of "1h" need at least that'),
        (lambda: hour("sum", enrich_with=["land"]), "no table to take them from"),
        (lambda: hour("sum", aliases={"x_sum_2h": "s"}), 'an alias of "x_sum_2h" and adds only: x_sum_1h'),
        (lambda: hour("sum", "avg", aliases={"x_sum_1h": "s", "x_avg_1h": "s"}), 'would write "s" twice'),
        (lambda: OneHotEncoder({"x": ["a b", "a_b"]}), '\'a_b\' would be the field "x_a_b", as another'),
        (lambda: OneHotEncoder({"x": [1, "1"]}), '\'1\' would be the field "x_1", as another'),
        (lambda: OneHotEncoder({"x": ["y_a"], "x_y": ["a"]}), 'would make "x_y_a" of two fields'),
        (lambda: JoinWithTable({}, "k", join_function="f"), r"expected a function: \(body, fields\)"),
        (lambda: TableTarget({}, key=7), "expected a field's name"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_when_it_is_built(make: Any, says: str) -> None:
    with pytest.raises(GraphError, match=says):
        make()


@pytest.mark.parametrize("run", [by_events, by_pandas])
def test_a_field_named_like_one_that_is_made_is_an_error(run: Run) -> None:
    with pytest.raises(StepError, match='makes a field "x_a", and the body has one'):
        run(OneHotEncoder({"x": ["a"]}), [{"x": "a", "x_a": 7}])
    assert run(OneHotEncoder({"x": ["a"], "x_a": ["b"]}), [{"x": "a", "x_a": "b"}]) == [{"x_a": 1, "x_a_b": 1}]


# --- tables: a join of one's own, a target, a state that is closed ---


def test_a_join_of_ones_own() -> None:
    table = {"a": {"n": 1, "m": 2}}
    step = JoinWithTable(table, "k", ["n"], join_function=lambda body, fields: (body["k"], fields))
    assert by_events(step, [{"k": "a"}, {"k": "b"}]) == [("a", {"n": 1}), {"k": "b"}]
    plain = JoinWithTable({"a": 5}, "$key", inner_join=True, join_function=lambda body, row: body["v"] * row)
    assert by_events(plain, [Event({"v": 2}, key="a"), Event({"v": 2}, key="b")]) == [10]


@pytest.mark.parametrize("key", ["k", ["k", "l"]])
def test_a_join_without_its_key_says_what_there_is(key: Any) -> None:
    with pytest.raises(StepError, match='JoinWithTable takes its key from the field "k"; the body has a, b'):
        by_events(JoinWithTable({}, key), [{"a": 1, "b": 2}])


def test_bodies_are_added_to_the_rows_of_their_keys() -> None:
    table = Table({"a": {"land": "PT"}})
    events = [Event({"v": place, "k": "b"}, key="a") for place in range(3)]
    assert by_events(TableTarget(table, max_events=2), events) == [event.body for event in events]
    by_events(TableTarget(table, ["w=v", "id=$id"], ["k", "v"]), [Event({"k": 7.0, "v": 1}, id="e1")])
    assert dict(table) == {"a": {"land": "PT", "v": 2, "k": "b"}, (7, 1): {"w": 1, "id": "e1"}}
    with pytest.raises(StepError, match="TableTarget writes by the event's own key, and that is None"):
        by_events(TableTarget(table), [{"v": 1}])


class Closing:
    closed = 0

    def close(self) -> None:
        Closing.closed += 1


@pytest.mark.parametrize(("group_by_key", "expected"), [(False, 1), (True, 2)])
def test_a_state_that_can_be_closed_is(group_by_key: bool, expected: int) -> None:
    Closing.closed = 0
    step = MapWithState(Closing(), lambda body, state: (Closing.closed, state), group_by_key=group_by_key)
    assert by_events(step, [Event(1, key="a"), Event(2, key="b"), Event(3, key="a")]) == [0, 0, 0]
    assert Closing.closed == expected


def test_storeys_names_of_emit_policies() -> None:
    assert [getattr(steps, f"Emit{each.__name__}") for each in KINDS] == [*KINDS]
    step = hour("count", emit_policy=steps.EmitAfterMaxEvent(2))
    assert [row["x_count_1h"] for row in by_events(step, days(("a", 0), ("a", 0), ("a", 0)))] == [2, 3]


@pytest.mark.parametrize("run", [by_events, by_pandas])
@pytest.mark.parametrize(
    "step", [hour("sum"), hour("sum", table={}), QueryByKey(["land"], {}, "k", "t")], ids=["windows", "table", "query"]
)
def test_what_a_body_lacks_is_said(run: Run, step: Any) -> None:
    with pytest.raises(StepError, match="ByKey takes 'k' from the body, which has t, v; correct key or time_field"):
        run(step, [{"t": 0, "v": 1}])
