"""Workers whose broker comes later than they: they live, say why they take nothing, and go on by themselves."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nbgraph import Graph
from nbgraph.streams.nats.server import NatsServer


def free_port() -> int:
    """One that is free, as is the one behind it."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as taken, contextlib.suppress(OSError):
            port = int(taken.getsockname()[1])
            with socket.create_server(("127.0.0.1", port + 1)):
                return port


PORT = free_port()  # of the broker


def get(url: str) -> tuple[int, Any]:
    """Status and body, as soon as anybody answers."""
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(httpx.TransportError):
            told = httpx.get(url, timeout=10)
            return told.status_code, told.json()
        assert time.monotonic() < deadline, "nobody answers"
        time.sleep(0.05)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    """One that is not started yet, and where it will be is known."""
    server = NatsServer(tmp_path / "broker", port=PORT)
    yield server
    server.stop()


@contextlib.contextmanager
def worker(project: Path, token: str, port: int, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    (project / "token").write_text(token)
    command = [
        sys.executable, "-P", "-m", "nbgraph.serve", "--project", str(project), "--port", str(port),
        "--metrics-port", str(port + 1), "--broker", f"nats://127.0.0.1:{PORT}",
        "--broker-token-file", str(project / "token"), "--until-eof", *words,
    ]  # fmt: skip
    with (project / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def projects(folder: Path) -> tuple[Path, Path]:
    graph = Graph("late")
    graph.to("(event + 1)", "first").to("Queue", "late-q").to("(event * 2)", "last", function="tail").respond()
    graph.export(folder)
    return folder / "late", folder / "tail"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_fleet_whose_broker_comes_later_comes_up_by_itself(tmp_path: Path, server: NatsServer, workers: str) -> None:
    first, tail = projects(tmp_path / "graph")
    port, other = free_port(), free_port()
    url = f"http://127.0.0.1:{port}"
    with (
        worker(first, server.token, port, "--workers", workers) as gateway,
        worker(tail, server.token, other),
    ):
        live, (ready, why) = get(f"{url}/health/live"), get(f"{url}/health/ready")
        refused = httpx.post(url, json=1)
        known = get(f"{url}/requests/anything")[0]
        server.start()
        deadline = time.monotonic() + 20
        while httpx.get(f"{url}/health/ready").status_code != 200 and time.monotonic() < deadline:
            time.sleep(0.05)
        answer = httpx.post(url, json=20, timeout=20).json()
        gateway.send_signal(signal.SIGTERM)
        status = gateway.wait(20)
    assert (live[0], ready, why, known) == (200, 503, {"status": "the broker does not answer yet"}, 503)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
    assert refused.json() == {"error": "No events can be taken: the broker does not answer yet; try again in a while."}
    assert (answer, status) == (42, 0)


def test_who_waits_for_a_broker_stops_at_once_when_asked(tmp_path: Path, server: NatsServer) -> None:
    _, tail = projects(tmp_path / "graph")
    port = free_port()
    with worker(tail, server.token, port) as process:
        live, numbers = get(f"http://127.0.0.1:{port}/health/live")[0], f"http://127.0.0.1:{port + 1}/health/ready"
        ready = get(numbers)
        process.send_signal(signal.SIGTERM)
        told = live, ready, process.wait(5)
    assert told == (200, (503, {"status": "the broker does not answer yet"}), 0)
