"""How busy steps are and how full queues are, of the numbers that workers tell."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from nbgraph.deploy.backend import FunctionState
from nbgraph.deploy.operation.metrics import FunctionMetrics, MetricsReader

TEXT = """\
nbgraph_events_total{{step="score"}} {0}
nbgraph_requests_total{{status="200"}} {0}
nbgraph_step_seconds_sum{{step="score"}} {1}
nbgraph_queue_backlog{{queue="orders"}} 96
nbgraph_queue_capacity{{queue="orders"}} 100
"""


class Telling:
    """Two workers that tell the same."""

    functions = ("worker",)

    def __init__(self, url: str) -> None:
        self._url = url

    def sources(self) -> list[tuple[str, str]]:
        return [("worker", f"{self._url}/{number}") for number in (1, 2)]

    def states(self) -> list[FunctionState]:
        return [FunctionState("worker", str(number), "running", 0, "", "") for number in (1, 2)]

    def replicas(self, function: str) -> int:
        return 2


@pytest.fixture
def told() -> Iterator[tuple[str, list[str]]]:
    texts = [""]

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(texts[0].encode())

        def log_message(self, format: str, *args: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", texts
        server.shutdown()


def test_the_busy_share_is_of_all_workers_and_a_queue_is_counted_once(told: tuple[str, list[str]]) -> None:
    url, texts = told
    now = [0.0]
    reader = MetricsReader(Telling(url), lambda: now[0])  # type: ignore[arg-type]
    for moment, events, seconds in ((0.0, 10, 1.0), (4.0, 18, 3.0)):
        now[0], texts[0] = moment, TEXT.format(events, seconds)
        found = reader.read()["worker"]
    reader.close()
    assert found == FunctionMetrics(
        "worker", 2, 2, "running", events=36, rate=4.0, backlog=96, busy={"score": 0.5}, fill={"orders": 0.96}
    )
