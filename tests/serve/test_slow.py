"""Steps that take long: each event is answered when it is done, and done once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbgraph import Graph
from nbgraph.streams.base import QueueSpec
from nbgraph.streams.nats.broker import NatsBroker
from nbgraph.streams.nats.server import NatsServer
from tests.serve.requests.test_deferred import ASYNC, fetched, over, shared
from tests.serve.served import served

CALLERS, SECONDS = 12, 0.1


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with NatsServer() as running:
        yield running


class Work:
    """A step that takes its time, and notes what it has done."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self.ran: list[Any] = []
        self.at_once, self.most_at_once = 0, 0

    def plain(self, body: Any) -> Any:
        self.ran.append(body)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(self.seconds)
        self.at_once -= 1
        return body

    async def blocking(self, body: Any) -> Any:
        return self.plain(body)

    def several(self, body: Any) -> Iterator[Any]:
        yield self.plain(body)


class Remembering:
    """As `Work`, and counts what it has seen of each key."""

    work = Work()

    def __init__(self) -> None:
        self.state: dict[str, int] = {}

    def do(self, body: Any) -> Any:
        self.state["n"] = self.state.get("n", 0) + 1
        return type(self).work.plain(body)


def behind(work: Work, name: str) -> Graph:
    graph = Graph(name)
    graph.to("(event)").to("Queue", f"{name}-q").to(work.plain, "work", function="tail").respond()
    return graph


def keyed(work: Work, name: str) -> Graph:
    graph = Graph(name)
    queue = graph.to("(event)").to("Queue", f"{name}-q", key="key", shards=4)
    queue.to(work.plain, "work", function="tail").respond()
    return graph


def remembered(work: Work, name: str) -> Graph:
    Remembering.work = work
    graph = Graph(name)
    queue = graph.to("(event)").to("Queue", f"{name}-q", key="key", shards=4)
    queue.to(Remembering, "work", function="tail").respond()
    return graph


def in_the_middle(work: Work, name: str) -> Graph:
    graph = Graph(name)
    first = graph.to("(event)").to("Queue", f"{name}-a").to(work.plain, "work", function="middle")
    first.to("Queue", f"{name}-b").to("(event)", "last", function="tail").respond()
    return graph


def in_the_middle_and_keyed(work: Work, name: str) -> Graph:
    graph = Graph(name)
    first = graph.to("(event)").to("Queue", f"{name}-a", key="key", shards=4)
    work_step = first.to(work.plain, "work", function="middle")
    work_step.to("Queue", f"{name}-b").to("(event)", "last", function="tail").respond()
    return graph


def before_a_queue(work: Work, name: str) -> Graph:
    graph = Graph(name)
    graph.to(work.plain, "work").to("Queue", f"{name}-q").to("(event)", "last", function="tail").respond()
    return graph


def alone(work: Work, name: str) -> Graph:
    graph = Graph(name)
    graph.to(work.plain, "work").respond()
    return graph


def beside_async_steps(work: Work, name: str) -> Graph:
    async def ask(body: Any) -> Any:
        await asyncio.sleep(0.001)
        return body

    graph = Graph(name)
    first = graph.to("(event)").to("Queue", f"{name}-q").to(ask, "ask", function="tail")
    first.to(work.plain, "work").to(ask, "tell").respond()
    return graph


def blocking_although_async(work: Work, name: str) -> Graph:
    graph = Graph(name)
    graph.to("(event)").to("Queue", f"{name}-q").to(work.blocking, "work", function="tail").respond()
    return graph


def retried(work: Work, name: str) -> Graph:
    graph = Graph(name)
    first = graph.to("(event)").to("Queue", f"{name}-a").to(work.plain, "work", function="middle", retries=1)
    first.to("Queue", f"{name}-b").to("(event)", "last", function="tail").respond()
    return graph


def of_several_results(work: Work, name: str) -> Graph:
    graph = Graph(name)
    first = graph.to("(event)").to("Queue", f"{name}-a").to(work.several, "work", function="middle")
    first.to("Queue", f"{name}-b").to("(event)", "last", function="tail").respond()
    return graph


GRAPHS = [
    behind, keyed, remembered, in_the_middle, in_the_middle_and_keyed, before_a_queue, alone, beside_async_steps,
    blocking_although_async, retried, of_several_results,
]  # fmt: skip


def body_of(number: int) -> dict[str, int]:
    return {"key": number % 5, "n": number}


def all_at_once(call: Callable[[int], Any], count: int = CALLERS) -> None:
    callers = [threading.Thread(target=call, args=(number,)) for number in range(count)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()


@pytest.mark.parametrize("made", GRAPHS)
def test_each_caller_is_answered_when_his_step_is_done(made: Callable[[Work, str], Graph], server: NatsServer) -> None:
    work = Work()
    graph = made(work, made.__name__.replace("_", "-"))
    seen: list[tuple[int, int, int]] = []  # status, whether the answer is his own, steps begun when it came

    def call(number: int) -> None:
        response = client.post("/", json=body_of(number))
        seen.append((response.status_code, response.json() == body_of(number), len(work.ran)))

    with served(graph, None if made is alone else over(server)) as client:
        all_at_once(call)
    assert sorted(body["n"] for body in work.ran) == list(range(CALLERS))
    assert ({row[:2] for row in seen}, work.most_at_once) == ({(200, True)}, 1)
    assert all(begun <= answered + 3 for answered, (_, _, begun) in enumerate(sorted(seen, key=lambda row: row[2]), 1))


@pytest.mark.parametrize("threads", [2, 3])
def test_as_many_at_once_as_there_are_threads_and_in_order_by_key(threads: int, server: NatsServer) -> None:
    work, name = Work(0.05), f"threads-{threads}"
    graph = Graph(name)
    queue = graph.to("(event)").to("Queue", f"{name}-q", key="key", shards=8)
    queue.to(work.plain, "work", function="tail").respond()
    bodies = [{"key": number % 4, "n": number} for number in range(24)]
    with served(graph, over(server), threads={"tail": threads}) as client:
        places = [client.post("/", json=body, headers=ASYNC).headers["location"] for body in bodies]
        assert [fetched(client, place).json() for place in places] == bodies
    of_keys = defaultdict(list)
    for body in work.ran:
        of_keys[body["key"]].append(body["n"])
    assert (work.most_at_once, len(work.ran)) == (threads, 24)
    assert all(numbers == sorted(numbers) for numbers in of_keys.values())


@pytest.mark.parametrize("made", [before_a_queue, alone])
def test_202_comes_when_the_event_is_safe_and_not_after_the_steps_before_it(
    made: Callable[[Work, str], Graph], server: NatsServer, tmp_path: Path
) -> None:
    work = Work(0.3)
    graph = made(work, f"safe-{made.__name__}".replace("_", "-"))
    with served(graph, None if made is alone else over(server), folder=tmp_path) as client:
        replies = [client.post("/", json=number, headers=ASYNC) for number in range(8)]
        begun = len(work.ran)
        answers = [fetched(client, reply.headers["location"]).json() for reply in replies]
    assert ({reply.status_code for reply in replies}, begun < 6) == ({202}, True)
    assert (answers, sorted(work.ran)) == (list(range(8)), list(range(8)))


class Held:
    """A step that is held up by one event, after it has been quick for others."""

    def __init__(self) -> None:
        self.came, self.go = threading.Event(), threading.Event()

    def do(self, body: Any) -> Any:
        if body == "hold":
            self.came.set()
            self.go.wait(20)
        return body


@pytest.mark.parametrize("kind", ["alone", "queue", "async"])
@pytest.mark.parametrize("threads", [1, 2])
def test_one_that_is_held_up_holds_up_neither_health_nor_others(kind: str, threads: int) -> None:
    async def ask(body: Any) -> Any:
        return body

    held, name = Held(), f"held-{kind}-{threads}"
    graph = Graph(name)
    step = graph.to(held.do, "work")
    if kind == "queue":
        step.to("Queue", f"{name}-q").to("(event)", "last", function="tail").respond()
    elif kind == "async":
        step.to(ask).respond()
    with served(graph, shared() if kind == "queue" else None, threads={name: threads}) as client:
        for number in range(70):  # by now it would be trusted to be quick
            assert client.post("/", json=number).json() == number
        waiting = threading.Thread(target=client.post, args=("/",), kwargs={"json": "hold"})
        waiting.start()
        assert held.came.wait(10)
        try:
            found = [
                client.get("/health/live", timeout=5).status_code,
                client.get("/requests/x", timeout=5).status_code,
            ]
            if threads > 1:
                found.append(client.post("/", json=7, timeout=5).json())
        finally:
            held.go.set()
        waiting.join()
    assert found == [200, 404, *([7] if threads > 1 else [])]


@pytest.mark.parametrize("made", [alone, behind, before_a_queue])
def test_what_is_too_late_when_its_turn_comes_does_not_run(made: Callable[[Work, str], Graph]) -> None:
    work = Work(0.4)
    graph = made(work, f"late-{made.__name__}".replace("_", "-"))
    found: dict[int, int] = {}

    def call(number: int) -> None:
        headers = {"X-Request-Timeout": "0.2"} if number else {}
        time.sleep(0.1 * bool(number))
        found[number] = client.post("/", json=number, headers=headers).status_code

    with served(graph, None if made is alone else shared()) as client:
        all_at_once(call, 5)
        time.sleep(0.1)
        assert client.post("/", json=9).json() == 9
    assert (found, work.ran) == ({0: 200, 1: 504, 2: 504, 3: 504, 4: 504}, [0, 9])


def test_what_a_worker_can_not_begin_with_is_left_to_others(server: NatsServer) -> None:
    work = Work(0.05)
    graph = behind(work, "left")

    async def out() -> int:
        broker = await NatsBroker.connect(server.url, token=server.token)
        load = await broker.load(QueueSpec("left-q"))
        await broker.close()
        return load.in_flight

    with served(graph, over(server)) as client:
        places = [client.post("/", json=number, headers=ASYNC).headers["location"] for number in range(30)]
        time.sleep(0.3)
        in_hand = asyncio.run(out())
        for place in places:
            fetched(client, place)
    assert in_hand <= 8


@settings(max_examples=8, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 0.002, 0.01, 0.03]), min_size=1, max_size=20),
    st.integers(1, 3),
    st.booleans(),
    st.booleans(),
)
def test_runs_are_events(naps: list[float], threads: int, is_keyed: bool, is_followed: bool) -> None:
    ran: Counter[int] = Counter()

    def work(body: dict[str, Any]) -> int:
        time.sleep(body["nap"])
        ran[body["n"]] += 1
        return int(body["n"])

    graph = Graph("runs")
    step = graph.to("(event)").to("Queue", "runs-a", key="key" if is_keyed else None, shards=4 if is_keyed else 1)
    step = step.to(work, "work", function="middle")
    if is_followed:
        step = step.to("Queue", "runs-b").to("(event)", "last", function="tail")
    step.respond()
    answers: dict[int, int] = {}

    def call(number: int) -> None:
        answers[number] = client.post("/", json={**body_of(number), "nap": naps[number]}).json()

    with served(graph, shared(), threads={"middle": threads}) as client:
        all_at_once(call, len(naps))
    assert (answers, ran) == ({n: n for n in range(len(naps))}, Counter(range(len(naps))))


def test_synchronous_steps_beside_async_ones_may_run_loops_of_their_own() -> None:
    def own_loop(body: int) -> int:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        return asyncio.run(asyncio.sleep(0, body + 1))

    async def ask(body: int) -> int:
        return body

    graph = Graph("loops")
    graph.to(ask).to(own_loop).to("Queue", "loops-q").to(own_loop, "again", function="tail").respond()
    with served(graph, shared()) as client:
        assert [client.post("/", json=number).json() for number in range(60)] == list(range(2, 62))


def test_who_takes_answers_as_they_come_waits_for_his_turn_too() -> None:
    held = Held()
    graph = Graph("chunked")
    graph.to(held.do, "work").respond()
    lines: list[str] = []

    def stream(body: str) -> None:
        headers = {"Accept": "application/x-ndjson", "Content-Type": "text/plain"}
        lines.append(client.post("/", content=body, headers=headers).text)

    with served(graph) as client:
        callers = [threading.Thread(target=stream, args=(body,)) for body in ("hold", "next")]
        callers[0].start()
        assert held.came.wait(10)
        callers[1].start()
        try:
            health, waiting = client.get("/health/live", timeout=5).status_code, list(lines)
        finally:
            held.go.set()
        for caller in callers:
            caller.join()
    assert (health, waiting, sorted(lines)) == (200, [], ['"hold"\n', '"next"\n'])
