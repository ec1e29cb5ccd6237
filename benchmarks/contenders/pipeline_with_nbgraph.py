"""Two functions with a queue between them: the first makes orders of 64 requests, the second works on each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from protocol import Run, serve

from nbgraph import Graph
from nbgraph.steps import Queue

AT_ONCE = 64  # messages that wait for the server's word, as with the client alone


def spread(request: dict[str, int]) -> Iterator[dict[str, Any]]:
    for number in range(request["events"]):
        yield {"number": number, "amount": 120.5}


def total(order: dict[str, Any]) -> dict[str, Any]:
    return {**order, "total": order["amount"] * 2}


def pipeline() -> Run:
    graph = Graph("pipeline")
    graph.to(spread).to(Queue("work")).to(total, function="worker")
    deployment = graph.deploy("process", progress=False)

    callers = ThreadPoolExecutor(AT_ONCE)

    def run(events: int) -> int:
        each = [{"events": len(range(first, events, AT_ONCE))} for first in range(AT_ONCE)]
        list(callers.map(deployment.invoke, each))  # it answers when all are in the queue
        while deployment._hosted.backlog("worker"):
            time.sleep(0.005)
        return events

    return run


serve({"pipeline": pipeline})
