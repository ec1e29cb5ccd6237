"""Sources of rows: CSV, DataFrame, Parquet, SQL, HTTP; progress; a source as a step."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from nbgraph import Event, Graph, GraphError, steps
from nbgraph.errors import RowError
from tests.steps.both import graphs_both_ways

ROWS = [
    {"carrier": "UA", "delay": 4, "at": "2013-01-01T05:00", "zip": "007"},
    {"carrier": "DL", "delay": None, "at": "2013-01-01T06:00", "zip": "10"},
]
TEXT = "carrier,delay,at,zip\nUA,4,2013-01-01T05:00,007\nDL,,2013-01-01T06:00,10\n"


@pytest.fixture
def flights(tmp_path: Path) -> Path:
    path = tmp_path / "flights.csv"
    path.write_text(TEXT)
    return path


def answers(source: Any) -> list[Any]:
    """What a graph that changes nothing answers to the source."""
    graph = Graph("g")
    graph.to(steps.Map(lambda body: body))
    return list(graph.stream(source))


def test_csv_finds_the_types_out(flights: Path) -> None:
    assert answers(steps.CSVSource(flights)) == ROWS


def test_csv_takes_the_types_it_is_told(flights: Path) -> None:
    source = steps.CSVSource(flights, parse_dates="at", types={"zip": int})
    assert answers(source)[0] == {"carrier": "UA", "delay": 4, "at": datetime(2013, 1, 1, 5), "zip": 7}
    plain = steps.CSVSource(flights, type_inference=False)
    assert answers(plain)[0] == {"carrier": "UA", "delay": "4", "at": "2013-01-01T05:00", "zip": "007"}


def test_csv_cells_that_come_late_and_do_not_fit_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "late.csv"
    path.write_text("n\n" + "1\n" * 1500 + "many\n")
    assert [row["n"] for row in steps.CSVSource(path)][-2:] == [1, "many"]


def test_csv_with_many_files_and_bytes_before_the_text(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.csv").write_text(f'"name"\n"{name}, or\nso"\n', encoding="utf-8-sig")
    assert [row["name"] for row in steps.CSVSource(tmp_path / "*.csv")] == ["a, or\nso", "b, or\nso"]


def test_csv_without_a_file(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="CSVSource finds no file"):
        list(steps.CSVSource(tmp_path / "none.csv"))


def test_key_time_and_id_come_from_fields(flights: Path) -> None:
    [first, _] = steps.CSVSource(flights, key_field=["carrier", "zip"], time_field="at", id_field="delay")
    assert (first.key, first.time, first.id) == (("UA", "007"), datetime(2013, 1, 1, 5, tzinfo=UTC), "4")


def test_events_of_a_source_keep_their_key_in_the_graph(flights: Path) -> None:
    graph = Graph("g")
    graph.to(steps.DropColumns(["delay", "at", "zip"])).to(steps.ReifyMetadata(["key"]))
    found = list(graph.stream(steps.CSVSource(flights, key_field="zip")))
    assert found == [{"carrier": "UA", "key": "007"}, {"carrier": "DL", "key": "10"}]


def test_data_frames() -> None:
    frame = pd.DataFrame({"carrier": ["UA", "DL"], "at": pd.to_datetime(["2013-01-01", "2013-01-02"])})
    events = list(steps.DataFrameSource([frame, frame], "carrier", time_field="at"))
    assert [(event.key, event.time.day) for event in events] == [("UA", 1), ("DL", 2)] * 2
    assert answers(steps.DataFrameSource(pl.DataFrame({"a": [1, 2]}))) == [{"a": 1}, {"a": 2}]


def test_parquet(tmp_path: Path) -> None:
    frame = pd.DataFrame({"year": [2013, 2013, 2014], "carrier": ["UA", "DL", "UA"], "delay": [4, 0, 1]})
    frame.to_parquet(tmp_path / "flights", partition_cols=["year"])
    source = steps.ParquetSource(tmp_path / "flights", ["carrier", "delay"], [("year", "=", 2013)], batch_size=1)
    assert answers(source) == [{"carrier": "UA", "delay": 4}, {"carrier": "DL", "delay": 0}]
    assert source.total() == 2


def test_sql(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    import sqlalchemy

    engine = sqlalchemy.create_engine(url)
    pd.DataFrame({"id": [1, 2], "amount": [5, 7]}).to_sql("orders", engine, index=False)
    engine.dispose()
    events = list(steps.SQLSource(url, "orders", key_field="id", batch_size=1))
    assert [(event.key, event.body) for event in events] == [(1, {"id": 1, "amount": 5}), (2, {"id": 2, "amount": 7})]
    query = steps.SQLSource(url, query="SELECT amount FROM orders WHERE amount > :least", values={"least": 5})
    assert answers(query) == [{"amount": 7}]


def test_sql_of_nothing_or_both() -> None:
    with pytest.raises(GraphError, match="SQLSource needs a table_name or a query"):
        steps.SQLSource("sqlite://")


@pytest.fixture
def address() -> Iterator[str]:
    """A server that counts: each answer has the next two numbers."""
    count = iter(range(100))

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            one, other = next(count), next(count)
            bad = "{\n" if self.path == "/lines?bad" else ""
            is_lines = self.path.startswith("/lines")
            text = f'{{"n": {one}}}\n{bad}{{"n": {other}}}\n' if is_lines else f'{{"a": {{"b": [{one}, {other}]}}}}'
            self.send_response(200)
            self.send_header("Content-Type", "application/x-ndjson" if is_lines else "application/json")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_http(address: str) -> None:
    assert answers(steps.HttpSource(f"{address}/list", "a.b")) == [0, 1]
    assert answers(steps.HttpSource(f"{address}/list", "a.b", interval=0.01, max_polls=2)) == [2, 3, 4, 5]
    assert answers(steps.HttpSource(f"{address}/lines")) == [{"n": 6}, {"n": 7}]
    with pytest.raises(GraphError, match='HttpSource finds no "c"'):
        list(steps.HttpSource(f"{address}/list", "a.c"))


def test_a_line_that_is_no_json_is_an_error_of_its_own(address: str) -> None:
    assert [row["n"] for row in steps.HttpSource(f"{address}/lines?bad", bad_rows="skip")] == [0, 1]
    with pytest.raises(RowError, match="/lines, line 2: Expecting property name"):
        list(steps.HttpSource(f"{address}/lines?bad"))


class Numbers(steps.RowSource):  # type: ignore[misc]
    """A source that tells whether it was closed."""

    is_closed = False

    def rows(self) -> Iterator[Any]:
        try:
            yield from ({"n": number} for number in range(1000))
        finally:
            self.is_closed = True


@pytest.mark.parametrize("options", [{}, {"key_field": "n"}, {"bad_rows": "skip"}])
def test_a_stream_that_is_left_closes_its_source(options: dict[str, Any]) -> None:
    source, graph = Numbers(**options), Graph("g")
    graph.to(steps.Map("event['n']"))
    stream = graph.stream(source)
    assert (next(stream), next(stream), source.is_closed) == (0, 1, False)
    stream.close()
    assert source.is_closed


class Odd(Numbers):
    """A source whose class changes what comes."""

    def __iter__(self) -> Iterator[Any]:
        return (row for row in self.rows() if row["n"] % 2)


def test_what_a_class_makes_of_its_rows_is_what_comes() -> None:
    assert answers(Odd())[:2] == list(Odd())[:2] == [{"n": 1}, {"n": 3}]


def test_a_bad_row_is_seen_by_who_watches() -> None:
    frame = pd.DataFrame({"k": ["a", None], "v": [1, 2]})

    def made() -> Graph:
        graph = Graph("g")
        graph.to(steps.Map("event['v']"), "v")
        graph.error_handler(steps.Map("-event['v']"), "bad")
        return graph

    assert graphs_both_ways(made, steps.DataFrameSource(frame, "k").entries()) == [1, -2]


def test_progress(flights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(answers(steps.CSVSource(flights, progress=True))) == 2
    assert "CSVSource" in capsys.readouterr().out


def test_a_source_as_a_step_gives_all_for_every_event(flights: Path) -> None:
    graph = Graph("g")
    graph.to(steps.CSVSource(flights, key_field="zip")).to(steps.Map("event['carrier']"))
    assert list(graph.stream([None, None])) == ["UA", "DL", "UA", "DL"]


class Letters(steps.Source):  # type: ignore[misc]
    """A source that remembers what was committed."""

    def __init__(self) -> None:
        self.committed: list[str] = []

    def __iter__(self) -> Iterator[Event]:
        return (Event(letter, id=letter) for letter in "abcde")

    def commit(self, event: Event) -> None:
        self.committed.append(event.id)


async def upper(body: str) -> str:
    return body.upper()


@pytest.mark.parametrize(
    ("handler", "committed"),
    [
        (str.upper, ["a", "b", "c", "d", "e"]),
        (upper, ["a", "b", "c", "d", "e"]),
        (steps.Batch(2), ["b", "d", "e"]),
        (steps.Reduce("", "state + event"), ["a", "b", "c", "d", "e"]),
    ],
)
def test_an_event_is_committed_when_it_is_through(handler: Any, committed: list[str]) -> None:
    source = Letters()
    graph = Graph("g")
    graph.to(handler)
    list(graph.stream(source))
    assert source.committed == committed


def test_what_failed_or_was_not_read_is_not_committed() -> None:
    def refuse(body: str) -> str:
        if body == "c":
            raise ValueError(body)
        return body

    source = Letters()
    graph = Graph("g")
    graph.to(refuse)
    with pytest.raises(Exception, match="ValueError: c"):
        list(graph.stream(source))
    assert source.committed == ["a", "b"]


def test_concurrent_events_are_committed_in_their_order() -> None:
    source = Letters()
    graph = Graph("g")
    graph.to(upper, concurrency=4)
    assert (list(graph.stream(source)), source.committed) == (list("ABCDE"), list("abcde"))


INDEXED = pd.DataFrame({"id": [7, 8], "day": ["a", "b"], "v": [1, 2]})


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (INDEXED.set_index("id"), [{"id": 7, "day": "a", "v": 1}, {"id": 8, "day": "b", "v": 2}]),
        (INDEXED.set_index(["day", "id"]), [{"day": "a", "id": 7, "v": 1}, {"day": "b", "id": 8, "v": 2}]),
        (INDEXED.set_index("id", drop=False), [{"id": 7, "day": "a", "v": 1}, {"id": 8, "day": "b", "v": 2}]),
        (INDEXED.set_axis(["x", "y"]), [{"id": 7, "day": "a", "v": 1}, {"id": 8, "day": "b", "v": 2}]),
        (INDEXED.set_index(["day", "id"]).rename_axis([None, "id"]), [{"id": 7, "v": 1}, {"id": 8, "v": 2}]),
    ],
)
def test_named_indexes_are_columns(frame: pd.DataFrame, expected: list[Any]) -> None:
    assert answers(frame) == expected
    assert answers(steps.DataFrameSource(frame)) == expected
    assert [event.key for event in steps.DataFrameSource(frame, key_field="id")] == [7, 8]


def test_frames_that_can_not_be_rows() -> None:
    twice = pd.DataFrame([[1, 2]], columns=["v", "v"])
    other = pd.DataFrame({"v": [1]}, index=pd.Index([5], name="v"))
    for frame in (twice, other):
        with pytest.raises(GraphError, match='Two columns of the DataFrame are named "v"'):
            answers(frame)
        with pytest.raises(GraphError, match='Two columns of the DataFrame are named "v"'):
            answers(steps.DataFrameSource(frame))
    with pytest.raises(GraphError, match="DataFrameSource got a list; expected a DataFrame"):
        steps.DataFrameSource([[1]])
    with pytest.raises(
        GraphError, match='DataFrameSource got key_field="k", and the DataFrame has no such column; it has: id, day, v'
    ):
        list(steps.DataFrameSource(INDEXED, key_field="k"))


def test_keys_and_times_of_a_frame_that_are_missing() -> None:
    frame = pd.DataFrame({"k": ["a", None, "c"], "t": [pd.Timestamp("2013-01-01"), pd.Timestamp("2013-01-02"), pd.NaT]})
    graph = Graph("g")
    graph.to(lambda body: body["k"])
    graph.error_handler(lambda body: "bad", "bad")
    assert list(graph.stream(steps.DataFrameSource(frame, "k", time_field="t"))) == ["a", "bad", "bad"]
    with pytest.raises(RowError, match='DataFrameSource, row 2: The key "k" is missing'):
        list(steps.DataFrameSource(frame, "k"))
