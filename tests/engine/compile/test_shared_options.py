"""An option of `to` that the step's class has as an argument: every way of writing it means the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from nbgraph import Graph, GraphError, StepError, step, steps

asked = 0


class Busy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        global asked
        asked += 1
        self.send_error(503)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Busy)
    Thread(target=server.serve_forever, args=(0.05,)).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def request(body: Any) -> steps.HttpRequest:
    return steps.HttpRequest("GET", body)


def forms(url: str, retries: int) -> dict[str, Callable[[Graph], object]]:
    common: dict[str, Any] = {"retries": retries, "backoff_factor": 0}
    remote: dict[str, Any] = {"url": url, "method": "GET", **common}
    return {
        "class": lambda g: g.to(steps.RemoteStep, "r", **remote),
        "object": lambda g: g.to(steps.RemoteStep(**remote), "r"),
        "name": lambda g: g.to("RemoteStep", "r", **remote),
        "declared": lambda g: g.to(step(steps.RemoteStep, "r", **remote)),
        "declared object": lambda g: g.to(step(steps.RemoteStep(url, "GET", backoff_factor=0), "r", retries=retries)),
        "add_step": lambda g: g.add_step(steps.RemoteStep, "r", **remote),
        "batch": lambda g: g.to(lambda body: [body]).to(steps.BatchHttpRequests, "r", **remote),
        "send": lambda g: g.to(steps.SendToHttp, "r", request_builder=request, **common),
        "target": lambda g: g.to(steps.HttpTarget, "r", url=url, **common),
    }


@pytest.mark.parametrize("form", forms("", 0))
@pytest.mark.parametrize("retries", [0, 1])
def test_every_form_means_the_same(form: str, retries: int, url: str) -> None:
    global asked
    graph = Graph("g")
    forms(url, retries)[form](graph)
    asked = 0
    with pytest.raises(StepError):
        graph.run(url)
    once = asked
    again = Graph.from_yaml(graph.to_yaml(), namespace={}) if form in YAML else graph
    with pytest.raises(StepError):
        again.run(url)
    assert (once, asked) == (1 + retries, 2 * (1 + retries))


YAML = ("class", "object", "name", "declared", "declared object", "add_step", "target")


@pytest.mark.parametrize("option", ["retries=0", "retries=1", "timeout=None"])
def test_a_cell_and_a_document_say_it_too(option: str) -> None:
    text = f"%%graph g\nask = step(Ask, {option})\n-> ask\n"
    graph = Graph.parse(text, namespace={"Ask": Ask})
    again = Graph.parse(graph.source(), namespace={"Ask": Ask})
    wanted = {"retries": 6, "timeout": 30.0, option.split("=")[0]: eval(option.split("=")[1])}
    assert (graph.run(0), again.run(0)) == (wanted, wanted)


class Ask:
    """A user's class with arguments that are also options of a step."""

    def __init__(self, retries: int = 6, timeout: float | None = 30.0, max_iterations: int = 5) -> None:
        self.given = {"retries": retries, "timeout": timeout}

    def do(self, body: Any) -> dict[str, Any]:
        return self.given


def test_a_function_has_no_constructor() -> None:
    calls: list[int] = []

    def ask(body: int, retries: int = 6) -> int:
        calls.append(retries)
        raise ValueError

    with pytest.raises(StepError):
        Graph("g").to(ask, retries=1)._graph.run(1)
    assert calls == [6, 6]


def test_what_the_constructor_is_given_by_itself_stays_apart() -> None:
    graph = Graph("g")
    graph.to(Ask(retries=3), "ask", retries=1)
    assert (graph.run(0)["retries"], graph.plan().steps["ask"].call.options.retries) == (3, 1)


def test_what_could_mean_either_is_refused() -> None:
    graph = Graph("g")
    graph.to(Ask, "ask", max_iterations=2)
    with pytest.raises(GraphError, match='Step "ask" has max_iterations=2, and Ask has an argument of that name'):
        graph.run(0)


def test_concurrent_gets_its_retries() -> None:
    calls: list[int] = []

    def fail(body: int) -> None:
        calls.append(body)
        raise ValueError

    graph = Graph("g")
    graph.to(steps.Concurrent, event_processor=fail, concurrency_mechanism="thread", retries=2, backoff_factor=0)
    with pytest.raises(StepError):
        graph.run(1)
    assert (calls, graph.plan().steps["Concurrent"].call.options.retries) == ([1, 1, 1], 0)


def test_a_declaration_in_the_notebook_keeps_its_options() -> None:
    calls: list[int] = []

    def fail(body: int) -> None:
        calls.append(body)
        raise ValueError

    graph = Graph.from_dict({"version": 1, "name": "g", "steps": ["again"]}, namespace={"again": step(fail, retries=2)})
    with pytest.raises(StepError):
        graph.run(1)
    assert calls == [1, 1, 1]
