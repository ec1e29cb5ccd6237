"""The exported manifests: against Kubernetes' own schemas, kustomize, and a real NATS server where they name its parts.

There is no cluster in a test: that the objects fit together is looked up in them, not tried.
"""

from __future__ import annotations

import asyncio
import copy
import json
import shutil
import subprocess
import time
from functools import cache
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import kubernetes_validate
import pytest
import yaml

from nbgraph import Graph
from nbgraph.steps import Batch, Queue
from nbgraph.streams.base import Message, QueueSpec
from nbgraph.streams.nats.broker import NatsBroker
from nbgraph.streams.nats.server import server_binary, server_config

Object = dict[str, Any]
FUNCTIONS = ("orders-1", "rating", "labels")
RULES = {"rating": (1, 4, 100), "labels": (2, 8, 50)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    graph = Graph("Orders $1")
    graph.to("(event + 1)", "read").to(Queue("fees", key="(event)", shards=4)).to(
        "(event * 2)", "rate", function="rating"
    )
    graph.step("rate").to(Queue("a.b")).to("(event)", "label", function="labels").respond()
    return graph.export(tmp_path_factory.mktemp("export") / "x", "kubernetes", autoscale=RULES).folder


@cache
def objects(folder: Path) -> list[Object]:
    paths = sorted((folder / "manifests").rglob("*.yaml"))
    return [found for path in paths if path.stem != "kustomization" for found in yaml.safe_load_all(path.read_text())]


def of_kind(folder: Path, kind: str) -> dict[str, Object]:
    return {found["metadata"]["name"]: found for found in objects(folder) if found["kind"] == kind}


def pods(folder: Path) -> dict[str, Object]:
    found = of_kind(folder, "Deployment") | of_kind(folder, "StatefulSet")
    return {name: made["spec"]["template"] for name, made in found.items()}


def test_the_objects_are_what_kubernetes_knows(folder: Path) -> None:
    own = [made for made in objects(folder) if made["kind"] != "ScaledObject"]
    for made in own:
        kubernetes_validate.validate(made, kubernetes_validate.latest_version(), strict=True)
    assert sorted(f"{made['kind']}/{made['metadata']['name']}" for made in own) == sorted([
        "Namespace/orders-1", "ConfigMap/broker", "Service/broker", "StatefulSet/broker", "Service/gateway",
        *(f"{kind}/{name}" for kind in ("Deployment", "PodDisruptionBudget") for name in FUNCTIONS),
        "HorizontalPodAutoscaler/orders-1",
        *(f"NetworkPolicy/{name}" for name in ("nothing", "callers", "names", "metrics", "broker", "queues")),
    ])  # fmt: skip


def test_the_schemas_refuse_what_is_wrong(folder: Path) -> None:
    deployment = copy.deepcopy(of_kind(folder, "Deployment")["rating"])
    deployment["spec"]["replicas"] = "two"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, kubernetes_validate.latest_version(), strict=True)


def test_kustomization_lists_every_file(folder: Path) -> None:
    root = folder / "manifests"
    listed = yaml.safe_load((root / "kustomization.yaml").read_text())["resources"]
    there = {str(path.relative_to(root)) for path in root.rglob("*.yaml")} - {"kustomization.yaml"}
    assert (set(listed), len(listed)) == (there, len(there))
    if shutil.which("kubectl"):
        told = subprocess.run(["kubectl", "kustomize", root], capture_output=True, text=True, check=True, timeout=60)
        assert len(list(yaml.safe_load_all(told.stdout))) == len(objects(folder))


def test_whatever_an_object_refers_to_is_there(folder: Path) -> None:
    selectors = {
        f"{made['kind']}/{made['metadata']['name']}": made["spec"]["selector"].get(
            "matchLabels", made["spec"]["selector"]
        )
        for kind in ("Deployment", "StatefulSet", "Service", "PodDisruptionBudget")
        for made in of_kind(folder, kind).values()
    }
    chosen = {
        name: [pod for pod, made in pods(folder).items() if labels.items() <= made["metadata"]["labels"].items()]
        for name, labels in selectors.items()
    }
    assert {name: found for name, found in chosen.items() if len(found) != 1} == {}
    assert (chosen["Service/gateway"], chosen["Service/broker"]) == (["orders-1"], ["broker"])
    scaled = [made["spec"]["scaleTargetRef"]["name"] for kind in ("HorizontalPodAutoscaler", "ScaledObject")
              for made in of_kind(folder, kind).values()]  # fmt: skip
    without = [name for name, made in of_kind(folder, "Deployment").items() if "replicas" not in made["spec"]]
    assert sorted(scaled) == sorted(without) == ["labels", "orders-1", "rating"]
    volumes = [volume for pod in pods(folder).values() for volume in pod["spec"]["volumes"]]
    assert {volume["configMap"]["name"] for volume in volumes if "configMap" in volume} == {"broker"}
    assert {volume["secret"]["secretName"] for volume in volumes if "secret" in volume} == {"nbgraph"}


def test_every_pod_may_do_as_little_as_possible(folder: Path) -> None:
    for made in pods(folder).values():
        spec, (container,) = made["spec"], made["spec"]["containers"]
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not spec["automountServiceAccountToken"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert container["resources"]["limits"].keys() == {"memory"}
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted <= {volume["name"] for volume in spec["volumes"]} | {"data"}


def test_a_pod_is_given_the_time_that_its_worker_takes(folder: Path) -> None:
    (container,) = pods(folder)["rating"]["spec"]["containers"]
    notice = int(container["args"][container["args"].index("--drain-seconds") + 1])
    assert pods(folder)["rating"]["spec"]["terminationGracePeriodSeconds"] >= notice + 25 + 25
    assert of_kind(folder, "Deployment")["rating"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_keda_is_told_in_its_own_words(folder: Path) -> None:
    """Its schema is not in a package: names and types here are those of its documentation."""
    found = of_kind(folder, "ScaledObject")
    counts = {name: (made["spec"]["minReplicaCount"], made["spec"]["maxReplicaCount"]) for name, made in found.items()}
    assert counts == {"rating": (1, 4), "labels": (2, 8)}
    triggers = [trigger for made in found.values() for trigger in made["spec"]["triggers"]]
    wanted = {"natsServerMonitoringEndpoint", "account", "stream", "consumer", "lagThreshold"}
    assert {(trigger["type"], frozenset(trigger["metadata"])) for trigger in triggers} == {
        ("nats-jetstream", frozenset(wanted))
    }
    assert all(isinstance(value, str) for trigger in triggers for value in trigger["metadata"].values())
    modifiers = found["rating"]["spec"]["advanced"]["scalingModifiers"]
    names = [trigger["name"] for trigger in found["rating"]["spec"]["triggers"]]
    assert modifiers == {"formula": " + ".join(names), "target": "100"}


def test_keda_asks_for_what_the_nats_server_has(folder: Path, tmp_path: Path) -> None:
    """The scaler reads a consumer's lag from the monitoring port; here the test does it in its place."""
    config = tmp_path / "server.conf"
    config.write_text(
        server_config("127.0.0.1", -1, "t", str(tmp_path / "data"), is_safe=False, monitor="127.0.0.1:-1")
        + f'ports_file_dir: "{tmp_path}"\n'
    )
    with subprocess.Popen([server_binary(), "-c", config], stderr=subprocess.DEVNULL) as server:
        try:
            ports = ports_of(tmp_path)
            asyncio.run(fill(ports["nats"][0]))
            with urlopen(f"{ports['monitoring'][0]}/jsz?acc=$G&consumers=true", timeout=10) as told:
                (account,) = json.load(told)["account_details"]
        finally:
            server.terminate()
    lag = {
        (stream["name"], consumer["name"]): consumer["num_pending"] + consumer["num_ack_pending"]
        for stream in account["stream_detail"]
        for consumer in stream["consumer_detail"]
    }
    asked = [
        (trigger["metadata"]["stream"], trigger["metadata"]["consumer"])
        for made in of_kind(folder, "ScaledObject").values()
        for trigger in made["spec"]["triggers"]
    ]
    assert sorted(asked) == sorted(lag)
    assert sum(lag[one] for one in asked if one[0] == "fees") == 10


async def fill(url: str) -> None:
    broker = await NatsBroker.connect(url, token="t")
    fees = QueueSpec("fees", 4, is_keyed=True)
    for queue in (fees, QueueSpec("a.b")):
        await broker.declare(queue)
    for number in range(10):
        await broker.publish(fees, Message(str(number), b"1", number))
    await broker.close()


def ports_of(folder: Path) -> dict[str, list[str]]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for path in folder.glob("*.ports"):
            text = path.read_text()
            if text.endswith("}"):
                found: dict[str, list[str]] = json.loads(text)
                return found
        time.sleep(0.02)
    raise AssertionError("the NATS server told no ports")


def test_a_gateway_that_remembers_is_not_scaled(tmp_path: Path) -> None:
    graph = Graph("g")
    graph.to(Batch(2)).to("(event)", "b", function="far")
    export = graph.export(tmp_path / "x", "kubernetes")
    assert of_kind(export.folder, "HorizontalPodAutoscaler") == {}
    assert of_kind(export.folder, "Deployment")["g"]["spec"]["replicas"] == 1


def test_one_function_needs_no_broker(tmp_path: Path) -> None:
    graph = Graph("g")
    graph.to("(event)", "a").respond()
    export = graph.export(tmp_path / "x", "kubernetes", replicas=2, registry="registry.example.com/team")
    (container,) = pods(export.folder)["g"]["spec"]["containers"]
    assert container["image"].startswith("registry.example.com/team/nbgraph/g:")
    assert container["args"] == ["--drain-seconds", "5", "--data", "/promised", "--data-sync"]
    assert of_kind(export.folder, "StatefulSet") == {}
    assert f"docker push {container['image']}" in (export.folder / "README.md").read_text()
    assert "not run on a cluster" in repr(export)
