"""Callers that ask for it get every answer, as it comes."""

from __future__ import annotations

import asyncio
import json

import httpx

from nbgraph import Graph
from tests.serve.test_gateway import ask, gateway_of


def count(body):
    for number in range(body):
        if number == 3:
            raise ValueError("no further than three")
        yield {"number": number}


async def count_later(body):
    for number in range(body):
        await asyncio.sleep(0)
        yield number


def asked(handler, body, kind):
    graph = Graph("counted")
    graph.to(handler, "count").respond()
    response: httpx.Response = ask(
        gateway_of(graph), lambda caller: caller.post("/", json=body, headers={"Accept": kind})
    )
    return response


def test_json_lines():
    response = asked(count, 2, "application/x-ndjson")
    assert [json.loads(line) for line in response.text.splitlines()] == [{"number": 0}, {"number": 1}]


def test_server_sent_events_of_an_async_generator():
    response = asked(count_later, 2, "text/event-stream")
    assert (response.headers["content-type"], response.text) == ("text/event-stream", "data: 0\n\ndata: 1\n\n")


def test_an_error_on_the_way_is_the_last_line():
    last = json.loads(asked(count, 5, "application/x-ndjson").text.splitlines()[-1])
    assert last == {"error": 'Step "count" failed: ValueError: no further than three', "step": "count"}


def test_an_error_before_the_first_answer_has_a_status():
    response = asked(lambda body: 1 / 0, 1, "application/x-ndjson")
    assert (response.status_code, response.json()["step"]) == (500, "count")


def test_others_get_the_first_answer_as_in_the_notebook():
    assert asked(count, 2, "application/json").json() == {"number": 0}
