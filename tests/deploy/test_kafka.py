"""Deployments over Kafka: processes and containers at a mock cluster of librdkafka, refusals, and what exports say.

The mock cluster runs in a process of its own and keeps offsets with their metadata, which Tansu drops; it makes topics
when it is asked for them and never removes one, which Tansu does (tests/streams/test_transport.py).
"""

import ipaddress
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml

from nbgraph import Graph
from nbgraph.deploy.deployment import Deployment, InvokeError
from nbgraph.errors import DeployError
from nbgraph.steps import MapWithState, Queue
from tests.lab import needs
from tests.streams.kafka_cluster import QUICK, mock_process
from tests.streams.tansu import tansu

LOGIN = "kafka://me:p%22w@kafka.example:9093?security.protocol=SASL_SSL&sasl.mechanism=SCRAM-SHA-512"
SAID = "kafka://kafka.example:9093/rated?sasl.mechanism=SCRAM-SHA-512&security.protocol=SASL_SSL"


ATTACHED = """
import sys
from nbgraph.deploy.deployment import Deployment
found = Deployment.attach(sys.argv[1])
print(len(found.failures()), found.request.streams.url, ",".join(found.functions))
"""


def add_fee(order):
    return {**order, "total": order["amount"] + 5}


def rate(order):
    if order["amount"] < 0:
        raise ValueError(f"negative: {order['amount']}")
    return {**order, "rate": order["total"] / 100}


def rate_all(order):
    return {**order, "rate": abs(order["total"]) / 100}


def count(order, seen):
    return {**order, "number": seen + 1}, seen + 1


def rated(rating=rate):
    graph = Graph("rated")
    graph.to(add_fee).to(Queue("fees")).to(rating, "rate", function="rating").respond()
    return graph


@pytest.fixture(scope="module")
def servers():
    with mock_process() as address:
        yield address


@pytest.fixture(scope="module")
def deployment(servers):
    streams = f"kafka://{servers}?{QUICK}"
    with rated().deploy("process", progress=False, replicas={"rating": 2}, streams=streams) as running:
        yield running


def test_it_answers_what_the_notebook_answers_and_its_functions_are_scaled(deployment):
    before = deployment.parity([{"amount": amount} for amount in range(10)])["equal"].all()
    deployment.scale("rating", 3)
    after = deployment.parity([{"amount": amount} for amount in range(10)])["equal"].all()
    deployment.scale("rating", 1)
    assert (before, after, deployment.status()["function"].tolist()) == (True, True, ["rated", "rating"])


def test_a_failure_comes_home_and_the_event_is_put_back_once_the_step_is_mended(deployment):
    with pytest.raises(InvokeError, match="negative: -3"):
        deployment.invoke({"amount": -3})
    failure = deployment.failures()[0]
    current = deployment.graph.debug(failure).current
    changed = deployment.update(rated(rate_all), progress=False)
    deployment.resubmit(failure)
    deadline = time.monotonic() + 20
    while deployment.pulse()["rating"].backlog and time.monotonic() < deadline:
        time.sleep(0.1)
    assert (failure.step, current.input, changed, deployment.failures()) == (
        "rate",
        {"amount": -3, "total": 2},
        ["rating"],
        [],
    )


def test_more_workers_than_a_queue_without_keys_has_partitions_are_refused(deployment):
    with pytest.raises(DeployError, match='"rating" can have 1 to 16 workers; 17 were asked for'):
        deployment.scale("rating", 17)


def test_what_steps_remember_is_there_when_their_worker_is_killed(servers):
    graph = Graph("counted")
    graph.to("(event)", "same").to(Queue("cards", key="card", shards=4))
    graph.step("cards").to(MapWithState(0, count, group_by_key=True), "count", function="far").respond()
    with graph.deploy("process", progress=False, streams=f"kafka://{servers}?{QUICK}") as running:
        first = [running.invoke({"card": card})["number"] for card in "aab"]
        [pid] = running.status().query("function == 'far'")["replica"]
        os.kill(int(pid), signal.SIGKILL)
        second = [running.invoke({"card": card})["number"] for card in "ab"]
    assert (first, second) == ([1, 2, 1], [3, 2])


def test_one_name_is_one_deployment_at_one_broker(servers):
    streams = f"kafka://{servers}?{QUICK}"
    with rated().deploy("process", name="named", progress=False, streams=streams) as running:
        running.invoke({"amount": 1})
        with pytest.raises(DeployError, match='"named" runs with another streams'):
            rated().deploy("process", name="named", progress=False)
        assert Deployment.attach("named").request.streams.url.startswith(f"kafka://{servers}/named?")


def test_a_broker_that_keeps_too_little_or_is_not_there_is_refused_before_anything_starts():
    with tansu() as servers, pytest.raises(DeployError, match="does not keep the metadata of committed offsets"):
        rated().deploy("process", progress=False, streams=f"kafka://{servers}")
    with pytest.raises(DeployError, match="is reached from this machine alone"):
        rated().deploy("docker", progress=False, streams="kafka://localhost")
    with pytest.raises(DeployError, match='Target "swarm" brings a broker of its own'):
        rated().deploy("swarm", progress=False, streams="kafka://kafka.example")


@needs.needs_docker()
def test_containers_are_joined_by_the_cluster_and_found_from_another_kernel():
    with (
        mock_process(docker_host()) as servers,
        rated().deploy("docker", progress=False, streams=f"kafka://{servers}?{QUICK}") as running,
    ):
        found = running.parity([{"amount": amount} for amount in range(5)])["equal"].all()
        with pytest.raises(InvokeError, match="negative: -3"):
            running.invoke({"amount": -3})
        done = subprocess.run(
            [sys.executable, "-c", ATTACHED, running.name], capture_output=True, text=True, timeout=60, check=True
        )
        url = running.request.streams.url
    assert (found, done.stdout.split()) == (True, ["1", url, "rated,rating"])


def docker_host() -> str:
    """The address of this machine on Docker's own bridge."""
    import docker

    client = docker.from_env()
    try:
        config = client.networks.get("bridge").attrs["IPAM"]["Config"][0]
    finally:
        client.close()
    network = ipaddress.ip_network(config["Subnet"])
    return str(config.get("Gateway") or next(network.hosts()))


def test_manifests_reach_the_cluster_and_keda_asks_it_with_a_login_of_its_own(tmp_path):
    written = rated().export(tmp_path / "x", "kubernetes", streams=LOGIN, autoscale={"rating": (1, 8, 50)})
    folder = written.folder
    whole = "".join(path.read_text() for path in folder.rglob("*") if path.suffix in (".yaml", ".sh", ".md", ".json"))
    login, _, scaled = yaml.safe_load_all((folder / "manifests/scale.yaml").read_text())
    [worker, _] = yaml.safe_load_all((folder / "manifests/functions/rating.yaml").read_text())
    egress = [
        one["spec"]["egress"]
        for one in yaml.safe_load_all((folder / "manifests/network.yaml").read_text())
        if one["metadata"]["name"] == "queues"
    ]
    assert (
        'p"w' in whole or "p%22w" in whole,
        (folder / "manifests/broker.yaml").exists(),
        "confluent-kafka==" in (folder / "rating/runtime/requirements.txt").read_text(),
        worker["spec"]["template"]["spec"]["containers"][0]["args"][2:],
        egress,
        login["spec"]["secretTargetRef"],
        scaled["spec"]["triggers"],
    ) == (
        False,
        False,
        True,
        ["--broker", SAID, "--broker-token-file", "/run/secrets/broker_token"],
        [[{"ports": [{"port": 9093, "protocol": "TCP"}]}]],
        [
            {"parameter": "username", "name": "nbgraph", "key": "kafka_username"},
            {"parameter": "password", "name": "nbgraph", "key": "kafka_password"},
        ],
        [
            {
                "type": "kafka",
                "name": "q0",
                "metadata": {
                    "bootstrapServers": "kafka.example:9093",
                    "consumerGroup": "nbgraph-rated.queue.fees",
                    "topic": "nbgraph-rated.queue.fees",
                    "lagThreshold": "50",
                    "offsetResetPolicy": "earliest",
                    "sasl": "scram_sha512",
                    "tls": "enable",
                },
                "authenticationRef": {"name": "broker"},
            }
        ],
    )


def test_the_login_is_asked_for_when_an_export_starts(tmp_path):
    folder = rated().export(tmp_path / "x", "compose", streams=LOGIN).folder
    secrets = tmp_path / "secrets"
    given = {**os.environ, "NBGRAPH_SECRETS": str(secrets), "kafka_username": "me", "kafka_password": 'p"\\w'}
    subprocess.run(["sh", "secrets.sh"], cwd=folder, env=given, check=True, timeout=20)
    told = yaml.safe_load((secrets / "rated/broker_token").read_text())
    services = yaml.safe_load((folder / "compose.yaml").read_text())["services"]
    assert (told, list(services), services["rating"]["secrets"]) == (
        {"sasl.username": "me", "sasl.password": 'p"\\w'},
        ["rated", "rating"],
        ["broker_token"],
    )


@pytest.mark.parametrize("target", ["compose", "swarm", "nuclio"])
def test_other_exports_name_the_cluster_and_bring_no_server(target, tmp_path):
    folder = rated().export(tmp_path / "x", target, streams="kafka://kafka.example").folder
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    whole = "".join(path.read_text() for name, path in files.items() if name.endswith(".yaml"))
    assert (
        whole.count("kafka://kafka.example:9092/rated"),
        [name for name in files if name.startswith("broker/")],
    ) == (
        2,
        [],
    )


def test_what_an_export_can_not_ask_for_is_refused(tmp_path):
    (tmp_path / "ca.pem").write_text("CERTIFICATE")
    with pytest.raises(DeployError, match=r"asks for user and password alone, not for ssl\.ca\.pem"):
        rated().export(tmp_path / "x", streams=f"kafka://kafka.example?ssl.ca.location={tmp_path / 'ca.pem'}")
    with pytest.raises(DeployError, match="KEDA does not log in to Kafka by GSSAPI"):
        rated().export(
            tmp_path / "x",
            "kubernetes",
            streams="kafka://kafka.example?security.protocol=SASL_SSL&sasl.mechanism=GSSAPI",
            autoscale={"rating": (1, 8, 50)},
        )
