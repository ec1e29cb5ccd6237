"""SwarmService: one function of a graph on a Swarm, or the broker, in the words of the engine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nbgraph.deploy.broker import most_workers
from nbgraph.deploy.dockerfile import PYTHON
from nbgraph.deploy.profile import GRACE_SECONDS, LOG, PIDS, PORT, USER
from nbgraph.deploy.services import BROKER_PORT, CONFIG, CONFIG_FOLDER, DATA, Service

LONGEST = 63  # characters of a name that Swarm and DNS take
NAMESPACE = "com.docker.stack.namespace"  # by this label `docker stack ls` and `docker stack rm` know a stack
PLACE, READS, MOST, IMAGE = "nbgraph.place", "nbgraph.reads", "nbgraph.most", "nbgraph.image"
TMP_SIZE = 64 * 2**20
DRAIN_SECONDS = 2  # in which callers of a task that goes learn that there is another
SECOND = 10**9
HEALTH = {"interval": 2, "timeout": 4, "start_period": 60}  # seconds
RETRIES = 3


@dataclass(frozen=True, slots=True)
class SwarmService:
    """A service with what only a Swarm asks for.

    `labels`: by these it is found. `port`: the one that its node publishes. `node`: the constraint on where it runs.
    """

    service: Service
    labels: Mapping[str, str]
    port: int | None = None
    node: str | None = None

    @classmethod
    def of(
        cls, service: Service, place: int, marks: Mapping[str, str], *, port: int | None, node: str | None
    ) -> SwarmService:
        """At its place among the functions; `port` is for the gateway, `node` for the broker."""
        if service.function is None:
            return cls(service, {**marks, IMAGE: service.image}, node=node)
        reads, most = " ".join(service.function.reads), str(most_workers(service.function))
        own = {PLACE: str(place), READS: reads, MOST: most, IMAGE: service.image}
        return cls(service, {**marks, **own}, port if service.is_gateway else None)

    @property
    def is_broker(self) -> bool:
        return self.service.function is None

    @property
    def order(self) -> str:
        """Whether the new task comes before the old one goes: not where both would need one volume or one port."""
        return "stop-first" if self.is_broker or self.port else "start-first"

    @property
    def options(self) -> list[str]:
        return ["--drain-seconds", str(DRAIN_SECONDS), *self.service.options] if self.service.is_gateway else [
            *self.service.options
        ]  # fmt: skip

    @property
    def probe(self) -> list[str]:
        """Whether it answers; without imports that take long, since it runs every other second in each task."""
        if self.is_broker:
            return _probe("python3", BROKER_PORT, "s.close()")
        ask = r"s.sendall(b'GET /health/live HTTP/1.0\r\n\r\n'); sys.exit(b' 200 ' not in s.recv(64))"
        return _probe(PYTHON, PORT, ask)


def specification(
    one: SwarmService, stack: str, network: str, files: Mapping[str, tuple[str, str]], volume: str
) -> dict[str, Any]:
    """What the engine's API is told; `network` is an id, `files` are names and ids of secrets and configurations."""
    update = {"Parallelism": 1, "Monitor": 2 * SECOND, "FailureAction": "rollback", "Order": one.order}
    ports = [{"Protocol": "tcp", "TargetPort": PORT, "PublishedPort": one.port, "PublishMode": "host"}]
    return {
        "Name": short(f"{stack}_{one.service.name}"),
        "Labels": {**one.labels, NAMESPACE: stack},
        "TaskTemplate": {
            "ContainerSpec": _container(one, files, volume),
            "Resources": {"Limits": {"MemoryBytes": one.service.profile.memory, "Pids": PIDS}},
            "RestartPolicy": {"Condition": "any", "Delay": SECOND},
            "Placement": {"Constraints": [one.node] if one.node else []},
            "Networks": [{"Target": network, "Aliases": [one.service.name]}],
            "LogDriver": {"Name": "json-file", "Options": dict(LOG)},
        },
        "Mode": {"Replicated": {"Replicas": one.service.replicas}},
        "UpdateConfig": update,
        "RollbackConfig": {**update, "FailureAction": "pause"},
        # A name means the tasks themselves, which works on every kernel; virtual addresses need IP_VS.
        "EndpointSpec": {"Mode": "dnsrr", "Ports": ports if one.port else []},
    }


def short(name: str) -> str:
    """A name that Swarm takes.

    >>> short("a_b"), len(short("a" * 90))
    ('a_b', 63)
    """
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _container(one: SwarmService, files: Mapping[str, tuple[str, str]], volume: str) -> dict[str, Any]:
    mounts: list[dict[str, Any]] = [{"Type": "tmpfs", "Target": "/tmp", "TmpfsOptions": {"SizeBytes": TMP_SIZE}}]
    if one.is_broker:
        options = {"Labels": dict(one.labels)}
        mounts.append({"Type": "volume", "Source": volume, "Target": DATA, "VolumeOptions": options})
    health = {"Interval": HEALTH["interval"], "Timeout": HEALTH["timeout"], "StartPeriod": HEALTH["start_period"]}
    return {
        "Image": one.service.image, "Args": one.options, "User": USER, "ReadOnly": True, "Init": True,
        "CapabilityDrop": ["ALL"], "Privileges": {"NoNewPrivileges": True},  # the latter from engine 25 on
        "StopGracePeriod": GRACE_SECONDS * SECOND, "Labels": dict(one.labels), "Mounts": mounts,
        "Secrets": [_given(file, file, *files[file], "Secret") for file in one.service.secrets],
        "Configs": [_given(CONFIG, f"{CONFIG_FOLDER}/{CONFIG}", *files[CONFIG], "Config")] if one.is_broker else [],
        "Healthcheck": {
            "Test": ["CMD", *one.probe], "Retries": RETRIES, **{word: health[word] * SECOND for word in health},
        },
    }  # fmt: skip


def _given(file: str, target: str, name: str, id: str, kind: str) -> dict[str, Any]:
    user, _, group = USER.partition(":")
    return {"File": {"Name": target, "UID": user, "GID": group, "Mode": 0o400}, f"{kind}ID": id, f"{kind}Name": name}


def _probe(python: str, port: int, ask: str) -> list[str]:
    return [
        python,
        "-I",
        "-S",
        "-c",
        f"import socket, sys; s = socket.create_connection(('127.0.0.1', {port}), 3); {ask}",
    ]
