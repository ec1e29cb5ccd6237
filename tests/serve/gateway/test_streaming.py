"""Callers that ask for it get every answer, as it comes."""

from __future__ import annotations

import asyncio
import json
import time

import httpx
import pytest

from nbgraph import Graph
from tests.serve.gateway.test_app import ask, gateway_of, kept_by
from tests.serve.served import served


def count(body):
    for number in range(body):
        if number == 3:
            raise ValueError("no further than three")
        yield {"number": number}


async def count_later(body):
    for number in range(body):
        await asyncio.sleep(0)
        yield number


def chunk(body):
    yield body


async def chunk_later(body):
    yield body


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


@pytest.mark.parametrize("body", ["hold", "5", '"5"', 5, [1]])
@pytest.mark.parametrize("handler", ["(event)", chunk, chunk_later])
def test_a_body_is_decoded_once(handler, body):
    assert [json.loads(line) for line in asked(handler, body, "application/x-ndjson").text.splitlines()] == [body]


def test_an_error_on_the_way_is_the_last_line():
    last = json.loads(asked(count, 5, "application/x-ndjson").text.splitlines()[-1])
    event = last.pop("event")
    assert (event != "", last) == (
        True,
        {"error": 'Step "count" failed: ValueError: no further than three', "step": "count"},
    )


def test_an_error_before_the_first_answer_has_a_status():
    response = asked(lambda body: 1 / 0, 1, "application/x-ndjson")
    assert (response.status_code, response.json()["step"]) == (500, "count")


def test_others_get_the_first_answer_as_in_the_notebook():
    assert asked(count, 2, "application/json").json() == {"number": 0}


@pytest.mark.parametrize("kind", ["text/event-stream", "application/x-ndjson"])
@pytest.mark.parametrize("is_async", [False, True])
def test_a_caller_who_leaves_closes_what_he_started(kind, is_async):
    ended = []

    def numbers(body):
        try:
            for number in range(1000):
                time.sleep(0.005)
                yield number
        finally:
            ended.append("numbers")

    async def numbers_later(body):
        try:
            for number in range(1000):
                await asyncio.sleep(0.005)
                yield number
        finally:
            ended.append("numbers")

    def twice(body):
        try:
            yield body
            yield body
        finally:
            ended.append("twice") if len(ended) == 0 else None

    graph = Graph("left")
    graph.to(numbers_later if is_async else numbers, "numbers").to(twice, "twice").respond()
    with served(graph) as client:
        with client.stream("POST", "/", json=1, headers={"Accept": kind}) as response:
            for number, _ in enumerate(response.iter_lines()):
                if number == 6:
                    break
        deadline = time.monotonic() + 2
        while "numbers" not in ended and time.monotonic() < deadline:
            time.sleep(0.01)
    assert ended == ["twice", "numbers"]


def test_an_error_of_a_caller_who_wants_all_answers_is_kept():
    graph = Graph("counted")
    graph.to(count, "count").respond()
    gateway = gateway_of(graph)
    ask(gateway, lambda caller: caller.post("/", json=5, headers={"Accept": "application/x-ndjson"}))
    (kept,) = json.loads(kept_by(gateway))
    assert (kept["step"], kept["error"]) == ("count", "ValueError: no further than three")
