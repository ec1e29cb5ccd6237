"""What callers get from the gateway, without a socket in between."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from nbgraph import Graph
from nbgraph.serve.gateway.api_keys import Keys
from nbgraph.serve.gateway.app import Gateway
from nbgraph.serve.gateway.limits import Limits
from nbgraph.serve.telemetry.failures import Failures
from nbgraph.serve.telemetry.metrics import Metrics

Told = tuple[int, Any]


def gateway_of(graph: Graph, *, keys: list[str] | None = None, limits: Limits | None = None) -> Gateway:
    metrics, failures = Metrics(graph.name, [step.name for step in graph.steps]), Failures()
    return Gateway(graph, metrics, failures, Keys(keys or []), limits or Limits())


def kept_by(gateway: Gateway) -> bytes:
    """What a deployment would tell of its failures."""
    return gateway.runner._failures.json()


def ask(gateway: Gateway, talk: Callable[[httpx.AsyncClient], Awaitable[Any]]) -> Any:
    """What came of talking to the gateway."""

    async def whole() -> Any:
        transport = httpx.ASGITransport(app=gateway)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://nb") as caller:
            return await talk(caller)

    try:
        return asyncio.run(whole())
    finally:
        gateway.close()


def told(response: httpx.Response) -> Told:
    kind = response.headers.get("content-type", "")
    return response.status_code, response.json() if kind == "application/json" else response.content


def post(gateway: Gateway, path: str = "/", **given: Any) -> Told:
    return told(ask(gateway, lambda caller: caller.post(path, **given)))


def graph_of(handler: Any) -> Graph:
    graph = Graph("g")
    graph.to(handler, "only").respond()
    return graph


def echo(body: Any) -> Any:
    return body


def test_an_event_carries_path_method_and_headers() -> None:
    graph = Graph("g")
    graph.to(lambda event: event.with_body([event.path, event.method, event.headers["x-card"]]), full_event=True)
    assert post(gateway_of(graph), "/a/b%20c", headers={"X-Card": "7"}, json={}) == (200, ["/a/b c", "POST", "7"])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"a": 1}, (200, {"a": 1})),
        ("text", (200, b"text")),
        (b"\x00\xff", (200, b"\x00\xff")),
        (None, (204, b"")),
        (0, (200, 0)),
        ([], (200, [])),
        (float("nan"), (200, None)),
    ],
)
def test_answers_of_all_kinds(answer: Any, expected: Told) -> None:
    assert post(gateway_of(graph_of(lambda body: answer)), json=1) == expected


def test_numbers_tables_and_dates_of_libraries_are_answers_too() -> None:
    import numpy
    import pandas

    def answer(body: Any) -> Any:
        table = pandas.DataFrame({"a": [1, 2], "at": [pandas.Timestamp("2013-01-01"), pandas.NaT]})
        return {
            "array": numpy.arange(2), "number": numpy.float64(0.5), numpy.int64(3): numpy.bool_(True), "table": table,
            "series": pandas.Series([1.5]), "missing": pandas.NA, ("a", 1): {2}, None: "\ud800",
        }  # fmt: skip

    assert post(gateway_of(graph_of(answer)), json=1) == (200, {
        "array": [0, 1], "number": 0.5, "3": True,
        "table": [{"a": 1, "at": "2013-01-01T00:00:00"}, {"a": 2, "at": None}],
        "series": [1.5], "missing": None, "('a', 1)": [2], "null": "?",
    })  # fmt: skip


@pytest.mark.parametrize("body", [b"{", b"\xef\xbb\xbf{}", b'{"a": NaN}', b"\xff", b"[" * 100_000, b""])
def test_a_body_that_is_not_json_though_it_says_so(body: bytes) -> None:
    status, answer = post(gateway_of(graph_of(echo)), content=body, headers={"Content-Type": "application/json"})
    assert (status, answer["error"][:61]) == (
        400,
        "The body is declared as application/json but is not JSON: " + answer["error"][58:61],
    )


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (b'{"a":1}', None, {"a": 1}),
        (b"hello", None, b"hello"),
        (b"[1]", "text/plain", b"[1]"),
        (b"[12345678901234567890123]", "application/json", [12345678901234567890123]),
        (
            '"\u202e\U0001f600 \\u0000"'.encode(),
            "application/json; charset=utf-8",
            b"\xe2\x80\xae\xf0\x9f\x98\x80 \x00",
        ),
    ],
)
def test_bodies_mean_what_they_mean_in_the_notebook(body: bytes, kind: str | None, expected: Any) -> None:
    headers = {"Content-Type": kind} if kind else {}
    graph = graph_of(echo)
    local = graph.run(body, content_type=kind)
    assert post(gateway_of(graph), content=body, headers=headers) == (200, expected)
    assert (local.encode() if isinstance(local, str) else local) == expected


def test_a_failing_step_is_named_without_a_trace() -> None:
    gateway = gateway_of(graph_of(lambda body: 1 / body))
    status, answer = post(gateway, json=0)
    assert (status, answer["error"], answer["step"]) == (
        500,
        'Step "only" failed: ZeroDivisionError: division by zero',
        "only",
    )
    (kept,) = json.loads(kept_by(gateway))
    assert (kept["event"]["body"], kept["step"], kept["error"]) == (0, "only", "ZeroDivisionError: division by zero")


ENDS = [SystemExit, GeneratorExit, asyncio.CancelledError]


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("kind", ENDS)
def test_what_a_step_raises_that_is_no_exception_is_its_error(kind: type[BaseException], is_async: bool) -> None:
    def leave(body: Any) -> None:
        raise kind(3)

    async def leave_later(body: Any) -> None:
        leave(body)

    gateway = gateway_of(graph_of(leave_later if is_async else leave))
    status, answer = post(gateway, json=0)
    (kept,) = json.loads(kept_by(gateway))
    assert (status, answer, kept["step"], kept["error"]) == (
        500,
        {"error": f'Step "only" failed: {kind.__name__}: 3', "step": "only", "event": kept["event"]["id"]},
        "only",
        f"{kind.__name__}: 3",
    )


def test_a_failed_event_is_kept_as_it_came_in() -> None:
    def change(body: dict[str, int]) -> None:
        body["x"] += 1
        raise ValueError

    gateway = gateway_of(graph_of(change))
    post(gateway, json={"x": 1})
    assert json.loads(kept_by(gateway))[0]["event"]["body"] == {"x": 1}


def test_an_answer_that_json_cannot_hold_is_said() -> None:
    status, answer = post(gateway_of(graph_of(lambda body: object())), json=1)
    assert (status, answer["error"]) == (
        500,
        "There is a builtins.object in it, which JSON can't hold; let the step return plain data, text or bytes.",
    )


def test_what_is_no_event() -> None:
    async def talk(caller: httpx.AsyncClient) -> list[Told]:
        asked = [caller.get("/health/live"), caller.get("/nothing"), caller.post("/health/live"), caller.put("/")]
        return [told(await each) for each in asked]

    live, nothing, posted, put = ask(gateway_of(graph_of(echo)), talk)
    assert live == (200, {"status": "live"})
    assert nothing == (404, {"error": "GET /nothing: Not Found. Events are sent by POST to / or any path below it."})
    assert (posted[0], put[0]) == (405, 404)


def test_keys_open_all_but_health() -> None:
    async def talk(caller: httpx.AsyncClient) -> list[int]:
        keys = [None, "Bearer b", "Bearer wrong", "Basic b", "Bearer \u00e9".encode("latin-1")]
        asked = [await caller.post("/", json=1, headers={"Authorization": key} if key else {}) for key in keys]
        asked += [await caller.get(path) for path in ("/openapi.json", "/health/ready")]
        return [response.status_code for response in asked]

    assert ask(gateway_of(graph_of(echo), keys=["a", "b"]), talk) == [401, 200, 401, 401, 401, 401, 200]


def test_without_a_key_no_page_from_elsewhere_gets_in() -> None:
    async def talk(caller: httpx.AsyncClient) -> list[int]:
        origins = ["http://evil.example", "http://localhost:8888", "null"]
        return [(await caller.post("/", json=1, headers={"Origin": origin})).status_code for origin in origins]

    assert ask(gateway_of(graph_of(echo)), talk) == [403, 200, 403]


def test_long_bodies_are_refused_on_their_way() -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b"x" * 100

    async def talk(caller: httpx.AsyncClient) -> list[int]:
        bodies: list[Any] = [b"x" * 1000, b"x" * 1001, endless()]
        return [(await caller.post("/", content=body)).status_code for body in bodies]

    assert ask(gateway_of(graph_of(len), limits=Limits(body_bytes=1000)), talk) == [200, 413, 413]


def test_a_body_packed_in_another_way_is_refused() -> None:
    assert post(gateway_of(graph_of(echo)), content=b"x", headers={"Content-Encoding": "br"})[0] == 415


def test_too_many_at_once_are_turned_away() -> None:
    async def talk(caller: httpx.AsyncClient) -> list[httpx.Response]:
        return list(await asyncio.gather(*(caller.post("/", json=1) for _ in range(5))))

    responses = ask(gateway_of(graph_of(lambda body: time.sleep(0.05)), limits=Limits(in_flight=2)), talk)
    assert sorted(response.status_code for response in responses) == [204, 204, 429, 429, 429]
    assert {response.headers.get("retry-after") for response in responses} == {None, "1"}


def test_a_late_answer_is_504_and_its_place_is_free_only_when_the_work_ends() -> None:
    gateway = gateway_of(graph_of(lambda body: time.sleep(0.3)), limits=Limits(seconds=0.05))

    async def talk(caller: httpx.AsyncClient) -> tuple[Told, int, int]:
        late = told(await caller.post("/", json=1))
        busy = gateway.in_flight
        await asyncio.sleep(0.4)
        return late, busy, gateway.in_flight

    (status, answer), busy, after = ask(gateway, talk)
    assert (status, answer["error"], busy, after) == (504, "No answer within 0.05 seconds.", 1, 0)


def test_a_responder_in_the_middle_answers_at_once() -> None:
    done = []

    def slow(body: Any) -> None:
        time.sleep(0.3)
        done.append(body)

    async def talk(caller: httpx.AsyncClient) -> tuple[Told, list[Any]]:
        answer = told(await caller.post("/", json=1))
        before = list(done)
        await asyncio.sleep(0.5)
        return answer, before

    graph = Graph("g")
    graph.to(lambda body: body + 1, "answer").respond().to(slow)
    answer, before = ask(gateway_of(graph), talk)
    assert (answer, before, done) == ((200, 2), [], [2])


def test_async_steps_are_in_flight_together() -> None:
    async def wait(body: int) -> int:
        await asyncio.sleep(0.1)
        return body

    async def talk(caller: httpx.AsyncClient) -> list[int]:
        return [response.json() for response in await asyncio.gather(*(caller.post("/", json=n) for n in range(20)))]

    began = time.perf_counter()
    assert ask(gateway_of(graph_of(wait)), talk) == list(range(20))
    assert time.perf_counter() - began < 1.5  # one after the other it would be 2 s


def test_sync_steps_run_one_at_a_time_and_health_answers_meanwhile() -> None:
    running = []

    def step(body: Any) -> int:
        running.append(1)
        time.sleep(0.02)
        now = len(running)
        running.pop()
        return now

    async def talk(caller: httpx.AsyncClient) -> tuple[float, set[int]]:
        events = [asyncio.ensure_future(caller.post("/", json=1)) for _ in range(10)]
        await asyncio.sleep(0.03)
        began = time.perf_counter()
        await caller.get("/health/live")
        waited = time.perf_counter() - began
        return waited, {response.json() for response in await asyncio.gather(*events)}

    waited, together = ask(gateway_of(graph_of(step)), talk)
    assert waited < 0.1
    assert together == {1}


def test_a_step_may_use_asyncio_run_wherever_it_runs() -> None:
    async def inner(body: int) -> int:
        return body + 1

    async def talk(caller: httpx.AsyncClient) -> list[int]:
        return [(await caller.post("/", json=number)).json() for number in range(120)]

    gateway = gateway_of(graph_of(lambda body: asyncio.run(inner(body)) if body % 10 == 9 else body + 1))
    assert ask(gateway, talk) == list(range(1, 121))


def test_the_interface_is_described() -> None:
    description = ask(gateway_of(graph_of(echo)), lambda caller: caller.get("/openapi.json")).json()
    assert (description["info"]["title"], "post" in description["paths"]["/"]) == ("g", True)
    assert list(description["paths"]) == ["/", "/{path}", "/requests/{id}", "/health/live", "/health/ready"]
    wishes = {parameter["name"] for parameter in description["paths"]["/"]["post"]["parameters"]}
    assert wishes == {
        "Prefer", "X-Request-Timeout", "Idempotency-Key", "traceparent", "X-Request-Id", "X-Event-Id",
    }  # fmt: skip
