"""Storey: the asynchronous engine under MLRun's serving graphs."""

from __future__ import annotations

from typing import Any

import work
from protocol import Run, one_by_one, serve
from storey import Complete, Filter, FlatMap, Map, Reduce, SyncEmitSource, build_flow


def chain(steps: int) -> Run:
    flow = build_flow([SyncEmitSource(), *[Map(work.plus) for _ in range(steps)], Complete()]).run()
    return one_by_one(lambda number: flow.emit(number, return_awaitable_result=True).await_result())


def stream() -> Run:
    def run(events: int) -> Any:
        steps = [Map(work.plus), Filter(work.is_even), FlatMap(work.both), Reduce(0, work.add)]
        flow = build_flow([SyncEmitSource(), *steps]).run()
        for number in range(events):
            flow.emit(number)
        flow.terminate()
        return flow.await_termination()

    return run


serve(
    {
        "chain 3": lambda: chain(3),
        "chain 20": lambda: chain(20),
        "chain 100": lambda: chain(100),
        "stream": stream,
    }
)
