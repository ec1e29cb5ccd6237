"""Sources of jobs: the files and values that `graph.stream` reads, cut into parts."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from nbgraph import Graph, JobError, StepError
from nbgraph.jobs.sources.json_lines import JSONLinesSource
from nbgraph.steps import CSVSource, DataFrameSource, ParquetSource, SQLSource

ROWS = [{"x": at, "text": None if at % 5 else f'say "{at}"\n,'} for at in range(1_000)]


def written(folder: Path) -> dict[str, Path]:
    frame = pd.DataFrame(ROWS)
    frame.to_csv(folder / "a.csv", index=False)
    frame.to_parquet(folder / "a.parquet", row_group_size=70)
    frame.to_json(folder / "a.jsonl", orient="records", lines=True)
    frame.to_sql("rows", f"sqlite:///{folder}/a.db", index=False)
    with closing(sqlite3.connect(folder / "a.db")) as database, database:
        database.execute("CREATE TABLE keyed (id INTEGER PRIMARY KEY, x INTEGER, text TEXT)")
        database.execute("CREATE TABLE named (name TEXT PRIMARY KEY, x INTEGER, text TEXT) WITHOUT ROWID")
        database.executemany(
            "INSERT INTO keyed VALUES (?, ?, ?)", [(9 * at % 1_009, at, row["text"]) for at, row in enumerate(ROWS)]
        )
        database.execute("INSERT INTO named SELECT 'k' || id, x, text FROM keyed ORDER BY x")
    return {name: folder / f"a.{name}" for name in ("csv", "parquet", "jsonl")}


def taken(row: dict[str, Any]) -> dict[str, Any]:
    return {"x": row["x"] + 1, "size": len(row["text"]) if isinstance(row["text"], str) else 0}


GIVEN: dict[str, Callable[[Path], tuple[Any, Any]]] = {
    "csv": lambda folder: (str(folder / "a.csv"), CSVSource(folder / "a.csv")),
    "files": lambda folder: ([folder / "a.csv"] * 2, CSVSource([folder / "a.csv"] * 2)),
    "parquet": lambda folder: (folder / "a.parquet", ParquetSource(folder / "a.parquet")),
    "lines": lambda folder: (folder / "a.jsonl", JSONLinesSource(folder / "a.jsonl")),
    "sql": lambda folder: (SQLSource(f"sqlite:///{folder}/a.db", "rows"),) * 2,
    "ranges": lambda folder: (SQLSource(f"sqlite:///{folder}/a.db", "keyed"),) * 2,
    "texts": lambda folder: (SQLSource(f"sqlite:///{folder}/a.db", "named", key_field="name"),) * 2,
    "filtered": lambda folder: (ParquetSource(folder / "a.parquet", filters=[("x", ">", 300)]),) * 2,
    "pandas": lambda folder: (pd.DataFrame(ROWS),) * 2,
    "polars": lambda folder: (pl.DataFrame(ROWS),) * 2,
    "arrow": lambda folder: (pa.Table.from_pylist(ROWS),) * 2,
    "frames": lambda folder: (DataFrameSource([pd.DataFrame(ROWS)] * 2),) * 2,
}


@pytest.mark.parametrize("kind", GIVEN)
def test_each_source_in_parts_is_what_stream_reads_of_it(tmp_path: Path, kind: str) -> None:
    written(tmp_path)
    job_source, source = GIVEN[kind](tmp_path)
    graph = Graph("g")
    graph.to(taken, "taken")
    job = graph.job(job_source, tmp_path / "out", engine="thread", workers=2, part_rows=90, progress=False).wait(60)
    pd.testing.assert_frame_equal(job.result(), pd.DataFrame(graph.stream(source)))


def test_a_bad_row_is_a_dead_letter_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n3,4,5\n6,7\n")
    (tmp_path / "a.jsonl").write_text('{"x": 1}\n\n{"x": \n{"x": 6}\n')
    graph = Graph("g")
    graph.to(lambda row: {"x": row["x"]}, "x")
    found = []
    for name in ("a.csv", "a.jsonl"):
        job = graph.job(tmp_path / name, tmp_path / f"{name}-out", engine="thread", progress=False).wait(60)
        found.append((job.result()["x"].tolist(), [(one.row, one.error[:40]) for one in job.failures()]))
    place = f"RowError: {tmp_path}"[:40]
    assert found == [([1, 6], [(1, place)]), ([1, 6], [(1, place)])]


def test_a_file_that_has_changed_is_another_source(tmp_path: Path) -> None:
    paths = written(tmp_path)
    graph = Graph("g")
    graph.to(taken, "taken")
    graph.job(paths["csv"], tmp_path / "out", engine="thread", progress=False).wait(60)
    with paths["csv"].open("a") as file:
        file.write("2000,\n")
    with pytest.raises(JobError, match=r"The source has changed \(files: .*resume=False"):
        graph.job(paths["csv"], tmp_path / "out", engine="thread", progress=False)


def test_a_table_is_read_by_ranges_of_its_key_and_known_by_its_rows(tmp_path: Path) -> None:
    written(tmp_path)
    source = SQLSource(f"sqlite:///{tmp_path}/a.db", "keyed")
    graph = Graph("g")
    graph.to(taken, "taken")
    job = graph.job(source, tmp_path / "out", engine="thread", part_rows=300, progress=False).wait(60)
    again = graph.job(source, tmp_path / "out", engine="thread", part_rows=300, progress=False).wait(60)
    assert (list(job.status()["rows"]), again.rate) == ([300, 300, 300, 100], 0)
    with closing(sqlite3.connect(tmp_path / "a.db")) as database, database:
        database.execute("UPDATE keyed SET x = 4711 WHERE id = 500")
    with pytest.raises(JobError, match="The source has changed: part 1 of it is not what it was"):
        graph.job(source, tmp_path / "out", engine="thread", part_rows=300, progress=False).wait(60)


def test_a_source_that_breaks_fails_the_job_and_nothing_is_lost_in_silence(tmp_path: Path) -> None:
    def broken() -> Any:
        yield from ({"x": at, "text": ""} for at in range(150))
        raise RuntimeError("the line is dead")

    graph = Graph("g")
    graph.to(taken, "taken")
    with pytest.raises(JobError, match="RuntimeError: the line is dead"):
        graph.job(broken(), tmp_path / "out", engine="thread", part_rows=100, progress=False).wait(60)
    with pytest.raises(JobError, match="for all else give it a source"):
        graph.job("a.xlsx", tmp_path / "out", progress=False)
    with pytest.raises(StepError):
        list(graph.stream([{"x": "a"}]))
