"""CSVSource: files as people have them, and what can't be read told with file and line."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zipfile
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbgraph import Graph, GraphError, StepError, steps
from nbgraph.errors import RowError
from tests.steps.folders import fresh


def csv(folder: Path, text: str, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def told(source: Any, handler: Any = str) -> list[str]:
    """All that a stream gives: answers as texts, errors by their cause's own words without the folder."""
    graph = Graph("g")
    graph.to(handler)
    found, stream = [], graph.stream(source)
    while True:
        try:
            found.append(str(next(stream)))
        except StopIteration:
            return found
        except StepError as error:
            found.append(re.sub(r"/\S*/", "", str(error.__cause__)))


# --- the form of a file ---


@pytest.mark.parametrize("values", ["1,2,3\n", '"1","2","3"\n'])
def test_two_columns_of_one_name(tmp_path: Path, values: str) -> None:
    path = csv(tmp_path, "id,v,v\n" + values)
    with pytest.raises(GraphError, match=r'a\.csv, line 1: two columns are named "v"'):
        list(steps.CSVSource(path))
    names = steps.CSVSource(csv(tmp_path, values), header=["id", "v", "w"])
    assert list(names) == [{"id": 1, "v": 2, "w": 3}]


def test_rows_that_are_too_long_or_too_short(tmp_path: Path) -> None:
    path = csv(tmp_path, 'id,v\n1,2,3\n"2\n2",3\n\n3\n4,5,,\n5,6,7\n')
    assert told(steps.CSVSource(path, types={"id": str})) == [
        "a.csv, line 2: it has 3 cells, and there are 2 columns: id, v.",
        "{'id': '2\\n2', 'v': 3}",
        "{'id': '3', 'v': None}",
        "{'id': '4', 'v': 5}",
        "a.csv, line 8: it has 3 cells, and there are 2 columns: id, v.",
    ]


def test_a_quote_that_does_not_end(tmp_path: Path) -> None:
    assert told(steps.CSVSource(csv(tmp_path, 'a,b\n1,2\n3,"4\n5,6\n'))) == [
        "{'a': 1, 'b': 2}",
        "a.csv, line 3: unexpected end of data.",
    ]


def test_whoever_reads_the_source_himself_gets_the_error_too(tmp_path: Path) -> None:
    source = steps.CSVSource(csv(tmp_path, "id,v\n1,2,3\n"))
    with pytest.raises(RowError, match="line 2: it has 3 cells"):
        list(source)


def test_files_without_names(tmp_path: Path) -> None:
    path = csv(tmp_path, "UA,4,2013-01-01\nDL,,2013-01-02\n")
    events = list(steps.CSVSource(path, header=False, key_field=0, time_field=2, parse_dates=[2], types={1: float}))
    assert [(event.key, event.time.day, event.body) for event in events] == [
        ("UA", 1, ["UA", 4.0, datetime(2013, 1, 1)]),
        ("DL", 2, ["DL", None, datetime(2013, 1, 2)]),
    ]


def test_encodings_delimiters_and_marks(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("Straße;Länge\nÄ;1,5\nÖ;-0,25\n".encode("cp1252"))
    source = steps.CSVSource(path, encoding="cp1252", delimiter=";", decimal=",")
    assert list(source) == [{"Straße": "Ä", "Länge": 1.5}, {"Straße": "Ö", "Länge": -0.25}]
    with pytest.raises(GraphError, match=r'a\.csv, line 1, is not utf-8-sig: .* encoding="cp1252"'):
        list(steps.CSVSource(path))
    with pytest.raises(GraphError, match='encoding="klingon" is unknown to Python'):
        list(steps.CSVSource(path, encoding="klingon"))
    single = csv(tmp_path, "a|b\n'1|1'|it\"s\n", "b.csv")
    assert list(steps.CSVSource(single, delimiter="|", quotechar="'")) == [{"a": "1|1", "b": 'it"s'}]
    assert list(steps.CSVSource(csv(tmp_path, 'a\n"x\n'), quotechar=None)) == [{"a": '"x'}]


@pytest.mark.parametrize("end", ["gz", "bz2", "xz", "zip"])
def test_compressed_by_name(tmp_path: Path, end: str) -> None:
    path, text = tmp_path / f"a.csv.{end}", "id,v\n1,ä\n".encode()
    if end == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.csv", text)
    else:
        path.write_bytes({"gz": gzip, "bz2": bz2, "xz": lzma}[end].compress(text))
    assert list(steps.CSVSource(path)) == [{"id": 1, "v": "ä"}]


def test_a_zip_of_two(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", "a\n")
        archive.writestr("b.csv", "a\n")
    with pytest.raises(GraphError, match=r"a\.zip holds 2 files; expected one: a\.csv, b\.csv"):
        list(steps.CSVSource(tmp_path / "a.zip"))


def test_a_large_cell(tmp_path: Path) -> None:
    large = "x" * 200_000
    assert list(steps.CSVSource(csv(tmp_path, f"a\n{large}\n"))) == [{"a": large}]


def test_nothing_in_it(tmp_path: Path) -> None:
    assert list(steps.CSVSource([csv(tmp_path, ""), csv(tmp_path, "a,b\n", "b.csv")])) == []


# --- what is missing ---


def test_marks_of_what_is_missing(tmp_path: Path) -> None:
    text = "n,x,is,at,country\nNA,1.5,true,2013-01-01,NA\n1,null,N/A,NULL,US\n,nan,None,,\n3,#N/A,FALSE,NaN,nan\n"
    rows = list(steps.CSVSource(csv(tmp_path, text), parse_dates="at"))
    assert [list(row.values()) for row in rows] == [
        [None, 1.5, True, datetime(2013, 1, 1), "NA"],
        [1, None, None, None, "US"],
        [None, None, None, None, None],
        [3, None, False, None, "nan"],
    ]


def test_marks_of_ones_own(tmp_path: Path) -> None:
    path = csv(tmp_path, "n,name\n-,-\n1,NA\n")
    assert list(steps.CSVSource(path, na_values="-")) == [{"n": None, "name": "-"}, {"n": 1, "name": "NA"}]
    by_column = steps.CSVSource(path, na_values={"n": ["-"], "name": ["-", "NA"]})
    assert list(by_column) == [{"n": None, "name": None}, {"n": 1, "name": None}]
    assert list(steps.CSVSource(path, na_values=[])) == [{"n": "-", "name": "-"}, {"n": "1", "name": "NA"}]


def test_a_mark_that_comes_late(tmp_path: Path) -> None:
    path = csv(tmp_path, "x\n" + "1\n" * 1500 + "NA\n2.5\n007\n")
    assert [row["x"] for row in steps.CSVSource(path)][-4:] == [1, None, 2.5, "007"]


@pytest.mark.parametrize(
    ("late", "expected"),
    [("5", [None, 5]), ("2.5", [None, 2.5]), ("true", [None, True]), ("DE", ["NA", "DE"]), ("NA", ["NA", "NA"])],
)
def test_columns_that_begin_with_nothing(tmp_path: Path, late: str, expected: list[Any]) -> None:
    path = csv(tmp_path, "k,x\n" + "1,NA\n" * 2500 + f"1,{late}\n")
    assert [row["x"] for row in steps.CSVSource(path)][-2:] == expected


# --- types ---


def test_types_that_are_told(tmp_path: Path) -> None:
    path = csv(tmp_path, "b,i,f,d,day,s\nFalse,1,2,1.10,2013-01-01,NA\nNA,NA,NA,NA,NA,\n")
    kinds = {"b": bool, "i": int, "f": float, "d": Decimal, "day": date, "s": str}
    rows = list(steps.CSVSource(path, types=kinds))
    assert [list(row.values()) for row in rows] == [
        [False, 1, 2.0, Decimal("1.10"), date(2013, 1, 1), "NA"],
        [None] * 6,
    ]


@pytest.mark.parametrize("kind", [int, float, bool, Decimal, date, datetime])
def test_a_cell_that_is_not_of_its_type(tmp_path: Path, kind: type) -> None:
    path = csv(tmp_path, "a,b\n1,many\n2,\n")
    first, second = told(steps.CSVSource(path, types={"b": kind}))
    assert first.startswith("a.csv, line 2: the column \"b\" has 'many': ")
    assert second == "{'a': 2, 'b': None}"


def test_numbers_as_people_write_them(tmp_path: Path) -> None:
    path = csv(tmp_path, "i,f,z,u\n1, 2,007,1_000\n -3,+.5,00.5,5\n")
    assert [list(row.values()) for row in steps.CSVSource(path)] == [[1, 2.0, "007", "1_000"], [-3, 0.5, "00.5", "5"]]


# --- keys, times, ids ---


def test_what_has_no_key_or_time_goes_the_way_of_errors(tmp_path: Path) -> None:
    path = csv(tmp_path, "id,at\n1,2013-01-01\n,2013-01-02\n2,yesterday\n3,\n4,2013-01-04\n")
    source = steps.CSVSource(path, key_field="id", time_field="at")
    good = [
        "{'id': 1, 'at': datetime.datetime(2013, 1, 1, 0, 0)}",
        "{'id': 4, 'at': datetime.datetime(2013, 1, 4, 0, 0)}",
    ]
    assert told(source) == [
        good[0],
        'a.csv, line 3: The key "id" is missing: got None.',
        "a.csv, line 4: the column \"at\" has 'yesterday': Invalid isoformat string: 'yesterday'; any other form "
        "is said by timestamp_format, such as '%d.%m.%Y'",
        'a.csv, line 5: The time "at" is missing: got None; expected a datetime, a date, ISO 8601 text, '
        "or seconds since 1970.",
        good[1],
    ]
    assert told(steps.CSVSource(path, "id", "at", bad_rows="stop"))[1:] == told(source)[1:2]


def test_rows_that_are_left_out_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = csv(tmp_path, "id,v\n1,1\n,2\n3,3\n")
    assert [event.key for event in steps.CSVSource(path, "id", bad_rows="skip")] == [1, 3]
    assert 'a.csv, line 3: The key "id" is missing' in caplog.text
    with pytest.raises(GraphError, match="CSVSource got bad_rows='leave'; expected one of: error, skip, stop"):
        steps.CSVSource(path, bad_rows="leave")


async def asynchronous(body: Any) -> Any:
    return body


@pytest.mark.parametrize("options", [{}, {"concurrency": 2}], ids=["one by one", "concurrent"])
@pytest.mark.parametrize("handler", [lambda body: body, asynchronous], ids=["sync", "async"])
@pytest.mark.parametrize("streams", ["memory", "nats"])
def test_error_handlers_are_asked(tmp_path: Path, handler: Any, options: dict[str, Any], streams: str) -> None:
    path = csv(tmp_path, "id,v\n1,1\n,2\n3,3,3\n4,4\n")
    graph = Graph("g")
    last = graph.to(handler, "work", **options)
    if streams != "memory":
        last.to(steps.Queue("q")).to(steps.Map(lambda body: body), "end")
    graph.error_handler(lambda body: ("bad", body))
    found = list(graph.stream(steps.CSVSource(path, key_field="id"), streams=streams))
    assert found == [{"id": 1, "v": 1}, ("bad", {"id": None, "v": 2}), ("bad", ["3", "3", "3"]), {"id": 4, "v": 4}]


def test_as_a_step_the_good_rows_go_on_first(tmp_path: Path) -> None:
    seen: list[Any] = []
    graph = Graph("g")
    graph.to(steps.CSVSource(csv(tmp_path, 'id\n1\n""\n3\n'), "id"), "read").to(
        lambda body: seen.append(body["id"]), "see"
    )
    with pytest.raises(StepError, match=r'Step "read" failed: RowError: .*a\.csv, line 3: The key "id" is missing'):
        graph.run(None)
    assert seen == [1, 3]


def test_a_time_that_is_read_stands_in_the_body(tmp_path: Path) -> None:
    path = csv(tmp_path, "k,t,v\n1,15/02/2020,2\n")
    graph = Graph("g")
    aggregator = steps.FieldAggregator("x", "v", ["sum"], steps.FixedWindows(["1h"]))
    graph.to(steps.AggregateByKey([aggregator], key="k", time_field="t"))
    [row] = graph.stream(steps.CSVSource(path, "k", "t", "%d/%m/%Y"))
    assert row == {"k": 1, "t": datetime(2020, 2, 15), "v": 2, "x_sum_1h": 2}


def test_times_as_numbers_stay_numbers(tmp_path: Path) -> None:
    [event] = steps.CSVSource(csv(tmp_path, "t\n3600\n"), time_field="t", type_inference=False)
    assert (event.time.hour, event.body) == (1, {"t": 3600})


def test_an_empty_id_is_one_of_its_own(tmp_path: Path) -> None:
    events = list(steps.CSVSource(csv(tmp_path, "id,v\na,1\n,2\n,3\n"), id_field="id"))
    assert events[0].id == "a"
    assert len({"None", *(event.id for event in events)}) == 4


@pytest.mark.parametrize("argument", ["key_field", "time_field", "id_field", "parse_dates"])
def test_columns_that_are_not_there(tmp_path: Path, argument: str) -> None:
    path = csv(tmp_path, "a,b\n1,2\n")
    with pytest.raises(
        GraphError, match=rf'CSVSource got {argument}="nope", and .*a\.csv has no such column; it has: a, b'
    ):
        list(steps.CSVSource(path, **{argument: "nope"}))


def test_types_of_columns_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match='CSVSource got types="nope"'):
        list(steps.CSVSource(csv(tmp_path, "a,b\n1,2\n"), types={"nope": int}))


def test_missing_files_are_told_alike(tmp_path: Path) -> None:
    csv(tmp_path, "a\n")
    none = tmp_path / "none.csv"
    for source in (steps.CSVSource(none), steps.ParquetSource(none)):
        with pytest.raises(
            GraphError, match=rf"{type(source).__name__} finds no file .*none\.csv; the folder .* has: a\.csv"
        ):
            list(source)
    with pytest.raises(GraphError, match=r"DataFrameSource finds no file .*none\.csv; the folder .* has: a\.csv"):
        steps.DataFrameSource(str(none))
    with pytest.raises(GraphError, match=r"CSVSource reads files, and .* is a folder"):
        list(steps.CSVSource(tmp_path))


# --- beside pandas ---

COLUMNS = {
    "i": st.integers(-(10**9), 10**9),
    "f": st.integers(-(10**9), 10**9).map(lambda number: number + 0.25),
    "b": st.booleans(),
    "s": st.text(st.sampled_from("ab,;|\"'\n\tÄ "), min_size=1).map(lambda text: f"x{text}"),
}


@settings(deadline=None, max_examples=40)
@given(
    rows=st.lists(st.fixed_dictionaries(COLUMNS), min_size=1, max_size=6),
    gaps=st.sets(st.tuples(st.integers(1, 5), st.sampled_from("ifb"))),
    delimiter=st.sampled_from(",;|\t"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16-le", "cp1252"]),
    end=st.sampled_from(["", ".gz", ".bz2", ".xz", ".zip"]),
    mark=st.sampled_from(["", "NA", "null", "nan"]),
)
def test_what_pandas_writes(
    rows: list[dict[str, Any]], gaps: set[tuple[int, str]], delimiter: str, encoding: str, end: str, mark: str
) -> None:
    """Some cells, never those of the first row, are missing."""
    expected = [
        {name: None if (at, name) in gaps else value for name, value in row.items()} for at, row in enumerate(rows)
    ]
    path = fresh() / f"a.csv{end}"
    pd.DataFrame(expected, dtype=object).to_csv(path, index=False, sep=delimiter, encoding=encoding, na_rep=mark)
    options = {} if encoding == "utf-8-sig" else {"encoding": encoding}
    assert list(steps.CSVSource(path, delimiter=delimiter, **options)) == expected
