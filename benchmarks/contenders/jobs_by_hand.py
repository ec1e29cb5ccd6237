"""Jobs by hand: row groups through the same functions, in a loop or in a pool of processes."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import jobs_work as work
import pyarrow as pa
import pyarrow.parquet as pq
from protocol import serve

folder = work.Folder()


def group(asked: tuple[str, int, str]) -> None:
    path, number, target = asked
    rows = pq.ParquetFile(path).read_row_group(number).to_pylist()
    found = []
    for row in rows:
        row = work.total(row)
        if work.is_large(row):
            found.append(work.taxed(row))
    pq.write_table(pa.Table.from_pylist(found), f"{target}/part-{number:05}.parquet")


def tasks(rows: int) -> tuple[Path, list[tuple[str, int, str]]]:
    path, target = folder.orders(rows), folder.target()
    target.mkdir()
    return target, [(str(path), number, str(target)) for number in range(pq.ParquetFile(path).num_row_groups)]


def loop(rows: int) -> Any:
    target, asked = tasks(rows)
    one = multiprocessing.get_context("spawn").Process(target=groups, args=(asked,))
    one.start()
    one.join()
    return work.sums(target)


def groups(asked: list[tuple[str, int, str]]) -> None:
    for one in asked:
        group(one)


def pool(rows: int) -> Any:
    target, asked = tasks(rows)
    with multiprocessing.get_context("spawn").Pool(2) as workers:
        for _ in workers.imap(group, asked):
            pass
    return work.sums(target)


if __name__ == "__main__":
    serve({"loop": lambda: loop, "pool": lambda: pool})
