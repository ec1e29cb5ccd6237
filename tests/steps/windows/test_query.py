"""Windows that are kept in a table: read by QueryByKey, taken up again by a restarted step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nbgraph import Graph, GraphError, StepError
from nbgraph.steps import (
    AggregateByKey,
    FieldAggregator,
    FixedWindows,
    QueryByKey,
    RedisDriver,
    SlidingWindows,
    SqliteDriver,
    Table,
)
from tests.steps.redis_server import redis_server

WINDOWS = [
    FieldAggregator("x", "x", ["sum", "min", "last", "stddev"], SlidingWindows(["1h", "6h"], "10m")),
    FieldAggregator("f", "x", ["count", "max"], FixedWindows(["1h"]), "event['x'] > 1"),
]
COLUMNS = [column for each in WINDOWS for column in each.columns()]
EVENTS = [{"key": key, "time": 7200 + 500 * number, "x": number} for number in range(30) for key in "ab"]


def keeping(table: Any) -> Graph:
    graph = Graph("keeping")
    graph.to(AggregateByKey(WINDOWS, "key", "time", table=table))
    return graph


def asking(table: Any, *features: str, **more: Any) -> Graph:
    graph = Graph("asking")
    graph.to(QueryByKey(features or COLUMNS, table, "key", "time", **more))
    return graph


@pytest.fixture(params=["memory", "sqlite", "rows"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    with Table(SqliteDriver(tmp_path / "windows.db") if request.param == "sqlite" else {}) as table:
        table["a"] = {"country": "PT"}
        yield table


def test_a_query_finds_what_the_last_event_had(table: Any) -> None:
    last = list(keeping(table).stream(EVENTS))[-2]
    assert asking(table).run({"key": "a", "time": last["time"]}) == {k: v for k, v in last.items() if k != "x"}


def test_a_restarted_step_goes_on_where_it_was(table: Any) -> None:
    whole = list(keeping({}).stream(EVENTS))
    parts = [list(keeping(table).stream(part)) for part in (EVENTS[:21], EVENTS[21:40])]
    rest = keeping(table).run(pd.DataFrame(EVENTS[40:])).to_dict("records")
    expected = pd.DataFrame(whole).reset_index(drop=True)
    pd.testing.assert_frame_equal(pd.DataFrame([*parts[0], *parts[1], *rest]), expected, check_dtype=False)


def test_other_fields_of_the_row_stay_and_can_be_asked_for(table: Any) -> None:
    list(keeping(table).stream(EVENTS))
    answer = asking(table, "country", "x_sum_1h", aliases={"x_sum_1h": "x"}).run({"key": "a", "time": 7200})
    assert answer == {"key": "a", "time": 7200, "country": "PT", "x": 1}


def test_windows_move_on_although_no_event_comes(table: Any) -> None:
    list(keeping(table).stream(EVENTS))
    end = EVENTS[-1]["time"]
    times = [end, end + 3000, end + 3600, end + 7200, end + 5 * 3600, end + 7 * 3600]
    answers = asking(table, "x_sum_1h", "x_sum_6h").run(pd.DataFrame({"key": "a", "time": times}))
    assert answers[["x_sum_1h", "x_sum_6h"]].values.tolist() == [
        [182, 435], [29, 435], [0, 435], [0, 434], [0, 182], [0, 0],
    ]  # fmt: skip


def test_the_fixed_window_that_closed_last(table: Any) -> None:
    list(keeping(table).stream(EVENTS))
    ask = {"key": "a", "time": 3600 * 3 + 5}
    found = [
        asking(table, "f_count_1h", "f_max_1h", fixed_window_type=each).run(ask) for each in ("current", "last_closed")
    ]
    assert [(answer["f_count_1h"], answer["f_max_1h"]) for answer in found] == [(7, 14), (6, 7)]


def test_a_key_that_is_not_there_has_empty_windows(table: Any) -> None:
    graph = asking(table, "x_sum_1h", "country")
    with pytest.raises(StepError, match=r'"x_sum_1h" of \'[?]\', and the table has no row "[$]windows"'):
        graph.run({"key": "?", "time": 0})  # nothing has been aggregated at all
    list(keeping(table).stream(EVENTS[:1]))
    assert graph.run({"key": "?", "time": 0}) == {"key": "?", "time": 0, "x_sum_1h": 0}


def test_windows_that_nobody_describes_are_not_left_out_in_silence(table: Any) -> None:
    list(keeping(table).stream(EVENTS))
    del table["$windows"]
    with pytest.raises(StepError, match="Run the graph whose AggregateByKey keeps them"):
        asking(table, "x_sum_1h").run(EVENTS[0])
    keeping(table).ready()
    assert asking(table, "x_sum_1h", "country").run(EVENTS[-2])["x_sum_1h"] == 182


def test_a_plain_field_that_is_named_as_a_windowed_value_is_that_field() -> None:
    assert asking({"a": {"x_sum_1h": 3}}, "x_sum_1h").run({"key": "a", "time": 0})["x_sum_1h"] == 3


def test_a_description_does_not_expire_before_its_windows() -> None:
    pytest.importorskip("redis")
    with redis_server() as url:
        kept = Table(RedisDriver(url, prefix="w:", expire_seconds=1))
        keeping(kept).run(EVENTS[2])
        keeping(kept).ready()
        ages = [kept.driver._open().ttl(f'w:"{key}"') for key in ("a", "$windows")]
        del kept["a"]  # as if its time had come
        keeping(kept).run(EVENTS[4])
        assert (ages, asking(kept, "x_sum_1h").run(EVENTS[4])["x_sum_1h"]) == ([1, -1], 2)
        kept.close()


def test_what_does_not_fit_the_table() -> None:
    table = Table()
    list(keeping(table).stream(EVENTS))
    other = Graph("other")
    other.to(AggregateByKey(WINDOWS[:1], "key", "time", table=table))
    with pytest.raises(GraphError, match="windows of other aggregates"):
        other.run(EVENTS[0])
    with pytest.raises(StepError, match='no "x_sum_2h"; it has: x_sum_1h, x_sum_6h'):
        asking(table, "x_sum_2h").run(EVENTS[0])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: QueryByKey([], {}), "expected a list"),
        (lambda: QueryByKey(["x_sum_1h"], {}, fixed_window_type="open"), "expected current or last_closed"),
    ],
)
def test_what_is_wrong_is_said_when_it_is_built(make: Any, says: str) -> None:
    with pytest.raises(GraphError, match=says):
        make()
