"""A step of 5 ms of CPU, behind one worker and behind two."""

from __future__ import annotations

import time
from functools import partial

from load import load_of
from protocol import Run, serve

from nbgraph import Graph

CONNECTIONS, SECONDS = 16, 0.005


def spin(order: dict[str, object]) -> dict[str, object]:
    end = time.thread_time() + SECONDS
    while time.thread_time() < end:
        pass
    return order


def workers(n: int) -> Run:
    graph = Graph("spin")
    graph.to(spin).respond()
    deployment = graph.deploy("process", workers=n, progress=False)
    return load_of(int(deployment.url.rpartition(":")[2]), CONNECTIONS)


serve({f"workers {n}": partial(workers, n) for n in (1, 2)})
