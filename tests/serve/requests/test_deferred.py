"""Callers who come back for their answer, and requests that are known again, over real HTTP."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from nbgraph import Graph
from nbgraph.serve.requests.registry import id_of
from nbgraph.streams.base import QueueSpec
from nbgraph.streams.memory.broker import MemoryBroker
from nbgraph.streams.nats.broker import NatsBroker
from nbgraph.streams.nats.server import NatsServer
from tests.serve.served import Connect, served

ASYNC = {"Prefer": "respond-async"}


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with NatsServer() as running:
        yield running


def shared() -> Connect:
    """One broker in memory for all who connect."""
    broker = MemoryBroker()

    async def connect() -> MemoryBroker:
        return broker

    return connect


def over(server: NatsServer) -> Connect:
    return lambda: NatsBroker.connect(server.url, token=server.token)


def slow(seconds: float) -> Any:
    async def step(body: Any) -> Any:
        await asyncio.sleep(seconds)
        return 1 / body

    return step


def alone(name: str, handler: Any) -> Graph:
    graph = Graph(name)
    graph.to(handler, "work").respond()
    return graph


def two(name: str, handler: Any) -> Graph:
    graph = Graph(name)
    graph.to("(event)", "come").to("Queue", f"{name}-jobs").to(handler, "work", function="worker").respond()
    return graph


def fetched(client: httpx.Client, place: str, seconds: float = 10) -> httpx.Response:
    """What stands at that place once it is no more pending."""
    deadline = time.monotonic() + seconds
    while (response := client.get(place)).status_code == 202 and time.monotonic() < deadline:
        time.sleep(0.02)
    return response


@pytest.mark.parametrize("of", ["alone", "memory", "nats"])
def test_the_answer_can_be_fetched_later(of: str, request: pytest.FixtureRequest) -> None:
    graph = (alone if of == "alone" else two)(f"later-{of}", slow(0.2))
    connect = {"alone": lambda: None, "memory": shared, "nats": lambda: over(request.getfixturevalue("server"))}[of]
    with served(graph, connect()) as client:
        sent = [client.post("/", json=body, headers=ASYNC) for body in (4, 0)]
        places = [response.headers["location"] for response in sent]
        pending = client.get(places[1])
        good, bad = [fetched(client, place) for place in places]
        unknown = client.get("/requests/other")
    assert [(response.status_code, response.json()["status"]) for response in sent] == [(202, "pending")] * 2
    assert sent[0].json()["id"] == places[0].removeprefix("/requests/")
    assert (pending.status_code, good.status_code, good.json(), bad.status_code) == (202, 200, 0.25, 500)
    assert bad.json()["error"] == 'Step "work" failed: ZeroDivisionError: division by zero'
    assert unknown.status_code == 404


def test_a_caller_may_wait_a_little_before_he_goes() -> None:
    with served(two("patient", slow(0.2)), shared()) as client:
        quick = client.post("/", json=4, headers={"Prefer": "respond-async, wait=5"})
    assert (quick.status_code, quick.json()) == (200, 0.25)


def test_an_event_that_answers_nothing_is_204_later_too() -> None:
    with served(two("silent", lambda body: None), shared()) as client:
        place = client.post("/", json=1, headers=ASYNC).headers["location"]
        assert fetched(client, place).status_code == 204


@pytest.mark.parametrize("several", [False, True])
def test_the_same_key_runs_once_and_answers_the_same(several: bool) -> None:
    ran = []

    def work(body: Any) -> int:
        time.sleep(0.2)
        ran.append(body)
        return len(ran)

    def post(found: list[Any]) -> None:
        found.append(client.post("/", json=7, headers={"Idempotency-Key": "k1"}).json())

    graph = (two if several else alone)(f"once-{several}", work)
    with served(graph, shared() if several else None) as client:
        found: list[Any] = []
        callers = [threading.Thread(target=post, args=(found,)) for _ in range(3)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        post(found)
        other = client.post("/", json=8, headers={"Idempotency-Key": "k1"})
        fresh = client.post("/", json=8, headers={"Idempotency-Key": "k2"})
    assert (found, ran, other.status_code, fresh.json()) == ([1, 1, 1, 1], [7, 8], 422, 2)


def test_an_answer_outlives_the_gateway(server: NatsServer) -> None:
    ran = []

    def work(body: int) -> int:
        time.sleep(0.5)
        ran.append(body)
        return body * 10

    headers = {**ASYNC, "Idempotency-Key": "first"}
    with served(two("outlives", work), over(server)) as client:
        place = client.post("/", json=4, headers=headers).headers["location"]
    with served(two("outlives", work), over(server)) as client:
        answer = fetched(client, place)
        again = client.post("/", json=4, headers={"Idempotency-Key": "first"})
    assert (place, answer.json(), again.json(), ran) == (f"/requests/{id_of('first', '/')}", 40, 40, [4])


class Forgetful(MemoryBroker):
    """Its replies get lost, as those that are sent while a gateway finds its way back to the broker."""

    async def reply(self, address: str, headers: Mapping[str, str], body: bytes) -> None:
        pass


def test_a_lost_reply_is_found_on_the_shelf() -> None:
    broker = Forgetful()

    async def connect() -> MemoryBroker:
        return broker

    with served(two("forgetful", slow(0)), connect) as client:
        began = time.monotonic()
        answer = client.post("/", json=4, headers={"Idempotency-Key": "k"})
    assert (answer.json(), time.monotonic() - began < 10) == (0.25, True)


class Cramped(Forgetful):
    """It has no room for replies until there is."""

    def __init__(self) -> None:
        super().__init__()
        self.has_room = False

    async def keep(self, name: str, state: bytes, revision: int | None = None, *, seconds: float | None = None) -> int:
        while revision and not self.has_room:  # what is known of a request already
            await asyncio.sleep(0.02)
        return await super().keep(name, state, revision, seconds=seconds)


def test_a_reply_without_a_place_keeps_its_event_in_the_queue(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """However long it takes; whoever comes back then finds the answer, and nothing is done twice."""
    monkeypatch.setattr("nbgraph.serve.queues.reply_waiters.ROOM", 0.05)
    broker, ran = Cramped(), list[float]()

    async def connect() -> MemoryBroker:
        return broker

    def kept(seconds: float) -> float:
        ran.append(seconds)
        return seconds

    with served(two("cramped", kept), connect) as client:
        place = client.post("/", json=4, headers={"Prefer": "respond-async"}).headers["Location"]
        while caplog.text.count("a reply waits for a place") < 3:
            time.sleep(0.02)
        before = client.get(place).status_code
        in_queue = asyncio.run(broker.backlog(QueueSpec("cramped-jobs")))
        broker.has_room = True
        answer = fetched(client, place).json()
    assert (before, in_queue, answer, ran) == (202, 1, 4, [4])


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({"Idempotency-Key": '""'}, "Idempotency-Key has 0 characters; expected 1 to 255."),
        ({"X-Request-Timeout": "soon"}, 'X-Request-Timeout is "soon"; expected seconds, such as 2.5.'),
        ({"X-Request-Timeout": "-1"}, 'X-Request-Timeout is "-1"; expected seconds, such as 2.5.'),
    ],
)
def test_wishes_that_make_no_sense(headers: dict[str, str], error: str) -> None:
    with served(alone("wishes", str)) as client:
        response = client.post("/", json=1, headers=headers)
    assert (response.status_code, response.json()) == (400, {"error": error})
