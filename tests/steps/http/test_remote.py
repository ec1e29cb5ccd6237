"""RemoteStep, BatchHttpRequests, SendToHttp, HttpTarget, against a real server on 127.0.0.1."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from nbgraph import Graph, GraphError, StepError, steps
from tests.steps.both import both_ways
from tests.steps.http_service import Asked, Service, echo, service_of
from tests.steps.redis_server import free_port


@pytest.fixture
def service() -> Iterator[Service]:
    with service_of(Service(echo)) as service:
        yield service


def graph_of(step: Any, **options: Any) -> Graph:
    graph = Graph("g")
    graph.to(step, "ask", **options)
    return graph


def test_the_answer_replaces_the_body(service: Service) -> None:
    step = steps.RemoteStep(f"{service.url}/api/", subpath="score")
    assert both_ways(step, [{"a": 1}, [2]]) == [
        {"path": "/api/score", "got": {"a": 1}},
        {"path": "/api/score", "got": [2]},
    ]


def test_input_and_result_path(service: Service) -> None:
    graph = graph_of(steps.RemoteStep(service.url), input_path="a", result_path="answer.score")
    assert graph.run({"a": 1, "b": 2}) == {"a": 1, "b": 2, "answer": {"score": {"path": "/", "got": 1}}}


def test_the_method_follows_the_body(service: Service) -> None:
    graph = graph_of(steps.RemoteStep(service.url))
    graph.run({"a": 1})
    graph.run(None)
    graph_of(steps.RemoteStep(service.url, "PUT")).run("text")
    assert [(asked.method, asked.body) for asked in service.asked] == [
        ("POST", {"a": 1}),
        ("GET", None),
        ("PUT", "text"),
    ]


def test_expressions(service: Service) -> None:
    step = steps.RemoteStep(
        url_expression=f"'{service.url}/rates/' + event['currency']",
        body_expression=lambda body: {"amount": body["amount"]},
        headers_expression="{'X-Currency': event['currency']}",
        headers={"X-Own": "1"},
    )
    assert graph_of(step).run({"currency": "EUR", "amount": np.float64(5)}) == {
        "path": "/rates/EUR",
        "got": {"amount": 5.0},
    }
    headers = service.asked[0].headers
    assert (headers["X-Currency"], headers["X-Own"]) == ("EUR", "1")


def test_the_callers_path_goes_on_and_his_headers_do_not(service: Service) -> None:
    graph = graph_of(steps.RemoteStep(service.url, subpath="$path"))
    secrets = {"Authorization": "Bearer mine", "Cookie": "mine"}
    assert graph.run({"a": 1}, path="/v2/models", headers=secrets)["path"] == "/v2/models"
    assert not {"authorization", "cookie"} & {name.lower() for name in service.asked[0].headers}


def test_bytes_where_no_json_is_wished(service: Service) -> None:
    assert graph_of(steps.RemoteStep(service.url, return_json=False)).run(1) == b'{"path": "/", "got": 1}'


def test_an_answer_that_is_no_success_is_the_steps_error(service: Service) -> None:
    service.answer = lambda asked: (404, {"error": "no such model"})
    step = steps.RemoteStep(f"{service.url}/m?token=secret", retries=3)
    with pytest.raises(
        StepError, match=r'POST http://127.0.0.1:\d+/m answered 404: {"error": "no such model"}'
    ) as caught:
        graph_of(step).run(1)
    assert (caught.value.__cause__.status, len(service.asked)) == (404, 1)  # type: ignore[union-attr]


def test_what_may_pass_is_tried_again(service: Service) -> None:
    def third_time(asked: Asked) -> tuple[int, Any]:
        return (200, "well") if len(service.asked) == 3 else (503, "busy")

    service.answer = third_time
    assert graph_of(steps.RemoteStep(service.url, retries=2, backoff_factor=0.001)).run(1) == "well"


def test_the_server_says_how_long_to_wait(service: Service) -> None:
    service.answer = lambda asked: (200, "well") if len(service.asked) == 2 else (429, "slowly")
    service.more_headers = {"Retry-After": "0"}
    assert graph_of(steps.RemoteStep(service.url, retries=1, backoff_factor=60)).run(1) == "well"


def test_nobody_there() -> None:
    graph = graph_of(steps.RemoteStep(f"http://127.0.0.1:{free_port()}", retries=1, backoff_factor=0.001))
    with pytest.raises(StepError, match='Step "ask" failed: ConnectError'):
        graph.run(1)


def test_a_slow_service(service: Service) -> None:
    service.seconds = 0.2
    with pytest.raises(StepError, match="ReadTimeout"):
        graph_of(steps.RemoteStep(service.url, retries=0, timeout=0.02)).run(1)


def test_no_more_than_allowed_are_in_flight(service: Service) -> None:
    service.seconds = 0.02
    graph = graph_of(steps.RemoteStep(service.url, max_in_flight=3))

    async def many() -> list[Any]:
        return await asyncio.gather(*(graph.arun(number) for number in range(9)))

    found = asyncio.run(many())
    assert ([answer["got"] for answer in found], service.most_at_once) == (list(range(9)), 3)


def test_a_graph_that_is_run_inside_a_running_graph(service: Service) -> None:
    inner = graph_of(steps.RemoteStep(service.url))
    outer = Graph("outer")

    async def ask(body: Any) -> Any:
        return (await inner.arun(body))["got"]

    outer.to(ask)
    assert (inner.run(1)["got"], outer.run(2)) == (1, 2)


def test_a_url_and_a_url_expression() -> None:
    with pytest.raises(GraphError, match="RemoteStep got a url and a function as url_expression"):
        steps.RemoteStep("http://x", url_expression=lambda body: "http://y")
    with pytest.raises(GraphError, match="RemoteStep needs a url, or a url_expression"):
        steps.RemoteStep()


def test_batch(service: Service) -> None:
    service.seconds = 0.01
    step = steps.BatchHttpRequests(service.url, url_expression=None, max_in_flight=2)
    [found] = both_ways(step, [[1, 2, 3]])
    assert ([answer["got"] for answer in found], service.most_at_once) == ([1, 2, 3], 2)


def test_a_batch_with_one_that_fails(service: Service) -> None:
    service.answer = lambda asked: (400, "odd") if asked.body == 1 else (200, "even")
    with pytest.raises(StepError, match=r"HttpError: POST .* answered 400"):
        graph_of(steps.BatchHttpRequests(service.url)).run([0, 1, 2])


def test_send_to_http(service: Service) -> None:
    def request(body: dict[str, Any]) -> Any:
        return steps.HttpRequest("PUT", f"{service.url}/{body['id']}", body["text"], {"X-Id": str(body["id"])})

    def join(body: dict[str, Any], response: Any) -> dict[str, Any]:
        return {**body, "status": response.status, "got": response.body["got"]}

    body = {"id": 7, "text": "hello"}
    assert graph_of(steps.SendToHttp(request, join)).run(body) == {**body, "status": 200, "got": "hello"}
    assert graph_of(steps.SendToHttp(request)).run(body) == {"path": "/7", "got": "hello"}


def test_http_target(service: Service) -> None:
    assert both_ways(steps.HttpTarget(service.url, headers={"X-Own": "1"}), [{"a": 1}]) == [{"a": 1}]
    graph = graph_of(steps.HttpTarget(service.url, max_events=2))
    list(graph.stream([1, 2, 3]))
    assert [asked.body for asked in service.asked] == [{"a": 1}, {"a": 1}, [1, 2], [3]]
    assert service.asked[0].headers["X-Own"] == "1"


@pytest.mark.parametrize("status", [200, 201, 204])
def test_an_answer_without_a_body_is_none(service: Service, status: int) -> None:
    service.answer = lambda asked: (status, None)
    service.content = lambda given: b""
    assert both_ways(steps.RemoteStep(service.url), [{"a": 1}]) == [None]
    assert both_ways(steps.BatchHttpRequests(service.url), [[1, 2]]) == [[None, None]]
    assert both_ways(steps.SendToHttp(lambda body: steps.HttpRequest("POST", service.url, body)), [1]) == [None]
    assert both_ways(steps.HttpTarget(service.url), [{"a": 1}]) == [{"a": 1}]


@pytest.mark.parametrize(("text", "found"), [('{"a": 1}', {"a": 1}), ("5", 5), ("well", "well"), ("", "")])
def test_an_answer_is_json_whatever_its_type(service: Service, text: str, found: Any) -> None:
    service.more_headers = {"Content-Type": "text/plain"}
    service.content = lambda given: text.encode()
    assert graph_of(steps.RemoteStep(service.url)).run(1) == found
    assert graph_of(steps.RemoteStep(service.url, return_json=False)).run(1) == text.encode()
    assert graph_of(steps.BatchHttpRequests(service.url)).run([0, 1]) == [found, found]


def test_a_url_as_the_endpoint_of_an_expression(service: Service) -> None:
    graph = graph_of(steps.RemoteStep(service.url, url_expression="endpoint + event['url']"))
    assert graph.run({"url": "/a/b"})["path"] == "/a/b"
    graph = graph_of(steps.BatchHttpRequests(service.url, url_expression="endpoint + event"))
    assert [answer["path"] for answer in graph.run(["/a", "/b"])] == ["/a", "/b"]


def test_the_event_is_told_in_headers(service: Service) -> None:
    graph = graph_of(steps.RemoteStep(service.url), input_path="a")
    graph.run({"a": 1}, id="e1", path="/über/score")
    told = {name: value for name, value in service.asked[0].headers.items() if name.lower().startswith("x-event")}
    assert told == {"X-Event-Id": "e1", "X-Event-Path": "/%C3%BCber/score"}
    graph_of(steps.RemoteStep(service.url, headers={"X-Event-Id": "mine"})).run(1)
    assert service.asked[1].headers["X-Event-Id"] == "mine"


def test_a_timeout_says_what_did_not_answer(service: Service) -> None:
    service.seconds = 0.2
    step = steps.RemoteStep(f"{service.url}/slow?key=secret", retries=1, backoff_factor=0.001, timeout=0.02)
    with pytest.raises(
        StepError, match=r"ReadTimeout: POST http://[\d.:]+/slow: no answer within 0.02 s, tried 2 times$"
    ):
        graph_of(step).run(1)
