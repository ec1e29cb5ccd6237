"""A graph on a real Swarm: three Docker daemons in network namespaces of their own, with an overlay network between."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import closing

import docker
import pytest

from nbgraph import Graph
from nbgraph.deploy.project.dockerfile import default_base
from nbgraph.errors import DeployError
from tests.lab import needs, swarm
from tests.lab.kernel import Kernel
from tests.lab.swarm import NAMESPACES, SwarmLab

pytestmark = [needs.needs_docker(), pytest.mark.timeout(400)]
NAME, NETWORK = "shop", "nbgraph-shop"
EVENTS = 500
CELL = """
import time
from concurrent.futures import ThreadPoolExecutor
from nbgraph import Graph
from nbgraph.deploy.deployment import Deployment
from nbgraph.steps import Queue

def add_fee(order):
    return {**order, "total": order["amount"] + 5}

def rate(order):
    time.sleep(0.01)
    return {**order, "rate": order["total"] / 100}

g = Graph("Shop")
_ = g.to(add_fee).to(Queue("fees", key="card", shards=6)).to(rate, function="rating").respond()

def deploy(**options):
    global deployment
    deployment = g.deploy("swarm", name="shop", progress=False, timeout=120, **options)

def ask(number):
    answer = deployment.invoke({"amount": number, "card": number % 12})
    return answer["amount"], answer["rate"]

def push(events):
    with ThreadPoolExecutor(8) as pool:
        return sorted(pool.map(ask, range(events)))
"""
UPDATE = """
import threading

answers = []
updating = threading.Thread(target=deployment.update, args=[g], kwargs={"progress": False})
updating.start()
with ThreadPoolExecutor(4) as pool:
    while updating.is_alive():
        answers += pool.map(ask, range(len(answers), len(answers) + 20))
after = ask(len(answers))
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[SwarmLab]:
    problem = swarm.problem()
    if problem is not None:
        pytest.skip(f"no Swarm in network namespaces here: {problem}")
    found = SwarmLab()
    try:
        found.start()
        found.bring("", [default_base()], found.nodes[:1])
        # Over an encrypted network no node reaches another where the kernel has no ESP, and this may be such a one.
        found.nodes[0].docker("network", "create", "--driver", "overlay", "--attachable", NETWORK)
        yield found
    finally:
        found.stop()


@pytest.fixture(scope="module")
def kernel(lab: SwarmLab) -> Iterator[Kernel]:
    """A notebook on the manager."""
    manager = lab.nodes[0]
    found = Kernel(NAMESPACES / manager.namespace, {"DOCKER_HOST": manager.host})
    try:
        found.run(CELL)
        yield found
    finally:
        found.close()


def tasks(kernel: Kernel, function: str) -> list[str]:
    """The nodes that the function's workers run on."""
    rows = kernel.value("deployment.status().to_dict('records')")
    found = [row for row in rows if row["function"] == function and row["state"] == "running"]
    return sorted(row["replica"].rpartition(" ")[2] for row in found)


def counted(kernel: Kernel, name: str) -> int:
    frame = "deployment.metrics()"
    return int(kernel.value(f"float({frame}.query(\"name == '{name}'\")['value'].sum())"))


@pytest.fixture(scope="module")
def deployed(lab: SwarmLab, kernel: Kernel) -> Kernel:
    """First on the manager alone, where the images are built; then they are brought to the others, which join in."""
    manager, *others = lab.nodes
    for node in others:
        manager.docker("node", "update", "--availability", "drain", node.name)
    kernel.run("deploy()")
    lab.bring(manager.host, kernel.value("sorted(set(deployment.status()['image']))"), others)
    for node in others:
        manager.docker("node", "update", "--availability", "active", node.name)
    return kernel


def test_an_engine_that_is_in_no_swarm_is_told_how_to_make_one() -> None:
    graph = Graph("alone")
    graph.to("(event)").respond()
    with closing(docker.from_env()) as client:
        if client.info()["Swarm"]["LocalNodeState"] == "active":
            pytest.skip("the Docker daemon here is in a Swarm")
    with pytest.raises(DeployError, match="in no Swarm: docker swarm init makes one of it"):
        graph.deploy("swarm", progress=False)


def test_the_services_answer_what_the_notebook_answers(deployed: Kernel) -> None:
    parity = "deployment.parity([{'amount': n, 'card': n % 3} for n in range(6)])['equal'].tolist()"
    assert (deployed.value(parity), deployed.value("deployment.functions")) == ([True] * 6, ["shop", "rating"])


def test_every_task_may_do_as_little_as_possible(lab: SwarmLab, deployed: Kernel) -> None:
    """The engine is asked for the containers themselves: what a service wishes and an engine grants may differ."""
    chosen = ["--quiet", "--filter", "label=nbgraph.deployment=shop"]
    ids = {node.name: node.docker("ps", *chosen).split() for node in lab.nodes}
    every = [
        found for node in lab.nodes if ids[node.name] for found in json.loads(node.docker("inspect", *ids[node.name]))
    ]
    hosts = [found["HostConfig"] for found in every]
    assert len(every) == 4  # two functions, the broker, the tunnel
    assert {(one["ReadonlyRootfs"], str(one["CapDrop"]), one["PidsLimit"], one["Init"]) for one in hosts} == {
        (True, "['ALL']", 256, True)
    }
    assert {found["Config"]["User"] for found in every} == {"10001:10001"}
    assert all(one["Memory"] for one in hosts)
    published = [
        port for found in every for ports in found["NetworkSettings"]["Ports"].values() for port in ports or ()
    ]
    assert {port["HostIp"] for port in published} == {"127.0.0.1"}
    token = deployed.value("deployment._hosted._way.secret('broker_token')")
    assert len(token) == 32
    assert token not in json.dumps(every)


def test_no_event_is_lost_with_a_node(lab: SwarmLab, deployed: Kernel) -> None:
    deployed.run("deployment.scale('rating', 3)")
    assert tasks(deployed, "rating") == ["node1", "node2", "node3"]
    victim = lab.nodes[2]
    pushing = deployed.begin(f"answers = push({EVENTS})")
    time.sleep(1)
    began = time.monotonic()
    victim.kill()
    pushing.result(150)
    answered = time.monotonic() - began
    answers = deployed.value("answers")
    lost = EVENTS - len({number for number, _ in answers})
    again = counted(deployed, "nbgraph_messages_redelivered_total")
    while victim.name in (found := tasks(deployed, "rating")) or len(found) < 3:
        assert time.monotonic() - began < 90, found
        time.sleep(0.5)
    moved = time.monotonic() - began
    print(f"{EVENTS} events, {lost} lost, {again} delivered again; {victim.name} was killed: all answered after "
          f"{answered:.1f} s, its worker stood elsewhere after {moved:.1f} s")  # fmt: skip
    assert [tuple(answer) for answer in answers] == [(number, (number + 5) / 100) for number in range(EVENTS)]


def test_an_update_that_fails_leaves_all_as_it_was_and_the_next_rolls_over(lab: SwarmLab, deployed: Kernel) -> None:
    deployed.run(CELL.replace("/ 100", "/ 10"))
    with pytest.raises(
        DeployError, match=r"The node \"node2\" has no image nbgraph/rating:\w+: name a registry"
    ) as told:
        deployed.run("deployment.update(g, progress=False)")
    assert tuple(deployed.value("ask(5)")) == (5, 0.1)
    images = re.findall(r"nbgraph/rating:\w+", str(told.value).partition("docker save")[2])
    lab.bring(lab.nodes[0].host, images, [node for node in lab.nodes[1:] if node.is_alive])
    deployed.run(UPDATE)
    answers = deployed.value("answers")
    rates = {(number, rate) for number, rate in answers}
    before, after = ({(number, (number + 5) / part) for number in range(len(answers))} for part in (100, 10))
    print(f"{len(answers)} events during the update, {len(rates & before)} answered by the old code")
    assert [number for number, _ in answers] == list(range(len(answers)))
    assert rates <= before | after
    assert deployed.value("after == (len(answers), (len(answers) + 5) / 10)")


def test_a_stop_leaves_nothing_but_the_network_that_was_there_before(lab: SwarmLab, deployed: Kernel) -> None:
    other = deployed.value("Deployment.attach('shop').functions")
    deployed.run("deployment.stop()")
    left = [lab.nodes[0].docker(kind, "ls", "--quiet") for kind in ("service", "secret", "config")]
    for node in (node for node in lab.nodes if node.is_alive):
        left += [node.docker("ps", "--all", "--quiet"), node.docker("volume", "ls", "--quiet")]
    assert (other, set(left)) == (["shop", "rating"], {""})
    assert NETWORK in lab.nodes[0].docker("network", "ls", "--format", "{{.Name}}").splitlines()
