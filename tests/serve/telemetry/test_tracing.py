"""The trace of an event: in over HTTP, through every function, out over HTTP; spans where OpenTelemetry is set up."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from nbgraph import Graph
from nbgraph.serve.telemetry.logs import JsonLines
from nbgraph.serve.telemetry.tracing import tracer
from nbgraph.streams import request_id, traceparent
from tests.serve.requests.test_deferred import shared
from tests.serve.served import served
from tests.steps.http_service import Service, echo, service_of

ID = "0af7651916cd43dd8448eb211c80319c"
GIVEN = {"traceparent": f"00-{ID}-b7ad6b7169203331-01", "tracestate": "vendor=1"}


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Where the spans of a test go; the provider is a process's own, and is taken away again."""
    found = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(found))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield found
    provider.shutdown()


def two(name: str, handler: Any) -> Graph:
    graph = Graph(name)
    graph.to("(event)", "come").to("Queue", f"{name}-jobs").to(handler, "work", function="worker").respond()
    return graph


def told(body: object) -> str:
    return traceparent.current.get()["traceparent"]


def test_the_trace_goes_through_all_functions_and_back() -> None:
    assert tracer() is None
    with served(two("through", told), shared()) as client:
        response, fresh = client.post("/", json=1, headers=GIVEN), client.post("/", json=1)
    spans = ["b7ad6b7169203331", response.headers["traceparent"][36:52], response.text[36:52]]
    assert [response.text[3:35], response.headers["traceparent"][3:35]] == [ID, ID]
    assert (len(set(spans)), response.headers["tracestate"], response.text[-2:]) == (3, "vendor=1", "01")
    assert fresh.text[3:35] == fresh.headers["traceparent"][3:35] != ID


def test_what_the_caller_calls_his_request_by_goes_through_all_functions() -> None:
    with served(two("asked", lambda body: str(request_id.current.get())), shared()) as client:
        named, bare = client.post("/", json=1, headers={"X-Request-Id": "r-1"}), client.post("/", json=1)
    assert (named.text, named.headers["x-request-id"], bare.text) == ("r-1", "r-1", "None")


@pytest.mark.parametrize("wrong", ["", "x", f"00-{'0' * 32}-b7ad6b7169203331-01", f"ff-{ID}-b7ad6b7169203331-01"])
def test_a_wrong_header_begins_a_new_trace(wrong: str) -> None:
    with served(two("wrong", told), shared()) as client:
        response = client.post("/", json=1, headers={"traceparent": wrong})
    assert response.text[3:35] not in (ID, "0" * 32)


def test_remote_steps_send_it_on_and_logs_tell_it() -> None:
    lines = []

    def logged(body: object) -> object:
        record = logging.makeLogRecord({"name": "mine", "msg": "here", "levelname": "INFO", "created": 0})
        lines.append(json.loads(JsonLines().format(record))["trace_id"])
        return body

    with service_of(Service(echo)) as service:
        graph = Graph("sends")
        graph.to(logged).to("RemoteStep", "ask", url=service.url).respond()
        with served(graph) as client:
            client.post("/", json={"a": 1}, headers=GIVEN)
        sent = service.asked[0].headers
    assert (lines, sent["traceparent"][:36], sent["tracestate"]) == ([ID], f"00-{ID}-", "vendor=1")


def test_spans_are_children_across_the_queue(exporter: InMemorySpanExporter) -> None:
    with served(two("spans", told), shared()) as client:
        response = client.post("/", json=1, headers={**GIVEN, "X-Request-Id": "r-1"})
    spans: dict[str, ReadableSpan] = {span.name: span for span in exporter.get_finished_spans()}
    parents = {name: span.parent.span_id for name, span in spans.items() if span.parent is not None}
    ids = {name: span.context.span_id for name, span in spans.items()}
    assert {f"{span.context.trace_id:x}".zfill(32) for span in spans.values()} == {ID}
    assert parents == {
        "POST": 0xB7AD6B7169203331, "come": ids["POST"], "spans-jobs": ids["POST"],
        "process spans-jobs": ids["spans-jobs"], "work": ids["process spans-jobs"],
    }  # fmt: skip
    assert [link.context.span_id for link in spans["process spans-jobs"].links] == [ids["spans-jobs"]]
    assert spans["POST"].attributes is not None
    assert spans["POST"].attributes["http.response.status_code"] == 200
    assert spans["POST"].attributes["http.request.header.x-request-id"] == "r-1"
    assert response.text[36:52] == f"{ids['work']:016x}"
