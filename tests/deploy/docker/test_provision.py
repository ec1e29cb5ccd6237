"""What functions are given, in containers of a real Docker daemon."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from nbgraph import Graph
from nbgraph.deploy.deployment import Deployment
from nbgraph.deploy.project.hardening import Hardening, hardened
from tests.lab import needs
from tests.lab.notebook import Notebook

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

pytestmark = needs.needs_docker()
CANARY = f"canary-{os.urandom(8).hex()}"
RESOURCES = {"tail": {"cpus": 0.75, "memory": "256m", "tmp": "16m"}}


CELL = """
import os
from pathlib import Path
from nbgraph import Graph
from nbgraph.steps import Queue

class Ask:
    def __init__(self, context):
        self.context = context
    def do(self, body):
        Path("/scratch/seen").write_text("x")
        given = Path("/given/word").read_text()
        return [self.context.secret("SHOP_KEY"), os.environ.get("SHOP_KEY"), os.environ.get("LEVEL"), given]
"""


def shop() -> Graph:
    """Of a notebook, so that this file does not go along; it answers with what it finds where it runs."""
    notebook = Notebook()
    notebook.cell(CELL)
    notebook.cell(
        "g = Graph('given')\n_ = g.to('(event)', 'begin').to(Queue('orders')).to(Ask, 'ask', function='tail').respond()"
    )
    found: Graph = notebook["g"]
    return found


@pytest.fixture(scope="module")
def client() -> Iterator[DockerClient]:
    import docker

    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture(scope="module")
def options(client: DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """All that can be given; the folder of the host and Docker's own volume are a person's, and stay."""
    folder = tmp_path_factory.mktemp("given")
    folder.chmod(0o755)
    (folder / "word").write_text("from the host")
    for above in [*folder.parents][:3]:
        above.chmod(above.stat().st_mode | 0o055)
    volume = f"scratch-{os.urandom(4).hex()}"
    yield {
        "env": {"LEVEL": "info"},
        "secrets": {"tail": {"SHOP_KEY": CANARY}},
        "resources": RESOURCES,
        "volumes": {"tail": {str(folder): "/given:ro", volume: "/scratch"}},
    }
    client.volumes.get(volume).remove()


@pytest.fixture(scope="module")
def deployment(options: dict[str, Any]) -> Iterator[Deployment]:
    with shop().deploy("docker", name="given-here", progress=False, **options) as running:
        yield running


def containers(client: DockerClient) -> list[Container]:
    return list(client.containers.list(filters={"label": "nbgraph.deployment=given-here"}))


def one(client: DockerClient, function: str) -> Container:
    return next(each for each in containers(client) if each.labels["nbgraph.function"] == function)


def test_a_step_finds_what_its_function_is_given(deployment: Deployment) -> None:
    assert deployment.invoke(1) == [CANARY, CANARY, "info", "from the host"]


def test_its_container_is_held_to_its_resources(client: DockerClient, deployment: Deployment) -> None:
    host = one(client, "tail").attrs["HostConfig"]
    assert {word: host[word] for word in ("NanoCpus", "Memory", "MemorySwap", "Tmpfs")} == {
        "NanoCpus": 750_000_000,
        "Memory": 256 * 2**20,
        "MemorySwap": 256 * 2**20,
        "Tmpfs": {"/tmp": "noexec,nosuid,nodev,size=16m"},
    }
    assert one(client, "given").attrs["HostConfig"]["NanoCpus"] == 0


def test_secrets_and_what_is_given_to_read_can_only_be_read(client: DockerClient, deployment: Deployment) -> None:
    found = {
        (each.labels["nbgraph.function"], mount["Destination"]): mount["RW"]
        for each in containers(client)
        for mount in each.attrs["Mounts"]
    }
    assert found == {
        ("given", "/run/secrets"): False,
        ("given", "/promised"): True,
        ("tail", "/run/secrets"): False,
        ("tail", "/given"): False,
        ("tail", "/scratch"): True,
        ("broker", "/run/secrets"): False,
        ("broker", "/data"): True,
    }


def test_the_secret_is_nowhere_but_in_its_file(client: DockerClient, deployment: Deployment) -> None:
    deployment.invoke(1)
    tail = one(client, "tail")
    api: Any = client.api
    told = {
        "containers": json.dumps([each.attrs for each in containers(client)]),
        "images": json.dumps([client.images.get(each.attrs["Image"]).attrs for each in containers(client)]),
        "history": json.dumps([client.images.get(each.attrs["Image"]).history() for each in containers(client)]),
        "volumes": json.dumps([each.attrs for each in client.volumes.list()]),
        "networks": json.dumps([each.attrs for each in client.networks.list()]),
        "logs": "".join(each.logs().decode() for each in containers(client)),
        "first environment": tail.exec_run(["cat", "/proc/1/environ"]).output.decode(),
        "command": json.dumps(api.top(tail.id)),
        "status": deployment.status().to_json(),
        "words": repr(deployment) + repr(deployment.recipe) + repr(deployment._hosted.provisions()),
    }
    chunks, _ = tail.get_archive("/graph")
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        for member in archive.getmembers():
            if (file := archive.extractfile(member)) is not None:
                told[member.name] = file.read().decode("latin-1")
    assert [name for name, text in told.items() if CANARY in text] == []


def test_whoever_attaches_scales_and_changes_it_with_the_same_secrets(
    client: DockerClient, deployment: Deployment, options: dict[str, Any]
) -> None:
    from nbgraph.deploy import deployment as held

    held.HERE.clear()  # as in another kernel
    other = Deployment.attach("given-here", graph=shop())
    before = [other.recipe.given["tail"].secrets, other.update(progress=False)]
    other.scale("tail", 2)
    answers = [other.invoke(number) for number in range(6)]
    changed = {**options, "secrets": {"tail": {"SHOP_KEY": "another"}}}
    again = shop().deploy("docker", name="given-here", progress=False, **changed)
    then = again.invoke(1)[:2]
    updated = again.update(secrets={"tail": {"SHOP_KEY": "third"}}, progress=False)
    assert (before, answers, then, updated, again.invoke(1)) == (
        [{"SHOP_KEY": CANARY}, []],
        [[CANARY, CANARY, "info", "from the host"]] * 6,
        ["another", "another"],
        ["tail"],
        ["third", "third", "info", "from the host"],
    )


def test_a_gpu_is_asked_for_in_docker_s_words() -> None:
    (asked,) = hardened(Hardening(gpus=2))["device_requests"]
    assert (asked["Count"], asked["Capabilities"]) == (2, [["gpu"]])
