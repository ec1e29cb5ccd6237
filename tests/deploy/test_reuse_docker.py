"""Containers that call: other containers by name, whatever takes their place, and processes that let them in."""

from __future__ import annotations

import socket

import pytest

from nbgraph import Deployed, DeployError, Graph
from nbgraph.deploy.docker.network import place_of
from nbgraph.graph.documents.catalogue import RunningGraph
from tests.lab.needs import needs_docker

pytestmark = needs_docker()


def times(factor: int) -> Graph:
    graph = Graph("factor")
    graph.to(f"(event * {factor})", "times").respond()
    return graph


def test_a_container_calls_others_by_name_and_a_process_that_listens_to_others() -> None:
    import docker

    graph = Graph("caller")
    graph.to(Deployed("reuse-factor")).to(Deployed("reuse-near")).respond()
    with (
        times(2).deploy("docker", name="reuse-factor", api_key="hidden", progress=False) as called,
        times(5).deploy("process", name="reuse-near", host="0.0.0.0", api_key="hidden", progress=False),
        graph.deploy("docker", name="reuse-caller", progress=False) as caller,
    ):
        answers = [caller.invoke(10)]
        called.update(times(3), version="2.0", progress=False)
        answers += [caller.invoke(10), graph.run(10)]
        version = called.version
    client = docker.from_env()
    left = [network.name for network in client.networks.list() if "reuse" in str(network.name)]
    client.close()
    assert (answers, version, left) == ([100, 150, 150], "2.0", [])


def test_what_listens_to_this_machine_alone_is_refused_before_anything_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        near = RunningGraph(name="near", graph="near", version="1", target="process", url=url)
        with pytest.raises(DeployError, match='Containers can\'t reach the deployment "near"'):
            place_of("near", near)
