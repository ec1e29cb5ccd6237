"""Sliding windows with Storey, its table in memory."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import windows_work as work
from protocol import Run, serve
from storey import AggregateByKey, NoopDriver, Reduce, SyncEmitSource, Table, build_flow
from storey.dtypes import FieldAggregator, SlidingWindows


def collected(answers: list[Any], answer: Any) -> list[Any]:
    answers.append(answer)
    return answers


def windows() -> Run:
    readings = [{**reading, "time": datetime.fromtimestamp(reading["time"], UTC)} for reading in work.readings(100_000)]

    def run(events: int) -> Any:
        amounts = FieldAggregator("amount", "amount", ["sum", "avg"], SlidingWindows(work.WINDOWS, work.PERIOD))
        step = AggregateByKey([amounts], Table("cards", NoopDriver()), key_field="card", time_field="time")
        flow = build_flow([SyncEmitSource(), step, Reduce([], collected)]).run()
        for reading in readings[:events]:
            flow.emit(reading)
        flow.terminate()
        return work.summary(flow.await_termination())

    return run


serve({"windows": windows})
