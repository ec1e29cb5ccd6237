"""The graph of the fault runs: two functions with a queue between them that keeps the order of each carrier.

This file goes into the images as it is, so it imports the standard library and nbgraph only.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import Any

from nbgraph import Graph
from nbgraph.steps import Queue

SHARDS = 8
MORE = 2  # GiB: than a container has that was given no resources


def lateness(flight: dict[str, Any]) -> dict[str, Any]:
    """How many minutes late the flight left: clock times as the airlines write them, 517 is 5:17."""
    planned, left = (flight[name] // 100 * 60 + flight[name] % 100 for name in ("sched_dep_time", "dep_time"))
    return {**flight, "late": (left - planned + 720) % 1440 - 720}


class Judge:
    """Tells how late is late for the distance; says to the recorder that it did so."""

    def __init__(self, recorder: tuple[str, int] | None = None) -> None:
        self._address = recorder
        self._recorder: socket.socket | None = None

    def post_init(self) -> None:
        if self._address is not None:
            self._recorder = socket.create_connection(self._address)

    def do(self, flight: dict[str, Any]) -> dict[str, Any]:
        if flight.get("poison") == "raises":
            raise ValueError(f"flight {flight['number']} is poison")
        if flight.get("poison") == "kills":
            os.kill(os.getpid(), signal.SIGKILL)
        if flight.get("poison") == "crashes":
            os.kill(os.getpid(), signal.SIGSEGV)
        if flight.get("poison") == "fills":
            b"x" * (MORE << 30)
        if self._recorder is not None:
            self._recorder.sendall(f"{time.monotonic_ns()} {flight['carrier']} {flight['number']}\n".encode())
        return {"number": flight["number"], "carrier": flight["carrier"], "score": flight["late"] / flight["distance"]}


def departures(recorder: tuple[str, int] | None = None) -> Graph:
    """The graph; without a recorder for the notebook, where nothing is told to anybody."""
    graph = Graph("departures")
    queue = Queue("late", key="carrier", shards=SHARDS)
    graph.to(lateness).to(queue).to(Judge, "judge", function="judging", recorder=recorder).respond()
    return graph
