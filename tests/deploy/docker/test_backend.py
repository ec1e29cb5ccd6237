"""Several functions in containers of a real Docker daemon, joined by a broker in another."""

import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import docker
import pytest

from nbgraph import Graph
from nbgraph.deploy.deployment import InvokeError
from nbgraph.errors import DeployError
from nbgraph.steps import Queue
from tests.lab import needs
from tests.lab.callers import calling

pytestmark = needs.needs_docker()


def add_fee(order):
    return {**order, "total": order["amount"] + 5}


def rate(order):
    if order["amount"] < 0:
        raise ValueError(f"negative: {order['amount']}")
    return {**order, "rate": order["total"] / 100}


def stacked(fee, rating):
    graph = Graph("stacked")
    graph.to(fee, "fee").to(Queue("fees", key="amount", shards=4)).to(rating, "rate", function="rating").respond()
    return graph


@pytest.fixture(scope="module")
def client():
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture(scope="module")
def deployment(client):
    with stacked(add_fee, rate).deploy("docker", progress=False, replicas={"rating": 2}) as running:
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


def until_answered(deployment, body):
    """Ask again while there is no broker, and be told the same."""
    for _ in range(300):  # a minute, since a busy machine may take half of one to restart a container
        try:
            return deployment.invoke(body, headers={"Idempotency-Key": f"k{body['amount']}"})
        except InvokeError as error:
            if error.status != 503:
                raise
            time.sleep(0.2)
    raise TimeoutError


def test_nothing_is_lost_when_a_worker_is_killed_and_the_broker_restarts(client, deployment):
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(until_answered, deployment, {"amount": amount}) for amount in range(600)]
        time.sleep(0.3)
        containers(client, deployment, "rating")[0].kill("SIGKILL")
        time.sleep(0.3)
        containers(client, deployment, "broker")[0].restart(timeout=5)
        answers = sorted(call.result(timeout=100)["amount"] for call in calls)
    assert answers == list(range(600))


def add_more(order):
    return {**order, "total": order["amount"] + 6}


def rate_twice(order):
    return {**order, "rate": order["total"] / 50}


class Stuck:
    def __init__(self):
        raise OSError("no licence")

    def do(self, body):
        return body


ELSEWHERE = """
import json, sys, time
from nbgraph.deploy.deployment import Deployment
found = Deployment.attach(sys.argv[1])
found.scale("rating", 3)
told = [found.functions, found.invoke({"amount": 5})["rate"], len(found.status()), len(found.failures())]
found.scale("rating", 2)
deadline = time.monotonic() + 30
while (backlog := found.pulse()["rating"].backlog) and time.monotonic() < deadline:
    time.sleep(0.3)
print(json.dumps([*told, backlog]))
"""


def test_another_kernel_can_look_after_it(client, deployment):
    words = [sys.executable, "-c", ELSEWHERE, deployment.name]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout, done.stderr
    assert json.loads(done.stdout) == [["stacked", "rating"], 0.1, 4, len(deployment.failures()), 0]
    assert len(containers(client, deployment, "rating")) == 2


def test_a_new_graph_takes_over_and_nothing_is_lost(client, deployment):
    before = {container.id for container in containers(client, deployment, "stacked")}
    with calling(deployment.url, body=lambda number: {"amount": number}) as seen:
        assert deployment.update(stacked(add_fee, rate_twice), progress=False) == ["rating"]
        assert {container.id for container in containers(client, deployment, "stacked")} == before
    assert (seen.failures, len(seen.answers) > 0) == ([], True)
    is_changed = threading.Event()

    def ask():
        answers, deadline = [], time.monotonic() + 120
        while not is_changed.is_set() and time.monotonic() < deadline:
            answers.append(deployment.invoke({"amount": 1})["total"] - 1)
        return [*answers, deployment.invoke({"amount": 1})["total"] - 1]

    asked = ThreadPoolExecutor(1).submit(ask)
    with calling(deployment.url, body=lambda number: {"amount": number}) as seen:
        assert deployment.update(stacked(add_more, rate_twice), progress=False) == ["stacked"]
    is_changed.set()
    answers = asked.result(timeout=60)
    print(
        f"{len(seen.failures)} calls of a plain client failed while Docker's port changed hands, {len(answers)} did not"
    )
    assert (sorted(set(answers)), len(client.networks.list(names=[f"nbgraph-{deployment.name}"]))) == ([5, 6], 1)


def of_graph(client, name):
    chosen = {"label": f"nbgraph.graph={name}"}
    found = [*client.containers.list(all=True, filters=chosen), *client.networks.list(filters=chosen)]
    return {made.name for made in [*found, *client.volumes.list(filters=chosen)]}


def test_where_one_function_can_not_start_nothing_is_left(client):
    graph = Graph("halfway")
    graph.to(add_fee).to(Queue("fees")).to(Stuck, "rate", function="rating").respond()
    before = of_graph(client, "halfway")  # a run that was killed here leaves its own
    with pytest.raises(DeployError, match="no licence"):
        graph.deploy("docker", progress=False)
    assert of_graph(client, "halfway") - before == set()
