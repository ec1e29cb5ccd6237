"""Jobs with nbgraph: on processes, on a cluster of Dask, and what is told of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import jobs_work as work
from protocol import Run, serve

from nbgraph import Graph
from nbgraph.steps import AggregateByKey, FieldAggregator, SlidingWindows

folder = work.Folder()
os.environ["NBGRAPH_JOBS"] = str(folder.path / "home")


def graph() -> Graph:
    made = Graph("orders")
    made.to(work.total, "total").to("Filter", "large", fn=work.is_large).to(work.taxed, "taxed")
    return made


def job(workers: int, engine: Any = "process") -> Callable[[], Run]:
    def prepare() -> Run:
        made, given = graph(), engine() if callable(engine) else engine

        def run(rows: int) -> Any:
            target = folder.target()
            options = {"engine": given, "workers": workers, "part_rows": work.ROWS_OF_A_GROUP, "progress": False}
            made.job(folder.orders(rows), target, **options).wait()
            return work.sums(target)

        return run

    return prepare


def busy(workers: int) -> Run:
    made = Graph("busy")
    made.to(work.busy, "busy")

    def run(rows: int) -> Any:
        target = folder.target()
        options = {"workers": workers, "part_rows": max(rows // 8, 1), "progress": False}
        made.job(folder.orders(rows), target, **options).wait()
        return work.sums(target)

    return run


def keyed() -> Run:
    made = Graph("windows")
    spent = FieldAggregator("spent", "amount", ["sum"], SlidingWindows(["1h"], "10m"))
    made.to(AggregateByKey([spent], key="card", time_field="time"), "spent")

    def run(rows: int) -> Any:
        target = folder.target()
        made.job(folder.payments(rows), target, key="card", workers=2, progress=False).wait()
        return work.sums(target, "spent_sum_1h")

    return run


def cluster() -> str:
    from distributed import LocalCluster

    made = LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None)
    return str(made.scheduler_address).replace("tcp://", "dask://")


def small() -> Run:
    made = graph()

    def run(rows: int) -> Any:
        row = {"id": 1, "price": 100.0, "count": 2, "shop": ""}
        return made.job([row] * rows, folder.target(), workers=2, progress=False).wait().written

    return run


def resumed() -> Run:
    made, target = graph(), folder.path / "resumed"

    def run(parts: int) -> Any:
        row = {"id": 1, "price": 100.0, "count": 2, "shop": ""}
        options = {"engine": "thread", "part_rows": 1, "progress": False}
        return made.job([row] * parts, target, **options).wait().done

    return run


if __name__ == "__main__":
    serve(
        {
            "loop": job(1), "pool": job(2), "dask": job(2, cluster), "small": lambda: small(),
            "resumed": lambda: resumed(), "busy 1": lambda: busy(1), "busy 2": lambda: busy(2), "keyed": keyed,
        }
    )  # fmt: skip
