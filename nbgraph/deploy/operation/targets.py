"""Targets: one address at which Prometheus finds the workers of a deployment, whatever their ports are by now."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from nbgraph.contract import TARGETS_PATH, targets_of


class TargetsServer:
    """Answers on this machine, for as long as the process that made it holds the deployment.

    >>> import httpx
    >>> server = TargetsServer("fraud", lambda: ["http://127.0.0.1:9090/metrics"])
    >>> httpx.get(server.url, trust_env=False).json()
    [{'targets': ['127.0.0.1:9090'], 'labels': {'deployment': 'fraud'}}]
    >>> server.stop()
    """

    def __init__(self, deployment: str, metrics_urls: Callable[[], Iterable[str]]) -> None:
        class Answering(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = targets_of(metrics_urls(), deployment) if self.path == TARGETS_PATH else None
                self.send_response(200 if found is not None else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(found or b"")))
                self.end_headers()
                self.wfile.write(found or b"")

            def log_message(self, format: str, *args: object) -> None:
                """A line every five seconds would drown all else."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}{TARGETS_PATH}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
