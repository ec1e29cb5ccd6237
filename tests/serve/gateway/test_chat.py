"""A deployed graph as OpenAI's official client sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from nbgraph import Graph
from nbgraph.deploy.deployment import Deployment
from tests.serve.gateway.test_app import ask, gateway_of

CELL = """%%graph tutor --api openai
answer -> respond
"""
ASKED: Any = [{"role": "user", "content": "one two three"}]


def answer(body):
    text = body["messages"][-1]["content"]
    if text == "fail":
        raise ValueError("no answer")
    if text == "tool":
        call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
        yield {"role": "assistant", "tool_calls": [call]}
        return
    for number, word in enumerate(text.split()):
        if word == "break":
            raise ValueError("broken")
        yield f" {word}" if number else word


@pytest.fixture(scope="module")
def deployed() -> Iterator[Deployment]:
    graph = Graph.parse(CELL, namespace={"answer": answer})
    deployment = graph.deploy("process", api_key="s3cret", progress=False)
    try:
        yield deployment
    finally:
        deployment.stop()


@pytest.fixture
def client(deployed: Deployment) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{deployed.url}/v1", api_key="s3cret", max_retries=0) as made:
        yield made


def test_a_completion(client: openai.OpenAI) -> None:
    found = client.chat.completions.create(model="tutor", messages=ASKED)
    choice = found.choices[0]
    assert (choice.message.content, choice.message.role, choice.finish_reason, found.usage.total_tokens) == (
        "one two three", "assistant", "stop", 6,
    )  # fmt: skip


def test_a_stream_of_chunks_with_its_usage(client: openai.OpenAI) -> None:
    options: Any = {"include_usage": True}
    chunks = list(client.chat.completions.create(model="tutor", messages=ASKED, stream=True, stream_options=options))
    texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert (texts, chunks[-1].usage.completion_tokens) == (["one", " two", " three"], 3)


def test_calls_of_tools_reach_the_client(client: openai.OpenAI) -> None:
    asked: Any = [{"role": "user", "content": "tool"}]
    whole = client.chat.completions.create(model="tutor", messages=asked).choices[0]
    with client.chat.completions.stream(model="tutor", messages=asked) as stream:
        streamed = stream.get_final_completion().choices[0]
    names = [one.message.tool_calls[0].function.name for one in (whole, streamed)]
    assert (names, whole.finish_reason, streamed.finish_reason) == (["add", "add"], "tool_calls", "tool_calls")


def test_the_graph_is_the_model(client: openai.OpenAI) -> None:
    listed = [(model.id, model.owned_by) for model in client.models.list()]
    assert (listed, client.models.retrieve("tutor").id) == ([("tutor", "nbgraph")], "tutor")


def test_errors_are_those_of_the_api(client: openai.OpenAI, deployed: Deployment) -> None:
    def error_of(call: Any) -> tuple[str, Any, Any]:
        with pytest.raises(openai.APIStatusError) as caught:
            call()
        return type(caught.value).__name__, caught.value.code, caught.value.param

    stranger = openai.OpenAI(base_url=f"{deployed.url}/v1", api_key="wrong", max_retries=0)
    fail: Any = [{"role": "user", "content": "fail"}]
    create = client.chat.completions.create
    assert [
        error_of(lambda: stranger.models.list()),
        error_of(lambda: create(model="other", messages=ASKED)),
        error_of(lambda: create(model="tutor", messages=[])),
        error_of(lambda: create(model="tutor", messages=fail)),
        error_of(lambda: create(model="tutor", messages=fail, stream=True)),
        error_of(lambda: client.embeddings.create(model="tutor", input="x")),
    ] == [
        ("AuthenticationError", "invalid_api_key", None),
        ("NotFoundError", "model_not_found", "model"),
        ("BadRequestError", None, "messages"),
        ("InternalServerError", None, None),
        ("InternalServerError", None, None),
        ("NotFoundError", "unknown_url", None),
    ]


def test_an_error_in_the_middle_ends_the_stream(client: openai.OpenAI, deployed: Deployment) -> None:
    asked: Any = [{"role": "user", "content": "one break"}]
    texts: list[str] = []

    def read() -> None:
        for chunk in client.chat.completions.create(model="tutor", messages=asked, stream=True):
            texts.extend([chunk.choices[0].delta.content] if chunk.choices[0].delta.content else [])

    with pytest.raises(openai.APIError, match="broken"):
        read()
    assert (texts, "broken" in deployed.failures()[0].error) == (["one"], True)


def test_the_kernel_answers_as_the_deployment_does(client: openai.OpenAI) -> None:
    graph = Graph.parse(CELL, namespace={"answer": answer})
    here = graph.run({"model": "tutor", "messages": ASKED}, path="/v1/chat/completions")
    there = client.chat.completions.create(model="tutor", messages=ASKED).to_dict()
    passing = ("id", "created")
    assert {name: here[name] for name in here if name not in passing} == {
        name: there[name] for name in there if name not in passing
    }


def test_a_body_that_is_no_json_is_refused_in_the_same_form() -> None:
    graph = Graph.parse(CELL, namespace={"answer": answer})
    reply = ask(gateway_of(graph), lambda caller: caller.post("/v1/chat/completions", content=b"{"))
    assert (reply.status_code, reply.json()["error"]["type"]) == (400, "invalid_request_error")


def test_events_go_to_the_graph_as_they_are(deployed: Deployment) -> None:
    assert deployed.invoke({"messages": ASKED}) == "one"
