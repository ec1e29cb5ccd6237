"""ParquetTarget and ParquetSource: what one writes the other reads, or an error names the column."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbgraph import Event, Graph, GraphError, NbgraphError, steps
from tests.steps.folders import fresh


def run(target: Any, source: Any) -> None:
    graph = Graph("g")
    graph.to(target, "target")
    list(graph.stream(source))


def read(path: Any, **options: Any) -> list[Any]:
    return list(steps.ParquetSource(path, **options))


VALUES = {
    "i": st.integers(-(2**63), 2**63 - 1),
    "f": st.floats(allow_nan=False),
    "b": st.booleans(),
    "s": st.text(st.characters(exclude_categories=["Cs"])),
    "y": st.binary(),
    "d": st.decimals(-(10**15), 10**15, places=6),
    "day": st.dates(),
    "at": st.datetimes(),
    "zoned": st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(timezone(timedelta(hours=2)))),
    "long": st.timedeltas(timedelta(-10000), timedelta(10000)),
    "clock": st.times(),
    "id": st.uuids(),
    "list": st.lists(st.integers(-100, 100)),
    "dict": st.fixed_dictionaries({"a": st.integers(-100, 100), "b": st.text(st.sampled_from("ab"))}),
}
ROWS = st.lists(
    st.fixed_dictionaries({name: st.none() | values for name, values in VALUES.items()}), min_size=1, max_size=5
)


@settings(deadline=None, max_examples=60)
@given(rows=ROWS, max_events=st.integers(1, 3), name=st.sampled_from(["folder", "one.parquet"]))
def test_rows_are_what_they_were(rows: list[dict[str, Any]], max_events: int, name: str) -> None:
    path = fresh() / name
    run(steps.ParquetTarget(path, max_events=max_events), rows)
    assert read(path) == rows


ANY = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.sampled_from("ab1"))
    | st.dates()
    | st.datetimes()
)


@settings(deadline=None, max_examples=100)
@given(values=st.lists(ANY, min_size=1, max_size=4), max_events=st.integers(1, 3))
def test_rows_of_any_kinds_are_what_they_were_or_refused(values: list[Any], max_events: int) -> None:
    path = fresh() / "rows"
    rows = [{"v": value} for value in values]
    try:
        run(steps.ParquetTarget(path, max_events=max_events), rows)
    except NbgraphError as error:
        assert 'column "v"' in str(error)  # noqa: PT017
    else:
        found = [row["v"] for row in read(path)]
        assert [None if value != value else value for value in found] == [
            None if value != value else value for value in values
        ]


@pytest.mark.parametrize("name", ["folder", "one.parquet"])
@pytest.mark.parametrize(
    "values",
    [[None, 5], [None, None, 5.5], [[], [1]], [[[]], None, [[1.5]]], [5, None], [1, None, "gone"], [None, None]],
)
def test_columns_without_a_value_in_some_files(tmp_path: Path, name: str, values: list[Any]) -> None:
    rows = [{"i": number, **({} if value == "gone" else {"v": value})} for number, value in enumerate(values)]
    run(steps.ParquetTarget(tmp_path / name, max_events=1), rows)
    assert read(tmp_path / name) == [{"v": None} | row for row in rows]
    assert not any(
        pa.types.is_null(field.type) for file in tmp_path.rglob("*.parquet") for field in pq.read_schema(file)
    )


def test_the_first_types_are_kept(tmp_path: Path) -> None:
    target = steps.ParquetTarget(tmp_path / "a", max_events=1)
    with pytest.raises(
        NbgraphError, match=r'ParquetTarget, column "v": it is int64, and Float value 1.50* was truncated'
    ):
        run(target, [{"v": 1}, {"v": 2.0}, {"v": 1.5}])
    assert read(tmp_path / "a") == [{"v": 1}, {"v": 2}]
    with pytest.raises(
        NbgraphError, match='column "v": it is int64, and got string'
    ):  # whoever comes later keeps them too
        run(steps.ParquetTarget(tmp_path / "a"), [{"v": "1"}])


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([1, "a"], "it has values of several kinds, int and str"),
        ([datetime(2013, 1, 1), datetime(2013, 1, 1, tzinfo=UTC)], "it has times with a zone and times without"),
        ([date(2013, 1, 1), datetime(2013, 1, 1)], "it has values of several kinds, date and datetime"),
        ([{"a": 1}, {"b": 2}], "its lists or dicts have parts of several kinds, or other fields each"),
        ([[1, "a"]], "Could not convert 'a'"),
        ([{}], "a dict without fields has no form"),
        ([2**70], "too large"),
        ([object()], "a object has no form in Parquet"),
    ],
)
def test_columns_that_have_no_type(tmp_path: Path, values: list[Any], why: str) -> None:
    with pytest.raises(NbgraphError, match=f'ParquetTarget, column "v": .*{why}'):
        run(steps.ParquetTarget(tmp_path / "a"), [{"v": value} for value in values])


def test_values_of_numpy_and_pandas(tmp_path: Path) -> None:
    rows = [
        {"i": np.int8(1), "f": np.float32(1.5), "at": pd.Timestamp("2013-01-01"), "n": pd.NA, "a": np.array([1, 2])},
        {"i": np.int64(2), "f": pd.NA, "at": pd.NaT, "n": np.bool_(True), "a": (3,)},
    ]
    run(steps.ParquetTarget(tmp_path / "a"), rows)
    assert read(tmp_path / "a") == [
        {"i": 1, "f": 1.5, "at": datetime(2013, 1, 1), "n": None, "a": [1, 2]},
        {"i": 2, "f": None, "at": None, "n": True, "a": [3]},
    ]


# --- partitions ---


@pytest.mark.parametrize(
    "values",
    [["01234", "5"], ["12345"], [1, 2], [True, False], [date(2013, 1, 2)], ["a/b=c é", ""], [1.5], [None, "x"]],
)
def test_partitions_keep_their_kind(tmp_path: Path, values: list[Any]) -> None:
    rows = [{"n": number, "zip": value} for number, value in enumerate(values)]
    run(steps.ParquetTarget(tmp_path / "a", partition_cols="zip"), rows)
    assert sorted(read(tmp_path / "a"), key=lambda row: row["n"]) == rows
    assert read(tmp_path / "a", filters=[("zip", "=", values[-1])], columns="n") == [{"n": len(values) - 1}]


@pytest.mark.parametrize("values", [[None], [None, "b"], ["b", None], [None, None]])
def test_partitions_of_what_is_missing(tmp_path: Path, values: list[Any]) -> None:
    run(steps.ParquetTarget(tmp_path / "p", partition_cols=["zip"], max_events=1), [{"v": 1, "zip": v} for v in values])
    assert sorted(map(repr, read(tmp_path / "p"))) == sorted(repr({"v": 1, "zip": value}) for value in values)


def test_partitions_of_others(tmp_path: Path) -> None:
    frame = pd.DataFrame({"zip": ["01234", "5"], "year": [2013, 2014], "n": [0, 1]})
    frame.to_parquet(tmp_path / "a", partition_cols=["zip", "year"])
    assert read(tmp_path / "a") == [{"n": 0, "zip": "01234", "year": 2013}, {"n": 1, "zip": "5", "year": 2014}]


def test_partitions_by_time(tmp_path: Path) -> None:
    event = Event({"n": 1, "at": "2013-01-02T03:04:05+00:00"}, key="k", time=datetime(2020, 5, 6, 7, tzinfo=UTC))
    run(steps.ParquetTarget(tmp_path / "a", partition_cols=["$date", "$hour"]), [event])
    run(steps.ParquetTarget(tmp_path / "b", partition_cols=["$key", "$year", "$second"], time_field="at"), [event])
    folders = sorted(str(path.parent.relative_to(tmp_path)) for path in tmp_path.rglob("*.parquet"))
    assert folders == ["a/date=2020-05-06/hour=7", "b/key=k/year=2013/second=5"]
    assert read(tmp_path / "a", columns=["n", "date"]) == [{"n": 1, "date": date(2020, 5, 6)}]


def test_partitions_by_a_hash(tmp_path: Path) -> None:
    rows = [{"card": f"c{number}", "n": number} for number in range(20)]
    run(steps.ParquetTarget(tmp_path / "a", partition_cols=[("card", 4)]), rows)
    found = read(tmp_path / "a")
    assert sorted({row["hash4_card"] for row in found}) == [0, 1, 2, 3]
    assert sorted((row["card"], row["n"]) for row in found) == sorted((row["card"], row["n"]) for row in rows)


def test_partitions_that_have_no_text(tmp_path: Path) -> None:
    with pytest.raises(NbgraphError, match='ParquetTarget, partition "v": list'):
        run(steps.ParquetTarget(tmp_path / "a", partition_cols="v"), [{"v": [1], "n": 1}])


# --- columns ---


def test_columns_are_typed(tmp_path: Path) -> None:
    columns = [("n", "float"), ("s=t", str), "u", ("at", "datetime")]
    run(steps.ParquetTarget(tmp_path / "a", columns, max_events=1), [{"n": 1, "t": None, "u": 1}, {"n": 2.5, "t": "x"}])
    assert {field.name: str(field.type) for field in pq.read_schema(min((tmp_path / "a").iterdir()))} == {
        "n": "double", "s": "string", "u": "int64",
    }  # fmt: skip
    assert read(tmp_path / "a", columns=["n", "s", "u"]) == [
        {"n": 1.0, "s": None, "u": 1},
        {"n": 2.5, "s": "x", "u": None},
    ]
    with pytest.raises(NbgraphError, match="column \"n\": 'whole' is no type; known: int, long, float"):
        run(steps.ParquetTarget(tmp_path / "b", [("n", "whole")]), [{"n": 1}])


@pytest.mark.parametrize("columns", ["ab", ["ab"]])
def test_one_name_is_one_column(tmp_path: Path, columns: Any) -> None:
    run(steps.ParquetTarget(tmp_path / "a", columns), [{"ab": 1, "a": 2, "b": 3}])
    assert read(tmp_path / "a", columns="ab") == [{"ab": 1}]


def test_an_index_for_pandas(tmp_path: Path) -> None:
    run(steps.ParquetTarget(tmp_path / "a.parquet", columns="v", index_cols="id"), [{"id": 7, "v": 1, "w": 2}])
    frame = pd.read_parquet(tmp_path / "a.parquet")
    assert (frame.index.name, frame["v"].to_dict()) == ("id", {7: 1})
    assert read(tmp_path / "a.parquet") == [{"v": 1, "id": 7}]


# --- one file ---


def test_one_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.parquet"
    graph = Graph("g")
    graph.to(steps.ParquetTarget(path, max_events=2))
    list(graph.stream([{"n": number} for number in range(5)]))
    list(graph.stream([{"n": 5, "more": "x"}]))
    assert [path.name for path in path.parent.iterdir()] == ["a.parquet"]
    assert read(path) == [{"n": number, "more": "x" if number == 5 else None} for number in range(6)]
    run(steps.ParquetTarget(path), [{"n": "anew"}])
    assert pd.read_parquet(path)["n"].tolist() == ["anew"]
    with pytest.raises(GraphError, match="partitions need a folder"):
        steps.ParquetTarget(path, partition_cols=["n"])


# --- sources ---


def test_files_of_other_schemas(tmp_path: Path) -> None:
    pq.write_table(pa.table({"v": pa.nulls(1), "i": [1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"v": [1.5], "w": ["x"]}), tmp_path / "b.parquet")
    pq.write_table(pa.table({"v": [2]}), tmp_path / "c.parquet")
    expected = [{"v": None, "i": 1, "w": None}, {"v": 1.5, "i": None, "w": "x"}, {"v": 2.0, "i": None, "w": None}]
    assert read(tmp_path) == read(tmp_path / "*.parquet") == expected
    pq.write_table(pa.table({"v": ["text"]}), tmp_path / "d.parquet")
    with pytest.raises(GraphError, match=r"ParquetSource: the files have no types in common: .*Field v has"):
        read(tmp_path)


@pytest.mark.parametrize("zone", [None, UTC])
def test_rows_of_a_time(tmp_path: Path, zone: Any) -> None:
    rows = [{"n": hour, "at": datetime(2013, 1, 1, hour, tzinfo=zone)} for hour in range(5)]
    run(steps.ParquetTarget(tmp_path / "a"), rows)
    found = read(
        tmp_path / "a", time_field="at", start_filter="2013-01-01T01:00", end_filter=datetime(2013, 1, 1, 3, tzinfo=UTC)
    )
    assert [event.body["n"] for event in found] == [2, 3]
    assert [row["n"] for row in read(tmp_path / "a", start_filter=rows[3]["at"], filter_column="at")] == [4]
    with pytest.raises(GraphError, match='ParquetSource filters by the time "n", which is int64'):
        read(tmp_path / "a", end_filter=0, filter_column="n")
    with pytest.raises(GraphError, match="name the column: filter_column="):
        steps.ParquetSource(tmp_path, end_filter=0)


def test_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(GraphError, match="ParquetSource finds no Parquet file in"):
        read(tmp_path / "empty")
    run(steps.ParquetTarget(tmp_path / "a"), [{"v": 1}])
    with pytest.raises(GraphError, match=r'ParquetSource got columns="w", and .* has no such column; it has: v'):
        read(tmp_path / "a", columns="w")
    with pytest.raises(GraphError, match=r'ParquetSource got key_field="k", and .* has no such column; it has: v'):
        read(tmp_path / "a", key_field="k")


def test_keys_that_are_none(tmp_path: Path) -> None:
    run(steps.ParquetTarget(tmp_path / "a"), [{"k": ["a"]}, {"k": None}])
    graph = Graph("g")
    graph.to(lambda body: body)
    graph.error_handler(steps.Map("str(event['k'])"))
    assert list(graph.stream(steps.ParquetSource(tmp_path / "a", key_field="k"))) == ["['a']", "None"]


def test_a_uuid(tmp_path: Path) -> None:
    run(steps.ParquetTarget(tmp_path / "a"), [{"id": UUID(int=1), "d": Decimal("1.10")}])
    assert read(tmp_path / "a") == [{"id": UUID(int=1), "d": Decimal("1.10")}]
