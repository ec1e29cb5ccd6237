"""Targets of rows: CSV, Parquet, SQL; when they write, and what happens when that fails."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nbgraph import Event, Graph, GraphError, StepError, steps
from tests.steps.operators.test_batch import HandClock

ROWS = [{"carrier": "UA", "delay": 4}, {"carrier": "DL", "delay": 0}]


def run(target: Any, source: Any) -> list[Any]:
    graph = Graph("g")
    graph.to(target, "target")
    return list(graph.stream(source))


def test_csv_is_written_event_by_event(tmp_path: Path) -> None:
    path = tmp_path / "new" / "delays.csv"
    graph = Graph("g")
    graph.to(steps.CSVTarget(path))
    seen = [graph.run(row) and path.read_text() for row in ROWS]
    assert seen == ["carrier,delay\nUA,4\n", "carrier,delay\nUA,4\nDL,0\n"]


def test_csv_goes_on_after_the_stream(tmp_path: Path) -> None:
    path = tmp_path / "delays.csv"
    path.write_text("old\n")
    graph = Graph("g")
    graph.to(steps.CSVTarget(path, max_events=10))
    assert [*graph.stream(ROWS), *graph.stream(ROWS[:1])] == [*ROWS, ROWS[0]]
    assert path.read_text() == "carrier,delay\nUA,4\nDL,0\nUA,4\n"


def test_csv_appends_to_a_file_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "delays.csv"
    path.write_text("carrier,delay\nAA,1\n")
    run(steps.CSVTarget(path, append=True), ROWS[:1])
    assert path.read_text() == "carrier,delay\nAA,1\nUA,4\n"


def test_columns_come_from_the_body_and_the_event(tmp_path: Path) -> None:
    path = tmp_path / "delays.csv"
    event = Event(ROWS[0], key="k", time=datetime(2013, 1, 2, tzinfo=UTC))
    columns = ["minutes=delay", "$key", "at=$time", "$day", "gone"]
    run(steps.CSVTarget(path, columns, header=False), [event])
    assert path.read_text() == "4,k,2013-01-02 00:00:00+00:00,2,\n"


def test_a_column_that_the_file_has_not(tmp_path: Path) -> None:
    graph = Graph("g")
    graph.to(steps.CSVTarget(tmp_path / "a.csv"))
    graph.run({"a": 1})
    with pytest.raises(StepError, match='CSVTarget has no column "b"'):
        graph.run({"a": 1, "b": 2})
    assert graph.run({"a": 3}) == {"a": 3}
    assert (tmp_path / "a.csv").read_text() == "a\n1\n3\n"


def test_bodies_that_are_no_rows(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="CSVTarget writes bodies that are dicts, and got a int: 7"):
        run(steps.CSVTarget(tmp_path / "a.csv"), [7])


def test_a_batch_is_many_rows(tmp_path: Path) -> None:
    run(steps.CSVTarget(tmp_path / "a.csv"), [ROWS])
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 3


def test_parquet_in_partitions(tmp_path: Path) -> None:
    days = [datetime(2013, 1, day, tzinfo=UTC) for day in (1, 1, 2)]
    events = [Event({"n": number}, key="k", time=day) for number, day in enumerate(days)]
    target = steps.ParquetTarget(tmp_path / "out", partition_cols=["$year", "$day"], max_events=2)
    run(target, events)
    assert sorted(str(path.parent.relative_to(tmp_path)) for path in tmp_path.rglob("*.parquet")) == [
        "out/year=2013/day=1",
        "out/year=2013/day=2",
    ]
    assert [row["n"] for row in steps.ParquetSource(tmp_path / "out", filters=[("day", "=", 1)])] == [0, 1]


def test_parquet_with_columns(tmp_path: Path) -> None:
    run(steps.ParquetTarget(tmp_path / "out", ["delay"], ["carrier"]), [*ROWS, {"carrier": "UA", "more": 1}])
    frame = pd.read_parquet(tmp_path / "out").sort_values("delay")
    assert frame["delay"].tolist()[:2] == [0.0, 4.0]
    assert set(frame.columns) == {"carrier", "delay"}


def test_sql_keeps_one_row_a_key(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    rows = [{"id": 1, "x": 1.5, "at": datetime(2013, 1, 1), "tags": ["a"]}, {"id": 2, "x": None}, {"id": 1, "x": 2.5}]
    run(steps.SQLTarget(url, "things", primary_key="id", max_events=2), rows)
    found = list(steps.SQLSource(url, query="SELECT id, x FROM things ORDER BY id"))
    assert found == [{"id": 1, "x": 2.5}, {"id": 2, "x": None}]


def test_sql_adds_to_a_table_that_is_there(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    for _ in range(2):
        run(steps.SQLTarget(url, "things", columns=["carrier", "$key"]), [Event(ROWS[0], key="k")])
    assert list(steps.SQLSource(url, "things")) == [{"carrier": "UA", "key": "k"}] * 2


class Shop(steps.Target):  # type: ignore[misc]
    """A target that may be closed."""

    def __init__(self, max_events: int, log: list[Any], *, context: Any = None, seconds: float | None = None) -> None:
        super().__init__(max_events, seconds, context=context)
        self.log = log

    def write(self, items: list[Any]) -> None:
        if "closed" in self.log:
            raise ConnectionError("closed")
        self.log.append([*items])


def test_when_writing_fails_the_event_fails_and_the_others_wait() -> None:
    log: list[Any] = ["closed"]
    shop = Shop(2, log)
    shop.do(1)
    with pytest.raises(ConnectionError):
        shop.do(2)
    assert (shop.state["items"], shop.holding()) == ([1], True)
    log.clear()
    shop.do(3)
    assert (log, shop.holding()) == ([[1, 3]], False)


def test_what_waited_long_enough_is_written() -> None:
    log: list[Any] = []
    surroundings = HandClock()
    shop = Shop(10, log, context=surroundings, seconds=5)
    shop.do(1)
    surroundings.now = 4
    shop.do(2)
    assert (shop.due(), log) == (5, [])
    surroundings.now = 6
    shop.do(3)
    assert (shop.due(), log) == (None, [[1, 2, 3]])


def test_a_size_that_can_not_be() -> None:
    with pytest.raises(GraphError, match="CSVTarget got max_events=0"):
        steps.CSVTarget("a.csv", max_events=0)
