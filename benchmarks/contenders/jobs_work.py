"""The works of jobs: what is read, the functions, and how the results are compared."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ROWS_OF_A_GROUP = 50_000
Row = dict[str, Any]


def total(row: Row) -> Row:
    return {**row, "total": row["price"] * row["count"]}


def is_large(row: Row) -> bool:
    return bool(row["total"] > 50)


def taxed(row: Row) -> Row:
    return {"id": row["id"], "total": row["total"], "tax": row["total"] * 0.19}


def busy(row: Row) -> Row:
    """A step of 100 µs of CPU."""
    until = time.perf_counter() + 100e-6
    while time.perf_counter() < until:
        pass
    return {"id": row["id"], "total": row["price"], "tax": row["price"]}


class Folder:
    """Orders in a Parquet file of so many rows, made once for each size; and a place for what comes of them."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="nbgraph-bench-jobs-"))
        self._number = 0

    def orders(self, rows: int) -> Path:
        path = self.path / f"orders-{rows}.parquet"
        if not path.exists():
            columns = {
                "id": range(rows), "price": [(at % 97) * 1.5 for at in range(rows)],
                "count": [at % 5 for at in range(rows)], "shop": [f"shop {at % 31}" for at in range(rows)],
            }  # fmt: skip
            pq.write_table(pa.table(columns), path, row_group_size=ROWS_OF_A_GROUP)
        return path

    def payments(self, rows: int) -> Path:
        """Payments of a day, in the order of their times, fifty a card."""
        path = self.path / f"payments-{rows}.parquet"
        if not path.exists():
            columns = {
                "id": range(rows), "card": [f"card {at * 7919 % max(rows // 50, 1)}" for at in range(rows)],
                "amount": [(at % 97) * 1.5 for at in range(rows)],
                "time": [1767225600 + at * 86_400 // rows for at in range(rows)],
            }  # fmt: skip
            pq.write_table(pa.table(columns), path, row_group_size=ROWS_OF_A_GROUP)
        return path

    def target(self) -> Path:
        """A fresh place; what was written before is removed."""
        shutil.rmtree(self.path / f"out-{self._number}", ignore_errors=True)
        self._number += 1
        return self.path / f"out-{self._number}"

    def end(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def sums(folder: Path, column: str = "tax") -> list[Any]:
    """What a result is known by: its rows, and the sum of a column."""
    found = [pq.read_table(path) for path in sorted(folder.glob("*.parquet"))]
    return [sum(map(len, found)), round(sum(sum(one[column].to_pylist()) for one in found), 2)]
