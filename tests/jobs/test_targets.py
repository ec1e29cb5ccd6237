"""Targets: those of the graph write a file a part, and a job may write by any Target."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from nbgraph import Graph, JobError
from nbgraph.steps import CSVSource, CSVTarget, ParquetSource, ParquetTarget, SQLTarget

ROWS = [{"x": at, "side": "even" if at % 2 == 0 else "odd"} for at in range(100)]


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_graphs_own_targets_write_a_file_a_part_and_write_it_again(tmp_path: Path) -> None:
    graph = Graph("g")
    start = graph.to(lambda row: {**row, "y": row["x"] * 2}, "double")
    start.to(CSVTarget, "csv", path=tmp_path / "all.csv")
    start.to(ParquetTarget(tmp_path / "parquet", partition_cols=["side"], max_events=7), "parquet")
    for resume in (True, False):
        job = graph.job(ROWS, engine="thread", workers=2, part_rows=30, resume=resume, progress=False).wait(60)
    expected = [{**row, "y": row["x"] * 2} for row in ROWS]
    assert files(tmp_path / "all") == [f"part-{at:05}.csv" for at in range(4)]
    assert list(CSVSource(sorted((tmp_path / "all").iterdir()))) == expected
    assert sorted(ParquetSource(tmp_path / "parquet"), key=lambda row: row["x"]) == expected
    with pytest.raises(JobError, match="The job keeps no result"):
        job.result()


def test_a_part_whose_target_can_not_write_what_it_gathered_fails_and_leaves_nothing(tmp_path: Path) -> None:
    graph = Graph("g")
    graph.to(lambda row: row, "row").to(CSVTarget(tmp_path / "all.csv", max_events=10), "csv")
    job = graph.job([*ROWS[:20], {"x": b"no text"}], workers=1, part_rows=100, progress=False)
    with pytest.raises(JobError, match=r'part-00000: .*column "x" of .*no text form'):
        job.wait(60)
    assert files(tmp_path / "all") == []


def test_what_fails_behind_a_step_that_gathers_is_a_dead_letter_and_the_others_go_on(tmp_path: Path) -> None:
    graph = Graph("g")
    batch = graph.to("Batch", max_events=40, key="side")
    batch.to(lambda rows: {"n": len(rows), "least": 1 / rows[0]["x"]}, "least")
    job = graph.job(ROWS, tmp_path / "out", workers=1, progress=False).wait(60)
    assert (sorted(job.result()["n"]), [(one.row, one.step) for one in job.failures()]) == (
        [10, 10, 40], [(78, "least")],
    )  # fmt: skip


def test_a_job_writes_by_a_target(tmp_path: Path) -> None:
    graph = Graph("g")
    graph.to(lambda row: {"y": row["x"] * 2}, "double")
    job = graph.job(ROWS, CSVTarget(tmp_path / "y.csv"), workers=2, part_rows=30, name="csv", progress=False).wait(60)
    found = [row["y"] for row in CSVSource(sorted((tmp_path / "y").iterdir()))]
    url = f"sqlite:///{tmp_path}/a.db"
    graph.job(ROWS, SQLTarget(url, "doubled"), engine="thread", workers=1, name="sql", progress=False).wait(60)
    assert (found, pd.read_sql("doubled", url)["y"].tolist(), job.written) == ([at * 2 for at in range(100)],) * 2 + (
        100,
    )
    with pytest.raises(JobError, match="answers have none"):
        graph.job(ROWS, CSVTarget(tmp_path / "k.csv", columns=["$key", "y"]), progress=False)
