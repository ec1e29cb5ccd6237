"""A graph hosted in a container of a real Docker daemon."""

from __future__ import annotations

import contextlib
import gc
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from nbgraph import Event, Graph
from nbgraph.deploy.deployment import Deployment
from nbgraph.deploy.docker import client as docker_target
from nbgraph.deploy.project.dockerfile import default_base
from nbgraph.errors import DeployError
from tests.lab import needs
from tests.lab.notebook import Notebook

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

pytestmark = needs.needs_docker()
CELL = """
import os, sys, time
from pathlib import Path
from nbgraph import Graph
RATES = {"DE": 0.19, "FR": 0.2}
BIG = list(range(2000))

class Look:
    '''Answers what the container lets it see and do.'''
    def __init__(self, context):
        self.context = context
    def do(self, body):
        print("asked for", body["what"])
        return getattr(self, body["what"])(body)
    def tax(self, body):
        return {"tax": round(body["amount"] * RATES[body["country"]], 2), "known": body["amount"] in BIG}
    def slow(self, body):
        time.sleep(body["seconds"])
        return {"done": True}
    def who(self, body):
        return [os.getuid(), os.getgid()]
    def write(self, body):
        try:
            Path(body["path"]).write_text("x")
        except OSError as error:
            return error.strerror
        return "written"
    def run(self, body):
        Path("/tmp/x").write_text("#!/bin/sh\\n")
        os.chmod("/tmp/x", 0o755)
        return os.access("/tmp/x", os.X_OK)
    def capabilities(self, body):
        lines = Path("/proc/self/status").read_text().splitlines()
        return {line.split(":")[0]: line.split()[1] for line in lines if line.startswith(("CapEff", "NoNewPrivs"))}
    def once(self, body):
        if not Path("/promised/been-here").exists():
            Path("/promised/been-here").touch()
            time.sleep(0.5)
            os._exit(1)
        return "done at last"
    def modules(self, body):
        return sorted({"pandas", "IPython", "ipywidgets", "docker"} & {name.split(".")[0] for name in sys.modules})
    def installed(self, body):
        from importlib.metadata import distributions
        return sorted({d.metadata["Name"].lower() for d in distributions()} & {"pandas", "ipython", "jedi"})

def tax_in(body, country, amount: float):
    return {"tax": round(amount * RATES[country], 2)}

g = Graph("Look")
_ = g.api("POST", "/*", to=Look).respond()
_ = g.api("GET", "/tax/{country}", to=tax_in).respond()
"""
EVENTS = [{"what": "tax", "amount": 10, "country": "DE"}, {"what": "tax", "amount": 1, "country": "XX"}, {}]


def of_notebook(cell: str) -> Graph:
    notebook = Notebook()
    notebook.cell(cell)
    graph: Graph = notebook["g"]
    return graph


@pytest.fixture(scope="module")
def client() -> Iterator[DockerClient]:
    found = docker_target.connect()
    if not found.images.list(default_base()):
        needs.give_up(f"the daemon has no image {default_base()}; tests/lab/base_image.py makes a stand-in")
    yield found
    for image in found.images.list(filters={"dangling": False}):
        for tag in image.tags:
            if tag.startswith(("nbgraph/look:", "nbgraph/broken:")):
                found.images.remove(tag, force=True)
    found.close()


@pytest.fixture(scope="module")
def graph() -> Graph:
    return of_notebook(CELL)


@pytest.fixture(scope="module")
def deployment(client: DockerClient, graph: Graph) -> Iterator[Deployment]:
    with graph.deploy("docker", progress=False, api_key="k3y") as found:
        yield found


@pytest.fixture(scope="module")
def container(client: DockerClient, deployment: Deployment) -> Container:
    return container_of(client, deployment)


def container_of(client: DockerClient, deployment: Deployment) -> Container:
    (found,) = client.containers.list(filters={"label": f"nbgraph.deployment={deployment.name}"})
    return found


def everything(client: DockerClient, name: str) -> list[str]:
    """What stands at the daemon under the graph's name."""
    chosen: dict[str, Any] = {"label": f"nbgraph.graph={name}"}
    containers = [str(found.name) for found in client.containers.list(all=True, filters=chosen)]
    return sorted([*containers, *(str(volume.name) for volume in client.volumes.list(filters=chosen))])


def test_it_answers_what_the_notebook_answers(graph: Graph, deployment: Deployment) -> None:
    key = {"Authorization": "Bearer k3y"}
    answer = httpx.post(deployment.url, json=EVENTS[0], headers=key).json()
    assert answer == graph.run(EVENTS[0]) == deployment.invoke(EVENTS[0]) == {"tax": 1.9, "known": True}
    assert list(deployment.parity(EVENTS)["equal"]) == [True] * 3


def test_it_takes_the_routes_that_the_notebook_takes(deployment: Deployment) -> None:
    calls = [("/tax/DE?amount=10", "GET"), ("/tax/DE", "GET"), ("/tax/DE?amount=ten", "GET"), ("/tax", "GET")]
    table = deployment.parity([Event(None, path=path, method=method) for path, method in calls])
    assert (list(table["equal"]), table["deployed"][0]) == ([True] * 4, {"tax": 1.9})


def test_from_inside_it_may_do_little(deployment: Deployment) -> None:
    assert deployment.invoke({"what": "who"}) == [10001, 10001]
    assert deployment.invoke({"what": "capabilities"}) == {"CapEff": "0000000000000000", "NoNewPrivs": "1"}
    paths = ["/graph/x", "/packages/x", "/tmp/x"]
    told = [deployment.invoke({"what": "write", "path": path}) for path in paths]
    assert told == ["Read-only file system", "Read-only file system", "written"]
    assert deployment.invoke({"what": "run"}) is False


def test_from_outside_it_has_the_hardened_profile(container: Container) -> None:
    host = container.attrs["HostConfig"]
    assert {
        "ReadonlyRootfs": host["ReadonlyRootfs"], "CapDrop": host["CapDrop"], "Privileged": host["Privileged"],
        "SecurityOpt": host["SecurityOpt"], "Memory": host["Memory"], "PidsLimit": host["PidsLimit"],
        "Tmpfs": host["Tmpfs"], "Init": host["Init"], "RestartPolicy": host["RestartPolicy"]["Name"],
        "User": container.attrs["Config"]["User"],
        "HostIp": {bound[0]["HostIp"] for bound in container.attrs["NetworkSettings"]["Ports"].values()},
    } == {
        "ReadonlyRootfs": True, "CapDrop": ["ALL"], "Privileged": False,
        "SecurityOpt": ["no-new-privileges:true"], "Memory": host["MemorySwap"], "PidsLimit": 256,
        "Tmpfs": {"/tmp": "noexec,nosuid,nodev,size=64m"}, "Init": True, "RestartPolicy": "unless-stopped",
        "User": "10001:10001", "HostIp": {"127.0.0.1"},
    }  # fmt: skip
    assert 2**30 <= host["Memory"] < 2**31


def test_the_key_is_a_file_and_nowhere_else(client: DockerClient, container: Container, deployment: Deployment) -> None:
    assert httpx.post(deployment.url, json={}).status_code == 401
    status, owner = container.exec_run(
        ["/packages/bin/python", "-c", "import os; print(oct(os.stat('/run/secrets/api_key').st_mode))"]
    )
    assert (status, owner) == (0, b"0o100400\n")
    image = client.images.get(container.attrs["Image"])
    assert "k3y" not in json.dumps([container.attrs["Config"], container.labels, image.attrs, image.history()])


def test_inside_the_image_are_no_notebook_packages(deployment: Deployment) -> None:
    assert deployment.invoke({"what": "installed"}) == []
    assert deployment.invoke({"what": "modules"}) == []


def test_labels_status_logs_metrics_and_failures(container: Container, deployment: Deployment) -> None:
    assert {name: value for name, value in container.labels.items() if name.startswith("nbgraph.")} == {
        "nbgraph.graph": "Look", "nbgraph.function": "look", "nbgraph.deployment": deployment.name,
        "nbgraph.duty": container.labels["nbgraph.duty"],
    }  # fmt: skip
    (status,) = deployment.status().to_dict("records")
    assert (status["function"], status["state"], status["restarts"]) == ("look", "running", 0)
    deployment.invoke(EVENTS[0])
    assert "asked for tax" in deployment.logs().splitlines()
    metrics = deployment.metrics()
    assert metrics[(metrics["step"] == "Look") & (metrics["name"] == "nbgraph_events_total")]["value"].item() > 1
    with pytest.raises(DeployError, match="KeyError: 'XX'"):
        deployment.invoke(EVENTS[1])
    assert deployment.failures()[0]["event"].body == EVENTS[1]


def test_attach_after_the_kernel_is_gone(deployment: Deployment) -> None:
    other = Deployment.attach("Look")
    assert (other.name, other.invoke(EVENTS[0])["tax"]) == (deployment.name, 1.9)


def test_a_stop_finishes_what_has_begun_and_leaves_nothing(client: DockerClient, graph: Graph) -> None:
    deployment = graph.deploy("docker", progress=False)
    container = container_of(client, deployment)
    found: dict[str, Any] = {}

    def ask() -> None:
        found["answer"] = httpx.post(deployment.url, json={"what": "slow", "seconds": 1}, timeout=20).json()

    caller = threading.Thread(target=ask)
    caller.start()
    time.sleep(0.3)
    began = time.monotonic()
    container.stop(timeout=30)
    caller.join()
    container.reload()
    state = container.attrs["State"]
    assert (found["answer"], state["ExitCode"], state["OOMKilled"]) == ({"done": True}, 0, False)
    assert time.monotonic() - began < 10
    deployment.stop()
    assert [name for name in everything(client, "Look") if deployment.name in name] == []


def test_what_was_accepted_is_done_by_the_container_that_docker_starts_again(graph: Graph) -> None:
    with graph.deploy("docker", progress=False) as deployment:
        told = httpx.post(deployment.url, json={"what": "once"}, headers={"Prefer": "respond-async"})
        place, deadline = deployment.url + told.headers["location"], time.monotonic() + 30
        found = told
        while (found is told or found.status_code == 202) and time.monotonic() < deadline:
            time.sleep(0.1)
            with contextlib.suppress(httpx.HTTPError):
                found = httpx.get(place)
        assert (told.status_code, found.status_code, found.text) == (202, 200, "done at last")
        assert list(deployment.status()["restarts"]) == [1]


def test_the_same_graph_again_needs_no_build(graph: Graph, deployment: Deployment) -> None:
    with graph.deploy("docker", progress=False) as again:
        assert again.invoke(EVENTS[0]) == {"tax": 1.9, "known": True}
        assert list(again.status()["image"]) == list(deployment.status()["image"])


def test_a_port_in_use(client: DockerClient, graph: Graph, deployment: Deployment) -> None:
    before = everything(client, "Look")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DeployError, match=f"Port {port} on 127.0.0.1 is in use; choose another, or leave"):
            graph.deploy("docker", progress=False, port=port)
    assert everything(client, "Look") == before


def test_a_build_that_fails_shows_the_end_of_its_log(client: DockerClient) -> None:
    graph = Graph("Broken")
    graph.to("(event)", "same").respond()
    client.api.import_image_from_data(bytes(10240), repository="nothing-in-it")  # an empty archive
    with pytest.raises(DeployError, match=r"The image could not be built:\n(.*\n)+.*python3") as failed:
        graph.deploy("docker", progress=False, base_image="nothing-in-it")
    client.images.remove("nothing-in-it")
    assert len(str(failed.value).splitlines()) <= 15
    with pytest.raises(DeployError, match=r'"scratch-of-nothing" is not here and can\'t be pulled .*; name'):
        graph.deploy("docker", progress=False, base_image="scratch-of-nothing")
    assert everything(client, "Broken") == []


def test_a_start_that_fails_shows_the_end_of_its_log(client: DockerClient, deployment: Deployment) -> None:
    graph = of_notebook(
        CELL.replace('"Look"', '"Broken"').replace("self.context = context", "raise OSError('no model')")
    )
    with pytest.raises(DeployError) as failed:
        graph.deploy("docker", progress=False, api_key="k")
    assert "The container ended before it was ready; the end of its log:" in str(failed.value)
    assert "OSError: no model" in str(failed.value)
    assert everything(client, "Broken") == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the SDK leaves its socket open
def test_a_missing_daemon_is_one_sentence(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(
        DeployError, match=r'No Docker daemon answers \(.*\): start Docker .* graph.deploy\("process"\)'
    ):
        graph.deploy("docker", progress=False)
    gc.collect()


def test_with_a_certificate_callers_come_by_https(certificate: tuple[Path, Path]) -> None:
    graph = Graph("secure")
    graph.to("(event + 1)", "add").respond()
    with graph.deploy("docker", certificate=certificate, progress=False) as found:
        trusting = ssl.create_default_context(cafile=str(certificate[0]))
        told = httpx.post(found.url, json=1, verify=trusting, trust_env=False).json()
        again = Deployment.find(found.name, "docker")
        assert again is not None
        assert (found.url[:8], told, found.invoke(1), again.url) == ("https://", 2, 2, found.url)
