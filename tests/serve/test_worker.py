"""The worker as a process: what it prints, how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from packaging.utils import canonicalize_name

from nbgraph.capture.requirements import distribution_of, runtime_requirements

SLOW = """
import time

def slow(seconds):
    print("begins", seconds)
    time.sleep(seconds)
    return "done"
"""


class Worker:
    """A worker that serves a graph of one step, `slow`."""

    def __init__(self, folder: Path, *words: str) -> None:
        (folder / "graph.yaml").write_text("version: 1\nname: g\nsteps:\n  slow: {}\nresponder: slow\n")
        if not (folder / "handlers.py").exists():
            (folder / "handlers.py").write_text(SLOW)
        ready = folder / "ready.json"
        command = [sys.executable, "-P", "-m", "nbgraph.serve", "--project", str(folder), "--ready-file", str(ready)]
        command += ["--port", "0", "--metrics-port", "0", *words]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        deadline = time.monotonic() + 30
        while not ready.exists() and self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        if ready.exists():
            found = json.loads(ready.read_text())
            self.url, self.metrics = (f"http://127.0.0.1:{found[port]}" for port in ("port", "metrics_port"))

    def ended(self) -> tuple[int, str]:
        """The exit status and all that was printed."""
        output, _ = self.process.communicate(timeout=30)
        return self.process.returncode, output


@pytest.fixture
def ended_at_last(request: pytest.FixtureRequest) -> Iterator[list[Worker]]:
    workers: list[Worker] = []
    yield workers
    for worker in workers:
        worker.process.kill()
        worker.process.communicate()


def post(url: str, body: Any, found: dict[str, Any]) -> None:
    response = httpx.post(url, json=body, timeout=10)
    found["told"] = (response.status_code, response.text)


def test_a_stop_finishes_what_has_begun(tmp_path: Path, ended_at_last: list[Worker]) -> None:
    worker = Worker(tmp_path, "--drain-seconds", "0.3")
    ended_at_last.append(worker)
    found: dict[str, Any] = {}
    caller = threading.Thread(target=post, args=(worker.url, 1.0, found))
    caller.start()
    time.sleep(0.3)
    worker.process.send_signal(signal.SIGTERM)
    time.sleep(0.15)
    ready = httpx.get(f"{worker.url}/health/ready").status_code
    time.sleep(0.3)
    live = httpx.get(f"{worker.url}/health/live").status_code
    refused = httpx.post(worker.url, json=0).status_code
    caller.join()
    status, output = worker.ended()
    assert (found["told"], ready, live, refused, status) == ((200, "done"), 503, 200, 503, 0)
    lines = output.splitlines()
    assert "begins 1.0" in lines
    assert [json.loads(line)["message"] for line in lines if line.startswith("{")] == ["ready", "stopping", "stopped"]


def test_it_ends_with_the_process_that_started_it(tmp_path: Path, ended_at_last: list[Worker]) -> None:
    worker = Worker(tmp_path, "--until-eof")
    ended_at_last.append(worker)
    assert worker.process.stdin is not None
    worker.process.stdin.close()
    worker.process.stdin = None
    assert worker.ended()[0] == 0


ASKING = """
def slow(body):
    breakpoint()
    return input("who is there? ")
"""


def test_a_step_that_asks_at_a_keyboard_hears_at_once_that_nobody_is_there(
    tmp_path: Path, ended_at_last: list[Worker]
) -> None:
    (tmp_path / "handlers.py").write_text(ASKING)
    worker = Worker(tmp_path, "--until-eof")
    ended_at_last.append(worker)
    answers = [httpx.post(worker.url, json=body, timeout=20) for body in (1, 2)]
    assert [(answer.status_code, "EOF" in answer.text) for answer in answers] == [(500, True), (500, True)]
    assert worker.process.poll() is None
    worker.process.send_signal(signal.SIGTERM)
    assert "breakpoint() at" in worker.ended()[1]


def test_it_also_ends_while_it_is_still_building_its_steps(tmp_path: Path) -> None:
    (tmp_path / "graph.yaml").write_text("version: 1\nname: g\nsteps:\n  Slow: {}\nresponder: Slow\n")
    (tmp_path / "handlers.py").write_text(
        "import time\nclass Slow:\n    def __init__(self):\n        print('building', flush=True)\n"
        "        time.sleep(60)\n    def do(self, body):\n        return body\n"
    )
    command = [sys.executable, "-P", "-m", "nbgraph.serve", "--project", str(tmp_path), "--until-eof", "--port", "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stdin is not None
        began = worker.stdout.readline()
        worker.stdin.close()
        assert (began, worker.wait(10)) == ("building\n", 1)


def test_metrics_have_a_port_of_their_own(tmp_path: Path, ended_at_last: list[Worker]) -> None:
    worker = Worker(tmp_path)
    ended_at_last.append(worker)
    httpx.post(worker.url, json=0)
    httpx.post(worker.url, json=-1)
    text = httpx.get(f"{worker.metrics}/metrics").text
    assert 'nbgraph_events_total{function="g",graph="g",step="slow"} 2.0' in text
    assert 'nbgraph_errors_total{function="g",graph="g",step="slow"} 1.0' in text
    assert 'nbgraph_requests_total{function="g",graph="g",status="500"} 1.0' in text
    (failure,) = httpx.get(f"{worker.metrics}/failures").json()
    assert (failure["event"]["body"], failure["step"]) == (-1, "slow")
    assert httpx.get(f"{worker.url}/metrics").status_code == 404


def test_keys_come_from_a_file(tmp_path: Path, ended_at_last: list[Worker]) -> None:
    (tmp_path / "keys").write_text("first\nsecond\n")
    worker = Worker(tmp_path, "--key-file", str(tmp_path / "keys"))
    ended_at_last.append(worker)
    given = [{}, {"Authorization": "Bearer second"}]
    assert [httpx.post(worker.url, json=0, headers=headers).status_code for headers in given] == [401, 200]


def test_a_start_that_fails_says_why(tmp_path: Path) -> None:
    (tmp_path / "handlers.py").write_text("raise OSError('no model here')\n")
    status, output = Worker(tmp_path).ended()
    line = json.loads(output.splitlines()[0])
    assert (status, line["level"], line["message"]) == (1, "error", "OSError: no model here")
    assert "handlers.py" in line["traceback"]


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, output = Worker(tmp_path, "--port", str(port)).ended()
    assert status == 1
    assert f"Port {port} on 127.0.0.1 can't be used: Address already in use; choose another." in output


def test_a_slow_body_is_given_up_on(tmp_path: Path, ended_at_last: list[Worker]) -> None:
    worker = Worker(tmp_path, "--body-seconds", "0.2")
    ended_at_last.append(worker)
    host, port = worker.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as caller:
        caller.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n1")
        assert caller.recv(12) == b"HTTP/1.1 408"


def test_the_container_side_has_no_notebook_packages() -> None:
    code = "import sys, nbgraph.serve.worker, nbgraph.capture.artifacts; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ}
    )
    distributions = {distribution_of(name) for name in loaded.stdout.split() if not name.startswith("_")}
    pinned = {canonicalize_name(pin.name) for pin in runtime_requirements().pins}
    is_optional = {"sniffio"}  # anyio looks for it, and does without
    assert distributions - {None, "nbgraph"} - is_optional <= pinned  # what the worker imports is in every image
    heavy = {"pandas", "numpy", "docker", "IPython", "ipywidgets", "graphviz", "rich", "dill", "packaging"}
    assert heavy & set(loaded.stdout.split()) == set()
