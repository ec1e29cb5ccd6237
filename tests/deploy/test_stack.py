"""Several functions in containers of a real Docker daemon, joined by a broker in another."""

import time
from concurrent.futures import ThreadPoolExecutor

import docker
import pytest

from nbgraph import Graph
from nbgraph.deploy.deployment import InvokeError
from nbgraph.steps import Queue
from tests.lab import needs

pytestmark = needs.needs_docker()


def add_fee(order):
    return {**order, "total": order["amount"] + 5}


def rate(order):
    if order["amount"] < 0:
        raise ValueError(f"negative: {order['amount']}")
    return {**order, "rate": order["total"] / 100}


@pytest.fixture(scope="module")
def client():
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture(scope="module")
def deployment(client):
    graph = Graph("stacked")
    graph.to(add_fee).to(Queue("fees", key="amount", shards=4)).to(rate, function="rating").respond()
    with graph.deploy("docker", progress=False, replicas={"rating": 2}) as running:
        yield running


def containers(client, deployment, function):
    labels = [f"nbgraph.deployment={deployment.name}", f"nbgraph.function={function}"]
    return client.containers.list(filters={"label": labels})


def test_the_containers_answer_what_the_notebook_answers(deployment):
    found = deployment.parity([{"amount": amount} for amount in range(20)])
    assert (found["equal"].all(), deployment.functions) == (True, ["stacked", "rating"])


def test_every_container_may_do_as_little_as_possible(client, deployment):
    names = ["stacked", "rating", "broker"]
    every = [container for name in names for container in containers(client, deployment, name)]
    settings = [container.attrs["HostConfig"] for container in every]
    assert len(every) == 4
    assert {
        (
            container.attrs["Config"]["User"],
            given["ReadonlyRootfs"],
            tuple(given["CapDrop"]),
            tuple(given["SecurityOpt"]),
        )
        for container, given in zip(every, settings, strict=True)
    } == {("10001:10001", True, ("ALL",), ("no-new-privileges:true",))}
    published = {port["HostIp"] for given in every for ports in given.ports.values() for port in ports or []}
    assert published == {"127.0.0.1"}


def test_no_secret_is_in_labels_or_environment(client, deployment):
    token = deployment._hosted._token
    every = client.containers.list(filters={"label": f"nbgraph.deployment={deployment.name}"})
    assert [container.name for container in every if token in str(container.attrs)] == []


def test_a_failure_on_the_far_side_comes_home(deployment):
    with pytest.raises(InvokeError, match="negative: -3"):
        deployment.invoke({"amount": -3})
    current = deployment.graph.debug(deployment.failures()[0]).current
    assert (current.step, current.input) == ("rate", {"amount": -3, "total": 2})


def test_nothing_is_lost_when_a_worker_is_killed_and_the_broker_restarts(client, deployment):
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(deployment.invoke, {"amount": amount}) for amount in range(600)]
        time.sleep(0.3)
        containers(client, deployment, "rating")[0].kill("SIGKILL")
        time.sleep(0.3)
        containers(client, deployment, "broker")[0].restart(timeout=5)
        answers = sorted(call.result(timeout=100)["amount"] for call in calls)
    assert answers == list(range(600))
