"""Callers that come at once to a synchronous step behind a queue, and when each of them is answered."""

from __future__ import annotations

import threading
import time

from protocol import Run, serve

from nbgraph import Graph
from nbgraph.steps import Queue

SECONDS = 0.1


def wait(body: int) -> int:
    time.sleep(SECONDS)
    return body


def blocking() -> Run:
    graph = Graph("blocking")
    graph.to("(event)").to(Queue("waiting")).to(wait, function="tail").respond()
    deployment = graph.deploy("process", progress=False)
    deployment.invoke(0)

    def run(callers: int) -> list[float]:
        """Seconds until the first answer, the second, ..."""
        found: list[float] = []
        begin = threading.Barrier(callers + 1)

        def call(number: int) -> None:
            begin.wait()
            deployment.invoke(number)
            found.append(time.perf_counter())

        threads = [threading.Thread(target=call, args=(number,)) for number in range(callers)]
        for thread in threads:
            thread.start()
        begin.wait()
        began = time.perf_counter()
        for thread in threads:
            thread.join()
        return sorted(at - began for at in found)

    return run


serve({"blocking": blocking})
