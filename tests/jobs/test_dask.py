"""Jobs on a real cluster of Dask: the same answers, rows that kill, workers that are killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nbgraph import Graph, JobError
from nbgraph.jobs.engines.dask import about

distributed = pytest.importorskip("distributed")
ROWS = [{"x": at} for at in range(400)]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        yield cluster


def address(cluster: Any) -> str:
    return str(cluster.scheduler_address).replace("tcp://", "dask://")


def test_the_same_answers_and_a_row_that_kills(cluster: Any, tmp_path: Path) -> None:
    def deadly(row: dict[str, Any]) -> dict[str, Any]:
        if row["x"] == 77:
            os.kill(os.getpid(), signal.SIGKILL)
        return {**row, "half": row["x"] / 2}

    graph = Graph("g")
    graph.to(deadly, "deadly").to("Filter", fn="event['x'] % 3")
    job = graph.job(ROWS, tmp_path / "out", engine=address(cluster), part_rows=20, retries=0, progress=False).wait(120)
    expected = pd.DataFrame(graph.stream([row for row in ROWS if row["x"] != 77])).reset_index(drop=True)
    pd.testing.assert_frame_equal(job.result(), expected)
    assert [(one.row, one.step, one.error) for one in job.failures()] == [
        (77, "deadly", "killed the worker (signal 9)")
    ]


def test_a_worker_of_the_cluster_is_killed(cluster: Any, tmp_path: Path) -> None:
    def slow(row: dict[str, Any]) -> dict[str, Any]:
        time.sleep(0.01)
        return row

    graph = Graph("g")
    graph.to(slow, "slow")
    with distributed.Client(cluster, set_as_default=False) as client:
        job = graph.job(ROWS, tmp_path / "out", engine=client, part_rows=50, progress=False)
        while job.done < 1:
            time.sleep(0.05)
        worker = next(iter(client.run(os.getpid).values()))
        os.kill(worker, signal.SIGKILL)
        job.wait(120)
    assert job.result()["x"].tolist() == list(range(400))


def test_workers_of_another_version_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that tells of such a worker stands for it: two Pythons are not here."""

    class Client:
        def run(self, function: Any, folder: str) -> dict[str, Any]:
            return {"tcp://10.0.0.1:1": {**about(folder), "Python": "3.9"}}

    monkeypatch.setattr(Client, "__module__", "distributed.client")
    graph = Graph("g")
    graph.to(lambda row: row, "step")
    with pytest.raises(JobError, match=r"worker tcp://10.0.0.1:1 of Dask has Python 3.9, and this process has 3\."):
        graph.job(ROWS, tmp_path / "out", engine=Client(), progress=False)


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    graph = Graph("g")
    graph.to(lambda row: row, "step")
    with pytest.raises(JobError, match=r"There is no scheduler of Dask at dask://127.0.0.1:1"):
        graph.job(ROWS, tmp_path / "out", engine="dask://127.0.0.1:1", progress=False)
    with pytest.raises(JobError, match=r'expected "process", "thread"'):
        graph.job(ROWS, tmp_path / "out", engine="spark", progress=False)
