"""Two functions with a queue between them: the first makes orders of one request, the second works on each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from protocol import Run, serve

from nbgraph import Graph
from nbgraph.steps import Queue


def spread(request: dict[str, int]) -> Iterator[dict[str, Any]]:
    for number in range(request["events"]):
        yield {"number": number, "amount": 120.5}


def total(order: dict[str, Any]) -> dict[str, Any]:
    return {**order, "total": order["amount"] * 2}


def pipeline() -> Run:
    graph = Graph("pipeline")
    graph.to(spread).to(Queue("work")).to(total, function="worker")
    deployment = graph.deploy("process", progress=False)

    def run(events: int) -> int:
        deployment.invoke({"events": events})  # it answers when all are in the queue
        while deployment._hosted.backlog("worker"):
            time.sleep(0.005)
        return events

    return run


serve({"pipeline": pipeline})
