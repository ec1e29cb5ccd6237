"""Bytewax: a dataflow on a compiled engine, run in this process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import bytewax.operators as op
import work
from bytewax.dataflow import Dataflow, Stream
from bytewax.testing import TestingSink, TestingSource, run_main
from protocol import Run, serve

BATCH = 1000


def source(flow: Dataflow, items: Iterable[Any]) -> Stream[Any]:
    return op.input("source", flow, TestingSource(items, batch_size=BATCH))


def stream() -> Run:
    def run(events: int) -> int:
        out: list[tuple[str, int]] = []
        flow = Dataflow("stream")
        numbers = op.map("plus", source(flow, range(events)), work.plus)
        flat = op.flat_map("both", op.filter("is_even", numbers, work.is_even), work.both)
        total = op.reduce_final("add", op.key_on("key", flat, lambda number: "all"), work.add)
        op.output("sink", total, TestingSink(out))
        run_main(flow)
        return out[0][1]

    return run


def records() -> Run:
    orders = work.records(20_000)

    def run(events: int) -> list[int]:
        out: list[work.Record] = []
        flow = Dataflow("records")
        derived = op.map("derive", op.map("enrich", source(flow, orders[:events]), work.enrich), work.derive)
        branch = op.branch("is_large", derived, work.is_large)
        merged = op.merge(
            "merge", op.map("review", branch.trues, work.review), op.map("book", branch.falses, work.book)
        )
        op.output("sink", merged, TestingSink(out))
        run_main(flow)
        return work.summary(out)

    return run


serve({"stream": stream, "records": records})
