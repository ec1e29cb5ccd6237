"""CSVTarget: what it writes is what CSVSource reads, or an error that names the column."""

from __future__ import annotations

import gzip
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbgraph import Event, Graph, GraphError, StepError, steps
from tests.steps.folders import fresh


def run(target: Any, source: Any) -> list[Any]:
    graph = Graph("g")
    graph.to(target, "target")
    return list(graph.stream(source))


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "i": st.none() | st.integers(),
            "f": st.none() | st.floats(allow_nan=False),
            "b": st.none() | st.booleans(),
            "s": st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
            "d": st.none() | st.decimals(allow_nan=False, allow_infinity=False),
            "day": st.none() | st.dates(),
            "at": st.none() | st.datetimes() | st.datetimes(timezones=st.just(timezone(timedelta(hours=2)))),
        }
    ),
    min_size=1,
    max_size=5,
)
KINDS = {"i": int, "f": float, "b": bool, "s": str, "d": Decimal, "day": date, "at": datetime}


@settings(deadline=None, max_examples=80)
@given(rows=ROWS, delimiter=st.sampled_from(",;|\t"), end=st.sampled_from(["csv", "csv.gz"]))
def test_rows_are_what_they_were(rows: list[dict[str, Any]], delimiter: str, end: str) -> None:
    path = fresh() / f"a.{end}"
    run(steps.CSVTarget(path, delimiter=delimiter), rows)
    assert list(steps.CSVSource(path, types=KINDS, delimiter=delimiter)) == rows


@settings(deadline=None, max_examples=50)
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {
                "i": st.integers(),
                "f": st.floats(0.5, 9.5, exclude_min=True),
                "s": st.sampled_from(["a", "007", "Ä\r\n"]),
            }
        ),
        min_size=1,
        max_size=4,
    )
)
def test_types_are_found_out(rows: list[dict[str, Any]]) -> None:
    path = fresh() / "a.csv"
    run(steps.CSVTarget(path), rows)
    assert list(steps.CSVSource(path)) == rows


def test_what_is_written_of_other_values(tmp_path: Path) -> None:
    row = {
        "np": np.float32(1.5), "na": pd.NA, "nat": pd.NaT, "nan": float("nan"), "tags": ["a", 1], "map": {"a": None},
        "id": UUID(int=7), "at": pd.Timestamp("2013-01-01"), "day": np.datetime64("2013-01-02"),
    }  # fmt: skip
    run(steps.CSVTarget(tmp_path / "a.csv", header=False), [row])
    assert (tmp_path / "a.csv").read_text() == (
        '1.5,,,,"[""a"",1]","{""a"":null}",00000000-0000-0000-0000-000000000007,2013-01-01 00:00:00,2013-01-02\n'
    )


@pytest.mark.parametrize("value", [b"a", {1, 2}, object(), [object()]])
def test_what_has_no_form(tmp_path: Path, value: Any) -> None:
    graph = Graph("g")
    graph.to(steps.CSVTarget(tmp_path / "a.csv"))
    with pytest.raises(
        StepError, match=rf'CSVTarget, column "v" of .*a\.csv: got a {type(value).__name__} that has no text'
    ):
        graph.run({"v": value})
    graph.run({"v": 1})
    assert (tmp_path / "a.csv").read_text() == "v\n1\n"


def test_what_the_encoding_lacks(tmp_path: Path) -> None:
    run(steps.CSVTarget(tmp_path / "a.csv", encoding="cp1252"), [{"v": "Ä€"}])
    assert list(steps.CSVSource(tmp_path / "a.csv", encoding="cp1252")) == [{"v": "Ä€"}]
    with pytest.raises(StepError, match='CSVTarget, column "v"'):
        run(steps.CSVTarget(tmp_path / "b.csv", encoding="cp1252"), [{"v": "Ж"}])


# --- a file that is there ---


def test_the_header_that_is_there_tells_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    run(steps.CSVTarget(path), [{"a": 1, "b": 2}])
    run(steps.CSVTarget(path, append=True), [{"b": 3, "a": 4}])
    run(steps.CSVTarget(path, columns=["b", "a"], append=True), [{"b": 5, "a": 6}, {"a": 7}])
    assert path.read_text() == "a,b\n1,2\n4,3\n6,5\n7,\n"
    with pytest.raises(StepError, match=r'CSVTarget has no column "c" in .*a\.csv, which has: a, b'):
        run(steps.CSVTarget(path, append=True), [{"a": 1, "c": 2}])


def test_a_last_line_without_an_end(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\ufeffa,b\n1,2", encoding="utf-8")
    run(steps.CSVTarget(path, append=True), [{"a": 3, "b": 4}])
    assert list(steps.CSVSource(path)) == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]


def test_compressed_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    for number in range(2):
        run(steps.CSVTarget(path, append=True), [{"a": number}])
    assert gzip.decompress(path.read_bytes()) == b"a\n0\n1\n"
    with pytest.raises(StepError, match="can be read but not written"):
        run(steps.CSVTarget(tmp_path / "a.zip"), [{"a": 1}])


# --- columns ---


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        (["k=$key", "*"], "k,a,b\nK,1,2\n"),
        (["b", "*", "$date"], "b,a,date\n2,1,2013-01-02\n"),
        ("b", "b\n2\n"),
        (["n=a", "*"], "n,a,b\n1,1,2\n"),
    ],
)
def test_columns_stand_in_their_order(tmp_path: Path, columns: Any, text: str) -> None:
    event = Event({"a": 1, "b": 2}, key="K", time=datetime(2013, 1, 2, tzinfo=UTC))
    run(steps.CSVTarget(tmp_path / "a.csv", columns), [event])
    assert (tmp_path / "a.csv").read_text() == text


def test_columns_that_no_event_has() -> None:
    with pytest.raises(
        GraphError, match=r'CSVTarget got the column "\$week"; an event has: \$key, \$id, \$time, \$date'
    ):
        steps.CSVTarget("a.csv", ["$week"])
    with pytest.raises(GraphError, match=r"CSVTarget got columns=\[1\]; expected a name or a list of names"):
        steps.CSVTarget("a.csv", [1])


def test_lists_that_are_no_rows(tmp_path: Path) -> None:
    with pytest.raises(StepError, match=r"or lists of dicts, and got a list that holds a int: \[1, 2\]"):
        run(steps.CSVTarget(tmp_path / "a.csv"), [[1, 2]])
