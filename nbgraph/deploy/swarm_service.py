"""Service: one function of a graph on a Swarm, or the broker, in the words of the engine and of a stack file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from nbgraph.deploy.broker import most_workers
from nbgraph.deploy.dockerfile import PYTHON
from nbgraph.deploy.profile import GRACE_SECONDS, PIDS, PORT, SECRETS, USER, Profile, labels
from nbgraph.deploy.split import Function

BROKER, BROKER_PORT, DATA = "broker", 4222, "/data"
TOKEN, CONFIG, KEY = "broker_token", "server.conf", "api_key"
BROKER_MEMORY = 512 * 2**20
LONGEST = 63  # characters of a name that Swarm and DNS take
NAMESPACE = "com.docker.stack.namespace"  # by this label `docker stack ls` and `docker stack rm` know a stack
PLACE, READS, MOST, IMAGE = "nbgraph.place", "nbgraph.reads", "nbgraph.most", "nbgraph.image"
TMP_SIZE = 64 * 2**20
DRAIN_SECONDS = 2  # in which callers of a task that goes learn that there is another
SECOND = 10**9
HEALTH = {"interval": 2, "timeout": 4, "retries": 3, "start_period": 60}  # seconds
BROKER_LABEL = "nbgraph.broker"  # of the node that an exported stack keeps the broker's data on
_HEAD = """\
# Build the images, push them where all nodes can pull them from, choose the node that keeps the broker's data, deploy:
#   docker node update --label-add {label}=true NODE
#   docker stack deploy -c stack.yaml {name}
# A Swarm publishes a port on all addresses of a node: callers need a key of the file api_key (one a line).
# What goes between nodes is encrypted by IPsec; where a kernel or a firewall has no ESP, no node reaches another:
# take "encrypted" out if you trust the network between them.
"""


@dataclass(frozen=True, slots=True)
class Service:
    """What both texts are made of.

    `secrets`: the file's name in the container, and the secret's. `node`: the engine's constraint on where it runs.
    `port`: the one that its node publishes. `data`: the volume with what the broker keeps.
    """

    name: str
    image: str
    command: Sequence[str]
    memory: int
    labels: Mapping[str, str]
    secrets: Mapping[str, str]
    replicas: int = 1
    node: str | None = None
    port: int | None = None
    data: str | None = None
    probe: Sequence[str] = field(default=())

    @property
    def order(self) -> str:
        """Whether the new task comes before the old one goes: not where both would need one volume or one port."""
        return "stop-first" if self.data or self.port else "start-first"


def function_service(
    function: Function,
    place: int,
    image: str,
    profile: Profile,
    *,
    marks: Mapping[str, str],
    secrets: Mapping[str, str],
    is_joined: bool,
    replicas: int = 1,
    port: int | None = None,
) -> Service:
    """A function's service; the one at place 0 answers callers. `is_joined`: there are others, and a broker."""
    command = ["--drain-seconds", str(DRAIN_SECONDS)] if place == 0 else []
    if is_joined:
        command += ["--broker", f"nats://{BROKER}:{BROKER_PORT}", "--broker-token-file", f"{SECRETS}/{TOKEN}"]
    own = {PLACE: str(place), READS: " ".join(function.reads), MOST: str(most_workers(function)), IMAGE: image}
    wanted = ([TOKEN] if is_joined else []) + ([KEY] if place == 0 and KEY in secrets else [])
    return Service(
        function.name, image, command, profile.memory, {**marks, **own}, {name: secrets[name] for name in wanted},
        replicas, port=port, probe=_probe(PYTHON, PORT, "GET /health/live"),
    )  # fmt: skip


def broker_service(
    image: str, *, marks: Mapping[str, str], secrets: Mapping[str, str], node: str, volume: str
) -> Service:
    """The broker's: one task, always on the node with its data."""
    command = ["-c", f"{SECRETS}/{CONFIG}"]
    return Service(
        BROKER, image, command, BROKER_MEMORY, {**marks, IMAGE: image}, {CONFIG: secrets[CONFIG]},
        node=node, data=volume, probe=_probe("python3", BROKER_PORT),
    )  # fmt: skip


def stack_file(
    name: str, graph: str, functions: Sequence[tuple[Function, str, Profile]], broker_image: str | None = None
) -> str:
    """The text of stack.yaml for `docker stack deploy`; its secrets are files beside it.

    `functions`: each with its image and profile, the one that callers reach first. `broker_image`: where there are
    several. The secrets: `api_key`, and with a broker `broker_token` and `server.conf`, which has the same token in it.

    >>> from nbgraph.graph.graph import Graph
    >>> text = stack_file("two", "two", [(Function("two", Graph("two")), "nbgraph/two:1", Profile())])
    >>> yaml.safe_load(text)["services"]["two"]["cap_drop"]
    ['ALL']
    """
    secrets = {file: file for file in ((TOKEN, CONFIG, KEY) if broker_image else (KEY,))}
    services = [
        function_service(
            function, place, image, profile, marks=labels(graph, function.name, name), secrets=secrets,
            is_joined=broker_image is not None, port=PORT if place == 0 else None,
        )
        for place, (function, image, profile) in enumerate(functions)
    ]  # fmt: skip
    if broker_image is not None:
        node = f"node.labels.{BROKER_LABEL}==true"
        marks = labels(graph, BROKER, name)
        services.append(broker_service(broker_image, marks=marks, secrets=secrets, node=node, volume="data"))
    document = {
        "version": "3.9",
        "services": {service.name: _in_stack(service) for service in services},
        "networks": {"default": {"driver": "overlay", "driver_opts": {"encrypted": "true"}}},
        "secrets": {file: {"file": f"./{file}"} for file in secrets},
        **({"volumes": {"data": {}}} if broker_image else {}),
    }
    head = _HEAD.format(label=BROKER_LABEL, name=name)
    return head + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)


def specification(service: Service, stack: str, network: str, secrets: Mapping[str, str]) -> dict[str, Any]:
    """What the engine's API is told; `secrets` are their ids by name, `network` is an id."""
    mounts: list[dict[str, Any]] = [{"Type": "tmpfs", "Target": "/tmp", "TmpfsOptions": {"SizeBytes": TMP_SIZE}}]
    if service.data is not None:
        options = {"Labels": dict(service.labels)}
        mounts.append({"Type": "volume", "Source": service.data, "Target": DATA, "VolumeOptions": options})
    container = {
        "Image": service.image, "Args": list(service.command), "User": USER, "ReadOnly": True, "Init": True,
        "CapabilityDrop": ["ALL"], "Privileges": {"NoNewPrivileges": True},  # the latter from engine 25 on
        "StopGracePeriod": GRACE_SECONDS * SECOND, "Labels": dict(service.labels), "Mounts": mounts,
        "Secrets": [_mounted(file, name, secrets[name]) for file, name in service.secrets.items()],
        "Healthcheck": {
            "Test": ["CMD", *service.probe], "Retries": HEALTH["retries"],
            **{word: HEALTH[key] * SECOND for word, key in _DURATIONS.items()},
        },
    }  # fmt: skip
    update = {"Parallelism": 1, "Monitor": 2 * SECOND, "FailureAction": "rollback", "Order": service.order}
    ports = [{"Protocol": "tcp", "TargetPort": PORT, "PublishedPort": service.port, "PublishMode": "host"}]
    return {
        "Name": short(f"{stack}_{service.name}"),
        "Labels": {**service.labels, NAMESPACE: stack},
        "TaskTemplate": {
            "ContainerSpec": container,
            "Resources": {"Limits": {"MemoryBytes": service.memory, "Pids": PIDS}},
            "RestartPolicy": {"Condition": "any", "Delay": SECOND},
            "Placement": {"Constraints": [service.node] if service.node else []},
            "Networks": [{"Target": network, "Aliases": [service.name]}],
            "LogDriver": {"Name": "json-file", "Options": {"max-size": "10m", "max-file": "2"}},
        },
        "Mode": {"Replicated": {"Replicas": service.replicas}},
        "UpdateConfig": update,
        "RollbackConfig": {**update, "FailureAction": "pause"},
        # A name means the tasks themselves, which works on every kernel; virtual addresses need IP_VS.
        "EndpointSpec": {"Mode": "dnsrr", "Ports": ports if service.port else []},
    }


def short(name: str) -> str:
    """A name that Swarm takes.

    >>> short("a_b"), len(short("a" * 90))
    ('a_b', 63)
    """
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


_DURATIONS = {"Interval": "interval", "Timeout": "timeout", "StartPeriod": "start_period"}


def _in_stack(service: Service) -> dict[str, Any]:
    mounts: list[dict[str, Any]] = [{"type": "tmpfs", "target": "/tmp", "tmpfs": {"size": TMP_SIZE}}]
    if service.data is not None:
        mounts.append({"type": "volume", "source": service.data, "target": DATA})
    told = {name: text.replace("$", "$$") for name, text in service.labels.items() if name != IMAGE}
    ports = [{"target": PORT, "published": service.port, "protocol": "tcp", "mode": "host"}]
    return {
        "image": service.image,
        "command": list(service.command),
        **({"ports": ports} if service.port else {}),
        "user": USER,
        "read_only": True,
        "cap_drop": ["ALL"],
        "init": True,
        "volumes": mounts,
        "secrets": [
            {"source": name, "target": file, **_OWNED, "mode": 0o400} for file, name in service.secrets.items()
        ],
        "stop_grace_period": f"{GRACE_SECONDS}s",
        "healthcheck": {"test": ["CMD", *service.probe], **_durations()},
        "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "2"}},
        "labels": told,
        "deploy": _deployed(service, told),
    }


def _deployed(service: Service, told: Mapping[str, str]) -> dict[str, Any]:
    update = {"parallelism": 1, "monitor": "2s", "failure_action": "rollback", "order": service.order}
    return {
        "replicas": service.replicas,
        "endpoint_mode": "dnsrr",
        "labels": dict(told),
        "resources": {"limits": {"memory": str(service.memory), "pids": PIDS}},
        "restart_policy": {"condition": "any", "delay": "1s"},
        "update_config": update,
        "rollback_config": {**update, "failure_action": "pause"},
        **({"placement": {"constraints": [service.node]}} if service.node else {}),
    }


_OWNED = dict(zip(("uid", "gid"), USER.split(":"), strict=True))


def _durations() -> dict[str, Any]:
    return {name: value if name == "retries" else f"{value}s" for name, value in HEALTH.items()}


def _mounted(file: str, name: str, id: str) -> dict[str, Any]:
    place = {"Name": file, "UID": _OWNED["uid"], "GID": _OWNED["gid"], "Mode": 0o400}
    return {"File": place, "SecretID": id, "SecretName": name}


def _probe(python: str, port: int, question: str = "") -> list[str]:
    """Whether something answers; without imports that take long, since it runs every other second in each task."""
    ask = (
        f"s.sendall(b'{question} HTTP/1.0\\r\\n\\r\\n'); sys.exit(b' 200 ' not in s.recv(64))"
        if question
        else "s.close()"
    )
    return [
        python,
        "-I",
        "-S",
        "-c",
        f"import socket, sys; s = socket.create_connection(('127.0.0.1', {port}), 3); {ask}",
    ]
