"""Jobs by hand: row groups through the same functions, in a loop or in a pool of processes."""

from __future__ import annotations

import multiprocessing
from collections import deque
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


def windowed(asked: tuple[str, str]) -> None:
    """A process's share of the cards, sorted: at each payment the sum of the last hour, in steps of ten minutes."""
    path, target = asked
    found, card, payments = [], None, deque()
    for row in pq.read_table(path).to_pylist():
        if row["card"] != card:
            card, payments = row["card"], deque()
        begin = row["time"] // 600 * 600 - 3_000
        payments.append((row["time"], row["amount"]))
        while payments[0][0] < begin:
            payments.popleft()
        found.append({**row, "spent_sum_1h": sum(amount for _, amount in payments)})
    pq.write_table(pa.Table.from_pylist(found), target)


def keyed(rows: int) -> Any:
    """pandas sorts, and each of two processes gets half of the cards."""
    frame, target = pq.read_table(folder.payments(rows)).to_pandas(), folder.target()
    target.mkdir()
    frame = frame.sort_values("card", kind="stable")
    half = frame["card"].iloc[len(frame) // 2]
    asked = []
    for number, part in enumerate((frame[frame["card"] < half], frame[frame["card"] >= half])):
        part.to_parquet(target / f"sorted-{number}", index=False)
        asked.append((str(target / f"sorted-{number}"), str(target / f"part-{number:05}.parquet")))
    with multiprocessing.get_context("spawn").Pool(2) as workers:
        workers.map(windowed, asked)
    return work.sums(target, "spent_sum_1h")


if __name__ == "__main__":
    serve({"loop": lambda: loop, "pool": lambda: pool, "keyed": lambda: keyed})
