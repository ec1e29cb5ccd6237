"""Several processes of the function that callers reach, behind one address."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from nbgraph import Graph
from nbgraph.errors import DeployError
from tests.lab import needs

ASYNC = {"Prefer": "respond-async"}


def work(body: dict[str, Any]) -> int:
    if "log" in body:
        with Path(body["log"]).open("a") as log:
            log.write("ran\n")
    time.sleep(body.get("nap", 0))
    if body.get("fails"):
        raise ValueError("it fails")
    return os.getpid()


def alone() -> Graph:
    graph = Graph("crowd")
    graph.to(work).respond()
    return graph


def two() -> Graph:
    graph = Graph("crowd-two")
    graph.to(work, "work").to("Queue", "crowd-q").to("(event)", "last", function="tail").respond()
    return graph


class Foreman:
    """`python -m nbgraph.serve --workers 2` on an exported project, as a container runs it."""

    def __init__(self, folder: Path, *words: str) -> None:
        alone().export(folder)
        ready = folder / "ready.json"
        command = [sys.executable, "-P", "-m", "nbgraph.serve", "--project", str(folder), "--port", "0"]
        command += ["--metrics-port", "0", "--ready-file", str(ready), "--workers", "2", "--until-eof", *words]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        until(ready.exists)
        told = json.loads(ready.read_text())
        self.url, self.metrics = (f"http://127.0.0.1:{told[name]}" for name in ("port", "metrics_port"))


def until(holds: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


@pytest.fixture(scope="module", params=["process", "two functions", "foreman"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Any]]:
    """The address, and where numbers, failures and captures are told of all workers."""
    if request.param == "foreman":
        foreman = Foreman(tmp_path_factory.mktemp("project"))
        yield foreman.url, foreman
        foreman.process.terminate()
        foreman.process.communicate(timeout=40)
        assert foreman.process.returncode == 0
        return
    graph = alone() if request.param == "process" else two()
    with graph.deploy("process", workers=2, progress=False) as deployment:
        yield deployment.url, deployment


def post(url: str, body: Any, headers: dict[str, str] | None = None) -> httpx.Response:
    """On a connection of its own."""
    return httpx.post(url, json=body, headers=headers, trust_env=False, timeout=30)


def all_at_once(url: str, bodies: list[Any], headers: dict[str, str] | None = None) -> list[httpx.Response]:
    found: list[httpx.Response] = []
    callers = [
        threading.Thread(target=lambda body=body: found.append(post(url, body, headers)))  # type: ignore[misc]
        for body in bodies
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    return found


def test_callers_are_shared(place: tuple[str, Any]) -> None:
    url, _ = place
    pids = [response.json() for response in all_at_once(url, [{"nap": 0.05}] * 12)]
    assert len(set(pids)) == 2


def test_a_request_is_known_to_all_and_its_key_runs_once(place: tuple[str, Any], tmp_path: Path) -> None:
    url, _ = place
    log = tmp_path / "log"
    body = {"log": str(log), "nap": 0.3}
    answers = all_at_once(url, [body] * 8, {"Idempotency-Key": f"k-{tmp_path.name}-{url}"})
    assert {response.status_code for response in answers} == {200}
    assert (len({response.json() for response in answers}), log.read_text()) == (1, "ran\n")
    reply = post(url, body, ASYNC)
    location = url + reply.headers["location"]
    found = [httpx.get(location, trust_env=False).status_code for _ in range(8)]
    assert (reply.status_code, set(found) <= {200, 202}) == (202, True)
    until(lambda: httpx.get(location, trust_env=False).status_code == 200)
    assert {httpx.get(location, trust_env=False).status_code for _ in range(8)} == {200}
    assert log.read_text() == "ran\n" * 2


def test_one_that_ends_refuses_nobody_and_what_it_had_promised_is_done(place: tuple[str, Any], tmp_path: Path) -> None:
    url, _ = place
    log = tmp_path / "log"
    places = [post(url, {"log": str(log), "nap": 0.4}, ASYNC).headers["location"] for _ in range(4)]
    pid = post(url, {}).json()
    os.kill(pid, signal.SIGKILL)
    pids = [post(url, {}).json() for _ in range(20)]
    assert pid not in pids
    until(lambda: all(httpx.get(url + place, trust_env=False).status_code == 200 for place in places))
    until(lambda: len({response.json() for response in all_at_once(url, [{"nap": 0.05}] * 12)}) == 2)


def test_failures_are_told_once(place: tuple[str, Any]) -> None:
    url, told = place
    bodies = [{"fails": True, "n": number} for number in range(6)]
    assert {response.status_code for response in all_at_once(url, bodies)} == {500}
    if isinstance(told, Foreman):
        failures = httpx.get(f"{told.metrics}/failures", trust_env=False).json()
        numbers = [failure["event"]["body"]["n"] for failure in failures if failure["event"]["body"].get("fails")]
    else:
        numbers = [failure.event.body["n"] for failure in told.failures()]
    assert sorted(numbers) == list(range(6))


def test_numbers_are_added_up(place: tuple[str, Any]) -> None:
    url, told = place

    before = counted(told)
    all_at_once(url, [{"nap": 0.02}] * 10)
    assert counted(told) == before + 10


def test_what_a_killed_worker_has_counted_stays_in_the_sums(place: tuple[str, Any]) -> None:
    url, told = place
    before = counted(told)
    pids = {response.json() for response in all_at_once(url, [{"nap": 0.1}] * 10)}
    time.sleep(2.5)  # they are looked at once a second
    os.kill(min(pids), signal.SIGKILL)
    during = [counted(told) for _ in range(20)]
    until(lambda: len({response.json() for response in all_at_once(url, [{"nap": 0.1}] * 4)} - pids) == 1)
    assert set(during) == {before + 10}
    assert counted(told) >= before + 14


def counted(told: Any) -> float:
    """Events of the step `work`, of all workers."""
    if isinstance(told, Foreman):
        lines = httpx.get(f"{told.metrics}/metrics", trust_env=False).text.splitlines()
        return float(next(line.split()[-1] for line in lines if line.startswith("nbgraph_events_total{")))
    frame = told.metrics()
    return float(frame[(frame.step == "work") & (frame.name == "nbgraph_events_total")]["value"].sum())


def test_update_and_scale_keep_and_change_their_number() -> None:
    with alone().deploy("process", workers=2, progress=False) as deployment:
        deployment.scale("crowd", 3)
        graph = Graph("crowd")
        graph.to(work).to("(event)", "more").respond()
        deployment.update(graph, progress=False)
        three = len(deployment.status())
        deployment.scale("crowd", 1)
        assert (three, len(deployment.status())) == (3, 1)


def test_callers_are_taken_until_others_have_noticed_that_it_stops(tmp_path: Path) -> None:
    foreman = Foreman(tmp_path / "project", "--drain-seconds", "1")
    post(foreman.url, {})
    began = time.monotonic()
    foreman.process.terminate()
    found = []
    while time.monotonic() < began + 0.8:
        found.append(post(foreman.url, {}).status_code)
    foreman.process.communicate(timeout=30)
    assert (set(found), foreman.process.returncode) == ({200}, 0)


class Counter:
    def __init__(self) -> None:
        self.state = {"n": 0}

    def do(self, body: Any) -> int:
        self.state["n"] += 1
        return self.state["n"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"workers": 2}, '"counts" can\'t have workers=2: its step "Counter" remembers what came before'),
        ({"threads": 2}, '"counts" can\'t have threads=2: its step "Counter" remembers'),
        ({"workers": 0}, '"counts" is to have 0 workers; expected 1 to 64'),
        ({"threads": {"other": 2}}, 'threads names "other"; functions: counts'),
        ({"threads": "many"}, 'The number of threads of "counts" is'),
        (
            {"target": "swarm", "replicas": {"counts": 2}},
            '"counts" can\'t have replicas=2: its step "Counter" remembers',
        ),
    ],
)
def test_what_can_not_be_shared_is_refused(given: dict[str, Any], told: str) -> None:
    graph = Graph("counts")
    graph.to(Counter).respond()
    with pytest.raises(DeployError) as refusal:
        graph.deploy(**{"target": "process", "progress": False, **given})
    assert str(refusal.value).startswith(told)


def test_workers_are_of_the_function_that_callers_reach() -> None:
    with pytest.raises(DeployError, match='workers is for "crowd-two", which callers reach; for "tail" say replicas='):
        two().deploy("process", workers={"tail": 2}, progress=False)


@pytest.mark.parametrize(
    ("target", "file"),
    [
        ("compose", "compose.yaml"),
        ("swarm", "stack.yaml"),
        ("kubernetes", "manifests/functions/crowd-two.yaml"),
        ("nuclio", "crowd-two/function.yaml"),
    ],
)
def test_exports_say_how_many(target: str, file: str, tmp_path: Path) -> None:
    two().export(tmp_path, target, workers=2, threads={"tail": 4})
    spec = json.loads((tmp_path / "tail" / "function.json").read_text())
    assert re.search(r"--workers[\s\"'-]+2\b", (tmp_path / file).read_text())
    assert spec["threads"] == 4


def test_a_swarm_spreads_callers_over_replicas(tmp_path: Path) -> None:
    two().export(tmp_path, "swarm", replicas={"crowd-two": 2})
    service = yaml.safe_load((tmp_path / "stack.yaml").read_text())["services"]["crowd-two"]
    assert (service["deploy"]["replicas"], service["deploy"]["endpoint_mode"]) == (2, "vip")
    assert [port["mode"] for port in service["ports"]] == ["ingress"]


def test_the_threads_of_a_function_are_its_workers(tmp_path: Path) -> None:
    with alone().deploy("process", threads=4, progress=False) as deployment:
        began = time.monotonic()
        answers = all_at_once(deployment.url, [{"nap": 1.0}] * 4)
        took = time.monotonic() - began
    assert ({response.status_code for response in answers}, took < 3.5) == ({200}, True)


def test_the_command_line_takes_them_too(tmp_path: Path) -> None:
    graph = tmp_path / "crowd.yaml"
    two_expressions().save(graph)
    words = ["export", str(graph), str(tmp_path / "out"), "--workers", "2", "--threads", "tail=3"]
    assert subprocess.run([sys.executable, "-m", "nbgraph.cli", *words], check=False).returncode == 0
    spec = json.loads((tmp_path / "out" / "tail" / "function.json").read_text())
    assert ("--workers" in (tmp_path / "out" / "compose.yaml").read_text(), spec["threads"]) == (True, 3)


def two_expressions() -> Graph:
    graph = Graph("lines")
    graph.to("(event)", "first").to("Queue", "lines-q").to("(event)", "last", function="tail").respond()
    return graph


@needs.needs_docker()
def test_a_container_has_several_of_them() -> None:
    import docker

    with (
        contextlib.closing(docker.from_env()) as client,
        alone().deploy("docker", workers=2, progress=False) as deployment,
    ):
        (container,) = client.containers.list(filters={"label": f"nbgraph.deployment={deployment.name}"})

        def pids() -> set[int]:
            return {response.json() for response in all_at_once(deployment.url, [{"nap": 0.1}] * 12)}

        before = pids()
        place = deployment.url + post(deployment.url, {}, ASYNC).headers["location"]
        until(lambda: {httpx.get(place, trust_env=False).status_code for _ in range(8)} == {200})
        gone = min(before)
        status, _ = container.exec_run(["/packages/bin/python", "-c", f"import os; os.kill({gone}, 9)"])
        after = [post(deployment.url, {}).json() for _ in range(20)]
        until(lambda: len(pids()) == 2)
        frame = deployment.metrics()
        counted = frame[(frame.step == "work") & (frame.name == "nbgraph_events_total")]["value"].tolist()
        container.reload()
        assert (len(before), status, gone in after, container.status) == (2, 0, False, "running")
        assert (len(counted), counted[0] >= 32) == (1, True)  # of the killed one's last second some may be gone
