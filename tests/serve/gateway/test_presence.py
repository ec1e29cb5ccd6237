"""Callers who hang up: steps that go on giving results for them stop, in their function and in others."""

import asyncio
import threading
import time

import httpx
import pytest

from nbgraph import Event, Graph
from nbgraph.serve.queues import reply_waiters as callers_module
from tests.serve.served import served
from tests.serve.test_damage import flow, running

GIVEN = 400
MOST = 32  # of 20 a second: what a caller who stays for 0.6 s is given, and a second's more


class Giver:
    """A generator that gives for twenty seconds, and what became of it."""

    def __init__(self):
        self.given, self.closed = 0, threading.Event()

    def sync(self, body):
        try:
            for number in range(GIVEN):
                time.sleep(0.05)
                self.given += 1
                yield number
        finally:
            self.closed.set()

    async def awaiting(self, body):
        try:
            for number in range(GIVEN):
                await asyncio.sleep(0.05)
                self.given += 1
                yield number
        finally:
            self.closed.set()


def graph_of(place, kind, giver):
    """The generator before the queue, in the caller's function; or behind it, in another one."""
    graph = Graph(f"giving-{place}-{kind}")
    queue = f"{graph.name}-q"
    step = getattr(giver, kind)
    if place == "before":
        graph.to(step, "give").to("Queue", queue).to("(event)", "take", function="worker").to("Filter", fn="event < 0")
    else:
        graph.to("(event)", "take").to("Queue", queue).to(step, "give", function="worker").to("Filter", fn="event < 0")
    return graph


@pytest.mark.parametrize("kind", ["sync", "awaiting"])
@pytest.mark.parametrize("place", ["before", "behind"])
def test_a_generator_stops_when_its_caller_hangs_up(place, kind, connect):
    giver = Giver()
    with served(graph_of(place, kind, giver), connect) as client:
        with pytest.raises(httpx.ReadTimeout):
            client.post("/", json=1, timeout=0.6)
        stopped = giver.closed.wait(5)
    assert (stopped, giver.given < MOST) == (True, True)


def test_who_is_answered_early_does_not_stop_what_goes_on(connect):
    done = []

    def give(body):
        for number in range(8):
            time.sleep(0.05)
            yield number

    graph = Graph("going-on")
    graph.to("(event)", "take").to("Queue", "going-on-q").to(give, "give", function="worker").respond()
    graph.step("give").to(done.append, "note")
    with served(graph, connect) as client:
        answer = client.post("/", json=1).json()
        deadline = time.monotonic() + 10
        while len(done) < 8 and time.monotonic() < deadline:
            time.sleep(0.02)
    assert (answer, done) == (0, list(range(8)))


@pytest.mark.parametrize("shift", [-3600, -60, 60, 3600])
def test_a_gateway_whose_clock_is_wrong_is_asked_before_an_event_counts_as_late(shift, connect, monkeypatch):
    class Clock:
        time = staticmethod(lambda: time.time() + shift)

    with running(flow(f"clock{shift}".replace("-", "m")), connect) as (home, callers, *_):
        monkeypatch.setattr(callers_module, "time", Clock)
        assert home.submit(callers.ask(Event(1))).result(20) == 20


def test_what_is_late_by_any_clock_does_not_begin(connect):
    begun = []

    async def hold(body):
        begun.append(body)
        await asyncio.sleep(0.6)
        return body

    graph = Graph("late-ones")
    graph.to("(event)", "take").to("Queue", "late-ones-q", key="$key", shards=1).to(hold, "hold", function="worker")
    graph.step("hold").respond()

    async def story():
        asks = [callers.ask(Event(number, key="k"), 0.3 if number else 5) for number in range(3)]
        return [type(found).__name__ for found in await asyncio.gather(*asks, return_exceptions=True)]

    with running(graph, connect) as (home, callers, *_):
        found = home.submit(story()).result(20)
        time.sleep(0.8)
    assert (found, begun) == (["int", "RemoteError", "RemoteError"], [0])
