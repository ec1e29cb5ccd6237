"""Pieces: what a source gives piece by piece is what it gives as a whole, wherever it is cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbgraph import Event, RowError, RowSource
from nbgraph.steps import CSVSource, ParquetSource

CELLS = st.text(alphabet='a1",;\n\r é\u2028.-', max_size=6)


def told(entry: Any) -> Any:
    if isinstance(entry, Event):
        return entry.key, entry.body
    return str(entry) if isinstance(entry, RowError) else entry


def in_pieces(source: RowSource, rows: int) -> tuple[list[Any], list[int]]:
    pieces = list(source.pieces(rows) or ())
    return [told(entry) for piece in pieces for entry in source.entries_of(piece)], [piece.rows for piece in pieces]


@given(lines=st.lists(st.lists(CELLS, min_size=1, max_size=3), max_size=12), raw=st.booleans(), rows=st.integers(1, 5))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_csv_file(tmp_path: Path, lines: list[list[str]], raw: bool, rows: int) -> None:
    path = tmp_path / "any.csv"
    cells = lines if raw else [['"' + cell.replace('"', '""') + '"' for cell in line] for line in lines]
    path.write_bytes("\n".join(["a,b,c", *(",".join(line) for line in cells)]).encode())
    whole = [told(entry) for entry in CSVSource(path).entries()]
    found, counts = in_pieces(CSVSource(path), rows)
    assert (found, sum(counts), set(counts[:-1]) <= {rows}) == (whole, len(whole), True)


def test_types_that_later_rows_tell_are_known_to_all_pieces(tmp_path: Path) -> None:
    path = tmp_path / "late.csv"
    lines = (f"{at},{'' if at < 2500 else at / 2},{'NA' if at < 1500 else 'x'}" for at in range(3000))
    path.write_text("\n".join(["n,late,text", *lines]))
    assert in_pieces(CSVSource(path, key_field="n"), 700)[0] == [told(one) for one in CSVSource(path, key_field="n")]


def test_what_can_only_be_read_whole_has_no_pieces(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.touch()
    (tmp_path / "a.csv").write_text("a\n1\n")
    sources = [CSVSource(path), *(CSVSource(tmp_path / "a.csv", **more) for more in (
        {"encoding": "utf-16"}, {"bad_rows": "stop"}))]  # fmt: skip
    assert [source.pieces(10) for source in sources] == [None] * 3


@pytest.mark.parametrize("options", [{}, {"filters": [("x", ">", 777)]}, {"columns": ["x"]}, {"key_field": "x"}])
@pytest.mark.parametrize("name", ["one.parquet", "folder"])
def test_parquet(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    frame = pd.DataFrame({"x": range(3000), "g": [at % 3 for at in range(3000)]})
    if name == "folder":
        frame.to_parquet(tmp_path / name, partition_cols=["g"], row_group_size=150)
    else:
        frame.to_parquet(tmp_path / name, row_group_size=150)
    source = ParquetSource(tmp_path / name, **options)
    whole = [told(entry) for entry in source.entries()]
    for rows in (100, 400, 10_000):
        found, counts = in_pieces(source, rows)
        assert (found, sum(counts)) == (whole, len(whole))
