"""A graph in OpenAI's form, in the kernel: what it answers becomes completions and chunks."""

from __future__ import annotations

from typing import Any

import pytest

from nbgraph import Graph, GraphError, NbgraphError, RequestError
from nbgraph.engine.chat import COMPLETIONS

CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
ASKED = {"model": "tutor", "messages": [{"role": "user", "content": "Hello there"}]}


def tutor(answer: Any) -> Graph:
    graph = Graph("tutor", protocol="openai")
    graph.to(answer, "answer").respond()
    return graph


def words(body):
    yield from ("Hel", "lo")


async def words_later(body):
    for word in ("Hel", "lo"):
        yield word


@pytest.mark.parametrize(("answer", "message", "reason"), [
    (lambda body: "Hello", {"role": "assistant", "content": "Hello"}, "stop"),
    (lambda body: {"role": "assistant", "content": "Hello"}, {"role": "assistant", "content": "Hello"}, "stop"),
    (words, {"role": "assistant", "content": "Hello"}, "stop"),
    (words_later, {"role": "assistant", "content": "Hello"}, "stop"),
    (lambda body: None, {"role": "assistant", "content": ""}, "stop"),
    (lambda body: {"tool_calls": [CALL]}, {"role": "assistant", "content": None, "tool_calls": [CALL]}, "tool_calls"),
    (lambda body: {"object": "chat.completion", "choices": [{"message": {"content": "x"}, "finish_reason": "length"}]},
     {"content": "x"}, "length"),
], ids=["text", "message", "texts", "texts later", "nothing", "tools", "whole"])  # fmt: skip
def test_what_a_graph_answers_becomes_a_completion(answer: Any, message: Any, reason: str) -> None:
    whole = tutor(answer).run(ASKED, path=COMPLETIONS)
    choice = whole["choices"][0]
    assert (whole["object"], whole["model"], choice["message"], choice["finish_reason"]) == (
        "chat.completion", "tutor", message, reason,
    )  # fmt: skip


@pytest.mark.parametrize("answer", [words, words_later])
def test_a_stream_has_a_chunk_for_each_text_and_tells_its_usage(answer: Any) -> None:
    asked = {**ASKED, "stream": True, "stream_options": {"include_usage": True}}
    chunks = list(tutor(answer).answers(asked, path=COMPLETIONS))
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    assert [deltas, chunks[-2]["choices"][0]["finish_reason"], chunks[-1]["usage"]] == [
        [{"role": "assistant", "content": ""}, {"content": "Hel"}, {"content": "lo"}, {}],
        "stop",
        {"prompt_tokens": 2, "completion_tokens": 1, "total_tokens": 3},
    ]


def test_other_paths_are_events_as_of_any_graph() -> None:
    graph = tutor(lambda body: f"{body['messages'][0]['content']}!")
    assert (graph.run(ASKED), graph.run(None, path="/v1/models", method="GET")["data"][0]["id"]) == (
        "Hello there!",
        "tutor",
    )


@pytest.mark.parametrize(("body", "path", "status", "param"), [
    ({**ASKED, "model": "other"}, COMPLETIONS, 404, "model"),
    ({"model": "tutor"}, COMPLETIONS, 400, "messages"),
    ({**ASKED, "n": 2}, COMPLETIONS, 400, "n"),
    ("hello", COMPLETIONS, 400, None),
    (ASKED, "/v1/embeddings", 404, None),
])  # fmt: skip
def test_what_the_api_would_refuse_is_refused(body: Any, path: str, status: int, param: str | None) -> None:
    with pytest.raises(RequestError) as caught:
        tutor(str).run(body, path=path)
    assert (caught.value.status, caught.value.param) == (status, param)  # type: ignore[attr-defined]


def test_an_answer_of_another_kind_is_told() -> None:
    with pytest.raises(NbgraphError, match="answered 7; a graph with --api openai answers a text"):
        tutor(lambda body: 7).run(ASKED, path=COMPLETIONS)


def test_the_cell_and_the_documents_say_so() -> None:
    graph = Graph.parse("%%graph tutor --api openai\nanswer -> respond", namespace={"answer": str})
    assert (graph.source(), Graph.from_yaml(graph.to_yaml(), namespace={"answer": str}), graph.protocol) == (
        "%%graph tutor --api openai\nanswer -> respond\n",
        graph,
        "openai",
    )


def test_routes_and_a_protocol_are_not_both() -> None:
    graph = tutor(str)
    graph.api("GET", "/x", to="answer")
    assert ("take its own routes out" in graph.check()[-1], _made("grpc")) == (True, True)


def _made(protocol: str) -> bool:
    with pytest.raises(GraphError, match='expected "openai"'):
        Graph("g", protocol=protocol)
    return True
