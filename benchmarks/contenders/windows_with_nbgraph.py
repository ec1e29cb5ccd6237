"""Sliding windows with nbgraph: single events, and all of them as one DataFrame."""

from __future__ import annotations

from typing import Any

import windows_work as work
from protocol import Run, serve

from nbgraph import Graph
from nbgraph.steps import AggregateByKey, FieldAggregator, SlidingWindows


def graph() -> Graph:
    amounts = FieldAggregator("amount", "amount", ["sum", "avg"], SlidingWindows(work.WINDOWS, work.PERIOD))
    made = Graph("windows")
    made.to(AggregateByKey([amounts], key="card", time_field="time"))
    return made


def windows() -> Run:
    readings = work.readings(100_000)
    return lambda events: work.summary(list(graph().stream(readings[:events])))


def windows_of_frame() -> Run:
    import pandas as pd

    readings = pd.DataFrame(work.readings(100_000))

    def run(events: int) -> Any:
        answer = graph().run(readings[:events])
        return [len(answer), *(round(float(answer[column].sum()), 3) for column in work.COLUMNS)]

    return run


serve({"windows": windows, "windows of a frame": windows_of_frame})
