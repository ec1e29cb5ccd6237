"""Nuclio: a function of theirs hands its events to our worker, which runs as a process beside it.

Nuclio's own triggers can't keep what a queue promises (that for NATS reads without acknowledging, and none reads
JetStream), so the worker reads its queues itself, as in every other container; Nuclio brings callers and replicas.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx

from nbgraph.contract import METRICS_PORT, OPTIONS_VARIABLE, PORT_VARIABLE, READY_PATH, WORKER_MODULE, Option

PORT = 8088  # the processor has 8080 to 8082 and 8090 for itself
PATIENCE = 300.0  # seconds until a worker is ready; models may take minutes to load
LEFT_OUT = ("connection", "content-length", "date", "host", "server", "transfer-encoding")  # each hop makes its own


class NuclioContext(Protocol):
    """What Nuclio gives: which of its processes this is, and how an answer is made."""

    worker_id: Any
    Response: Any


class WorkerProcess:
    """The worker of a project. Nuclio runs the handler in several processes; the first of them starts the worker."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._port = int(os.environ.get(PORT_VARIABLE, PORT))
        self._caller = httpx.Client(base_url=f"http://127.0.0.1:{self._port}", timeout=None, trust_env=False)

    def start(self, context: NuclioContext) -> None:
        """Return once the worker is ready."""
        if int(context.worker_id or 0) == 0:
            worker = subprocess.Popen(
                _command(self._project, self._port), stdin=subprocess.PIPE
            )  # it ends when the pipe does
            threading.Thread(target=_end_with, args=(worker,), daemon=True).start()
        deadline = time.monotonic() + PATIENCE
        while not self._is_ready():
            if time.monotonic() > deadline:
                raise TimeoutError(f"The worker was not ready within {PATIENCE:g} seconds; its log says why.")
            time.sleep(0.1)

    def answer(self, context: NuclioContext, event: Any) -> Any:
        """What the worker answers to an event of Nuclio's, status and headers included."""
        given = event.body  # Nuclio has read JSON already
        body = given if isinstance(given, bytes | str | None) else json.dumps(given)
        headers = {_text(name): _text(value) for name, value in (event.headers or {}).items()}
        if event.content_type:
            headers["Content-Type"] = _text(event.content_type)
        method, path = _text(event.method or "POST"), _target(event)
        told = self._caller.request(method, path, content=body, headers=_kept(headers))
        return context.Response(
            body=told.content,
            headers=_kept(told.headers),
            content_type=told.headers.get("content-type", "text/plain"),
            status_code=told.status_code,
        )

    def _is_ready(self) -> bool:
        try:
            return self._caller.get(READY_PATH, timeout=2).status_code == 200
        except httpx.HTTPError:
            return False


def _target(event: Any) -> str:
    """The path of a request with its query, which Nuclio tells in the URL alone."""
    query = urlsplit(_text(event.url)).query if getattr(event, "url", None) else ""
    return _text(event.path or "/") + (f"?{query}" if query else "")


def _text(value: Any) -> str:
    """
    >>> _text(b"POST"), _text("POST")  # Nuclio's Python runtimes from 3.7 on give bytes
    ('POST', 'POST')
    """
    return value.decode() if isinstance(value, bytes) else str(value)


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in LEFT_OUT}


def _command(project: Path, port: int) -> list[str]:
    """
    >>> _command(Path("/opt/nuclio"), 8088)[1:6]
    ['-P', '-m', 'nbgraph.serve', '--project', '/opt/nuclio']
    """
    own = [
        Option.PORT,
        str(port),
        Option.METRICS_HOST,
        "0.0.0.0",
        Option.METRICS_PORT,
        str(METRICS_PORT),
        Option.UNTIL_EOF,
    ]
    given = shlex.split(os.environ.get(OPTIONS_VARIABLE, ""))
    return [sys.executable, "-P", "-m", WORKER_MODULE, Option.PROJECT, str(project), *own, *given]


def _end_with(worker: subprocess.Popen[bytes]) -> None:
    """A function whose worker has gone is of no use: Nuclio starts it anew."""
    worker.wait()
    os._exit(1)
