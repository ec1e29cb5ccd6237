"""A process that ingests batches, to be killed: python -m tests.features.writer STORE FIRST COUNT."""

from __future__ import annotations

import sys
from typing import Any

from nbgraph.features import FeatureSet, FeatureStore
from nbgraph.steps import FieldAggregator, SlidingWindows

ROWS, KEYS = 2000, 20
PAID = FieldAggregator("paid", "amount", ["count", "sum"], SlidingWindows(["1d"], "1h"))


def opened(path: str) -> tuple[FeatureStore, FeatureSet]:
    store = FeatureStore(path, namespace={})
    return store, store.add(FeatureSet("cards", key="card", time="time", aggregates=[PAID], features=["amount"]))


def batch(number: int) -> list[dict[str, Any]]:
    """Rows that come in no order of time, of every key as many."""
    return [
        {"card": f"c-{row % KEYS}", "time": 1_767_262_000 + (row * 7919 + number) % 3000, "amount": number}
        for row in range(ROWS)
    ]


def main(path: str, first: int, count: int) -> None:
    _, cards = opened(path)
    cards.preview(batch(0), rows=1)  # what is loaded late is loaded now
    print("ready", flush=True)
    for number in range(first, first + count):
        cards.ingest(batch(number), id=str(number), progress=False)
        print(number, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
