"""Containers that somebody has ended, a daemon that is away, names that run twice, and what is left over."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from nbgraph import Graph
from nbgraph.deploy import deployment as held
from nbgraph.deploy.deployment import Deployment, InvokeError
from nbgraph.deploy.docker.prune import leftovers
from nbgraph.deploy.project.hardening import USER
from nbgraph.errors import DeployError
from nbgraph.steps import Queue
from nbgraph.streams.nats.disk import FULL
from tests.lab import needs

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = needs.needs_docker()


def mended() -> Graph:
    graph = Graph("mended")
    graph.to("(event + 1)", "one").to(Queue("numbers")).to("(event * 10)", "ten", function="tail").respond()
    return graph


@pytest.fixture(scope="module")
def client() -> Iterator[DockerClient]:
    import docker

    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    with mended().deploy("docker", name="mended-here", progress=False) as running:
        yield running


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nbgraph.cli", *words], capture_output=True, text=True, check=False, timeout=90
    )


def states(deployment: Deployment) -> dict[str, str]:
    frame = deployment.status()
    return dict(zip(frame["function"], frame["state"], strict=True))


def test_what_somebody_has_ended_is_shown_and_brought_back(client: DockerClient, deployment: Deployment) -> None:
    urls = deployment.metrics_urls
    chosen = {"label": "nbgraph.deployment=mended-here"}
    for container in client.containers.list(filters=chosen):
        container.kill()
    ended = states(deployment)
    pulse = {name: its.state for name, its in deployment.pulse().items()}
    done = command("mend", "mended-here", "--json")
    answer = deployment.invoke(1)
    for container in client.containers.list(filters={"label": ["nbgraph.function=tail", chosen["label"]]}):
        container.stop(timeout=5)
    deployment.scale("tail", 1)
    assert (ended, pulse, sorted(json.loads(done.stdout)), answer, deployment.invoke(2), states(deployment)) == (
        {"mended": "exited", "tail": "exited", "broker": "exited"},
        {"mended": "failing", "tail": "failing"},
        ["broker", "mended", "tail"],
        20,
        30,
        {"mended": "running", "tail": "running"},
    )
    assert urls[0] in deployment.metrics_urls  # a port for Prometheus that stays
    assert deployment.mend() == []


FILL = "import os; free = os.statvfs('/data'); open('/data/other', 'wb').write(b'x' * (free.f_bavail * free.f_bsize))"


def python(text: str) -> list[str]:
    return ["python3", "-c", text]


def test_a_broker_that_met_a_full_disk_comes_back_by_itself(client: DockerClient) -> None:
    """Its volume is a file system of 64 MiB, which somebody else fills."""
    marks = {"nbgraph.deployment": "cramped-here"}
    small = {"type": "tmpfs", "device": "tmpfs", "o": f"size=64m,uid={USER.partition(':')[0]}"}
    client.volumes.create("nbgraph-cramped-here-data", driver_opts=small, labels=marks)
    graph = Graph("cramped")
    graph.to("(event)", "one").to(Queue("texts")).to("(len(event))", "size", function="tail").respond()
    with graph.deploy("docker", name="cramped-here", progress=False) as deployment:
        before = deployment.invoke("abc")
        broker = client.containers.get("nbgraph-cramped-here-broker")
        broker.exec_run(python(FILL))
        with pytest.raises(InvokeError) as refused:
            deployment.invoke("x" * 2_000_000)
        is_met = FULL in broker.logs()
        broker.exec_run(python("import os; os.unlink('/data/other')"))
        after = asked_again(deployment, "x" * 2_000_000)
        broker.reload()
        told = broker.logs().count(b"is started again on its data")
    assert (before, refused.value.status, is_met, after, told) == (3, 503, True, 2_000_000, 1)


def asked_again(deployment: Deployment, body: str) -> Any:
    """The answer, for as long as callers are told to come back in a while."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return deployment.invoke(body)
        except InvokeError as error:
            if error.status != 503 or time.monotonic() > deadline:
                raise


def test_a_name_runs_on_one_target_and_a_graph_on_two_is_told(deployment: Deployment) -> None:
    with pytest.raises(DeployError) as refused:
        mended().deploy("process", name="mended-here", progress=False)
    with mended().deploy("process", name="mended-too", progress=False):
        stopping = command("stop", "mended")
        looking = command("status", "mended", "--target", "docker", "--json")
    assert (str(refused.value), stopping.returncode, stopping.stderr) == (
        'A deployment "mended-here" runs on docker already; stop that first, or take another name.',
        1,
        'nbgraph: "mended" is deployed more than once: "mended-here" on docker, "mended-too" on process. Choose one by '
        "its name, or by target= (--target).\n",
    )
    assert {row["function"] for row in json.loads(looking.stdout)} == {"mended", "tail"}


def test_what_is_used_is_left_and_what_is_not_is_listed_first(client: DockerClient, deployment: Deployment) -> None:
    image = deployment.status()["image"][0]
    client.images.get(image).tag("nbgraph/of-nobody", "1")
    used = {left.name for left in leftovers(client)}
    client.volumes.create("nbgraph-gone-data", labels={"nbgraph.deployment": "gone-long-ago"})
    client.volumes.create("models-of-a-person")
    found = {left.name for left in leftovers(client)}
    listed = command("prune").stdout
    client.volumes.get("models-of-a-person").remove()
    client.volumes.get("nbgraph-gone-data").remove()
    client.images.remove("nbgraph/of-nobody:1")
    assert (image in used, found - used, "volume nbgraph-gone-data" in listed) == (False, {"nbgraph-gone-data"}, True)


ASKING: dict[str, Callable[[Deployment], Any]] = {
    "status": lambda deployment: deployment.status(),
    "scale": lambda deployment: deployment.scale("tail", 2),
    "logs": lambda deployment: deployment.logs(),
    "failures": lambda deployment: deployment.failures(),
    "pulse": lambda deployment: deployment.pulse(),
    "metrics": lambda deployment: deployment.metrics(),
    "mend": lambda deployment: deployment.mend(),
    "stop": lambda deployment: deployment.stop(),
}


# Docker's SDK leaves a socket open that it could not connect, so what it has left is collected within the test.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_a_daemon_that_is_away_is_told_in_a_sentence_whatever_is_asked(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way to the daemon is a socket of our own, which is taken away; the real one goes on."""
    way = Way(tmp_path / "docker.sock", needs.docker_host())
    monkeypatch.setenv("DOCKER_HOST", f"unix://{way.path}")
    told, attaching, is_stopped = asked_without(way)
    gc.collect()
    assert told == dict.fromkeys(ASKING, "The Docker daemon does not answer any more")
    assert "at the Docker daemon, which can't be asked: No Docker daemon answers" in attaching
    assert not is_stopped


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_a_daemon_that_falls_silent_is_told_in_a_sentence_and_soon(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is there, as one that has been halted is, and takes what is asked without a word."""
    way = Way(tmp_path / "docker.sock", needs.docker_host())
    monkeypatch.setenv("DOCKER_HOST", f"unix://{way.path}")
    held.HERE.clear()
    other = Deployment.attach("mended-here")
    way.is_silent = True
    monkeypatch.setattr("nbgraph.deploy.docker.client.QUESTION_SECONDS", 0.2)
    monkeypatch.setattr("nbgraph.deploy.docker.client.FIRST_SECONDS", 0.2)
    with pytest.raises(DeployError, match="The Docker daemon does not answer any more"):
        other.status()
    held.HERE.clear()
    with pytest.raises(DeployError, match="which can't be asked: No Docker daemon answers"):
        Deployment.attach("mended-here")
    way.end()
    gc.collect()


def asked_without(way: Way) -> tuple[dict[str, str], str, bool]:
    """What each question and `attach` say once the way is gone, and whether the deployment is taken for stopped."""
    held.HERE.clear()
    other = Deployment.attach("mended-here")
    other.metrics()  # what it imports is there
    way.end()
    told = {}
    for name, ask in ASKING.items():
        with pytest.raises(DeployError) as error:
            ask(other)
        told[name] = str(error.value).partition(" (")[0]
    held.HERE.clear()
    with pytest.raises(DeployError) as attaching:
        Deployment.attach("mended-here")
    return told, str(attaching.value), other.is_stopped


class Way:
    """A socket that leads to the daemon's for as long as it is there."""

    def __init__(self, path: Path, host: str) -> None:
        self.path, self._host, self._pairs = path, urlsplit(host), list[socket.socket]()
        self.is_silent = False
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        with contextlib.suppress(OSError):  # it is closed
            while True:
                here, _ = self._listener.accept()
                self._lead(here)

    def _lead(self, here: socket.socket) -> None:
        self._pairs.append(here)
        try:
            there = self._reach()
        except OSError:
            here.close()  # a caller hears at once that nobody is there
            return
        self._pairs.append(there)
        for source, target in ((here, there), (there, here)):
            threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _reach(self) -> socket.socket:
        if self._host.scheme != "unix":
            return socket.create_connection((self._host.hostname, self._host.port))
        there = socket.socket(socket.AF_UNIX)
        there.connect(self._host.path)
        return there

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not self.is_silent:
                    target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        os.unlink(self.path)
        for one in [self._listener, *self._pairs]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        time.sleep(0.05)
