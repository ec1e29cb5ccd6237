"""Admin: a worker's metrics, failures and captures, on a port that is never published beyond this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import msgspec
from prometheus_client import make_wsgi_app

from nbgraph.contract import (
    CAPTURES_PATH,
    COUNTS_PATH,
    FAILURES_PATH,
    PROFILES_PATH,
    READY_PATH,
    TARGETS_PATH,
    ScrapeTarget,
)
from nbgraph.serve.telemetry.captures import Captures
from nbgraph.serve.telemetry.failures import Failures
from nbgraph.serve.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from nbgraph.serve.telemetry.watching import Watching

Answer = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class _Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """A line for every scrape would drown the steps' own."""


@contextmanager
def inspected(
    host: str,
    port: int,
    metrics: Metrics,
    failures: Failures,
    captures: Captures,
    hindrance: Callable[[], str | None],
    targets: Path | None = None,
    watching: Watching | None = None,
) -> Iterator[int]:
    """Serve them while the block runs; gives the port. DELETE /failures/ID forgets one.

    `hindrance`: why no events can be taken now; whoever waits for a worker that has no callers asks here. `targets`:
    the file that says which workers there are; without one a worker knows of itself. `watching`: what is counted.
    """
    numbers, counts = make_wsgi_app(metrics.registry), make_wsgi_app(metrics.counts)

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if environ["REQUEST_METHOD"] == "DELETE" and path.startswith(f"{FAILURES_PATH}/"):
            failures.forget(path.removeprefix(f"{FAILURES_PATH}/"))
            path = FAILURES_PATH
        if path == READY_PATH:
            reason = hindrance()
            start("200 OK" if reason is None else "503 Service Unavailable", [("Content-Type", "application/json")])
            return [json.dumps({"status": reason or "ready"}).encode()]
        if path == TARGETS_PATH:
            start("200 OK", [("Content-Type", "application/json")])
            return [told_targets(targets, environ)]
        if path == PROFILES_PATH and watching is not None:
            if environ["REQUEST_METHOD"] == "POST":
                watching.silence(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
            start("200 OK", [("Content-Type", "application/vnd.msgpack")])
            return [watching.report(environ.get("QUERY_STRING", ""))]
        if path not in (FAILURES_PATH, CAPTURES_PATH):
            return (counts if path == COUNTS_PATH else numbers)(environ, start)  # type: ignore[no-any-return]
        start("200 OK", [("Content-Type", "application/json")])
        return [failures.json() if path == FAILURES_PATH else captures.json()]

    with answering(host, port, answer) as bound:
        yield bound


def told_targets(file: Path | None, environ: Mapping[str, Any]) -> bytes:
    """The workers of the deployment as Prometheus' `http_sd_configs` reads them; this one where no file says more."""
    if file is not None and file.is_file():
        return file.read_bytes()
    return msgspec.json.encode([ScrapeTarget((environ["HTTP_HOST"],))])


@contextmanager
def answering(host: str, port: int, answer: Answer) -> Iterator[int]:
    """Serve a WSGI application on a thread of its own while the block runs; gives the port."""
    server = make_server(host, port, answer, _Threads, _Silent)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
