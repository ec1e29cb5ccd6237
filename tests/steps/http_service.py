"""An HTTP service of a test's own on 127.0.0.1, which answers as it is told and remembers what it was asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Asked:
    """One request as the service saw it."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Service:
    """`answer(asked)` gives a status and a body, which goes out as JSON."""

    answer: Callable[[Asked], tuple[int, Any]]
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    most_at_once: int = 0
    seconds: float = 0.0
    more_headers: dict[str, str] = field(default_factory=dict)
    content: Callable[[Any], bytes] = lambda given: json.dumps(given).encode()


def echo(asked: Asked) -> tuple[int, Any]:
    return 200, {"path": asked.path, "got": asked.body}


@contextmanager
def service_of(service: Service) -> Iterator[Service]:
    """The service while it runs, each request on a thread of its own."""
    lock, now = threading.Lock(), 0

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            nonlocal now
            length = int(self.headers.get("Content-Length") or 0)
            text = self.rfile.read(length)
            kind = self.headers.get("Content-Type", "")
            body = json.loads(text) if text and kind == "application/json" else text.decode() or None
            asked = Asked(self.command, self.path, dict(self.headers), body)
            with lock:
                now += 1
                service.most_at_once = max(service.most_at_once, now)
                service.asked.append(asked)
            time.sleep(service.seconds)
            with lock:
                now -= 1
            status, given = service.answer(asked)
            content = service.content(given)
            self.send_response(status)
            headers = {"Content-Type": "application/json", "Content-Length": str(len(content)), **service.more_headers}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = handle_one  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        service.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()
