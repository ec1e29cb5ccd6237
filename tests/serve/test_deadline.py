"""Nobody waits in vain: a caller's own deadline, which travels; a broker that goes away."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from nbgraph import Graph
from nbgraph.streams.nats.server import NatsServer
from tests.serve.requests.test_deferred import alone, over, shared, slow, two
from tests.serve.served import served

Timed = tuple[int, float]


def timed(call: Any) -> Timed:
    """Status of a response, and the seconds it took."""
    began = time.monotonic()
    return call().status_code, time.monotonic() - began


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("header", [{"X-Request-Timeout": "0.3"}, {"Prefer": "wait=1"}])
def test_a_caller_gives_his_own_deadline(several: bool, header: dict[str, str]) -> None:
    graph = (two if several else alone)(f"hurry-{several}", slow(5))
    with served(graph, shared() if several else None) as client:
        status, seconds = timed(lambda: client.post("/", json=1, headers=header))
    assert (status, seconds < 1.5) == (504, True)


def test_what_is_too_late_is_not_run() -> None:
    ran: list[Any] = []

    async def busy(body: Any) -> Any:
        ran.append(body)
        if body == "first":
            await asyncio.sleep(0.6)
        return body

    graph = Graph("late")
    graph.to("(event)", "come").to("Queue", "late-jobs", key="$key", shards=1)
    graph.step("late-jobs").to(busy, "work", function="worker").respond()
    with served(graph, shared()) as client:
        first = threading.Thread(target=client.post, args=("/",), kwargs={"json": "first"})
        first.start()
        time.sleep(0.2)
        status, _ = timed(lambda: client.post("/", json="second", headers={"X-Request-Timeout": "0.2"}))
        first.join()
        time.sleep(0.1)
    assert (status, ran) == (504, ["first"])


def test_a_broker_that_goes_away_is_503_and_comes_back() -> None:
    found: list[Timed] = []
    with NatsServer() as server, served(two("away", slow(0.5)), over(server)) as client:
        assert client.post("/", json=4).json() == 0.25
        waiting = threading.Thread(target=lambda: found.append(timed(lambda: client.post("/", json=4))))
        waiting.start()
        time.sleep(0.2)
        server.kill()
        waiting.join()
        wishes: tuple[dict[str, str], ...] = ({}, {"Idempotency-Key": "k"}, {"Prefer": "respond-async"})
        found += [timed(lambda wish=wish: client.post("/", json=4, headers=wish)) for wish in wishes]
        ready = client.get("/health/ready")
        server.start()
        deadline = time.monotonic() + 10
        while client.get("/health/ready").status_code == 503 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert client.post("/", json=2).json() == 0.5
    assert [status for status, _ in found] == [503] * 4
    assert (found[0][1] < 4, max(seconds for _, seconds in found[1:]) < 0.5) == (True, True)
    assert (ready.status_code, ready.json()) == (503, {"status": "the broker is away"})
