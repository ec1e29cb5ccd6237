"""SwarmService: one function of a graph on a Swarm, or the broker, in the words of the engine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nbgraph.contract import LIVE_PATH, PORT, Option
from nbgraph.deploy.deployed_function import DeployedFunction
from nbgraph.deploy.docker.client import DUTY
from nbgraph.deploy.project.dockerfile import PYTHON, asking
from nbgraph.deploy.project.hardening import GRACE_SECONDS, LOG, PIDS, USER, Hardening
from nbgraph.deploy.project.services import CONFIG, CONFIG_PATH, SERVER, Service

LONGEST = 63  # characters of a name that Swarm and DNS take
NAMESPACE = "com.docker.stack.namespace"  # by this label `docker stack ls` and `docker stack rm` know a stack
IMAGE = "nbgraph.image"  # the label with the image's name in people's words
GPU = "NVIDIA-GPU"  # what a node calls them: "node-generic-resources" in its daemon.json
DRAIN_SECONDS = 2  # in which callers of a task that goes learn that there is another
SECOND = 10**9
HEALTH = {"interval": 3, "timeout": 4, "start_period": 60}  # seconds
RETRIES = 3
_WORDS = {
    "Name": "name", "Labels": "labels", "TaskTemplate": "task_template", "Mode": "mode",
    "EndpointSpec": "endpoint_spec", "UpdateConfig": "update_config", "RollbackConfig": "rollback_config",
}  # fmt: skip  # the engine's and the SDK's


@dataclass(frozen=True, slots=True)
class SwarmService:
    """A service with what only a Swarm asks for.

    `labels`: of the service and of its containers. `duty`: what it does, for whoever finds it. `port`: the one that its
    node publishes. `node`: the constraint on where it runs.
    """

    service: Service
    labels: Mapping[str, str]
    duty: DeployedFunction | None = None
    port: int | None = None
    node: str | None = None

    @property
    def is_broker(self) -> bool:
        return self.service.function is None

    @property
    def order(self) -> str:
        """Whether the new task comes before the old one goes: not where both would need one volume or one port."""
        return "stop-first" if self.is_broker or (self.port and self.service.replicas == 1) else "start-first"

    @property
    def options(self) -> list[str]:
        """What is added to the image's command."""
        drain = [Option.DRAIN_SECONDS, str(DRAIN_SECONDS)] if self.service.is_gateway else []
        return [*drain, *self.service.options]

    @property
    def probe(self) -> list[str]:
        """Whether it answers."""
        if self.is_broker:
            ask = f"import socket; socket.create_connection(('127.0.0.1', {SERVER.port}), 3).close()"
            return ["python3", "-I", "-S", "-c", ask]
        return asking(PYTHON, PORT, LIVE_PATH)


def specification(
    one: SwarmService, stack: str, network: str, files: Mapping[str, tuple[str, str]], volume: str
) -> dict[str, Any]:
    """What the SDK is told; `network` is an id, `files` are names and ids of secrets and configurations."""
    update = {"Parallelism": 1, "Monitor": 2 * SECOND, "FailureAction": "rollback", "Order": one.order}
    ports = [{"Protocol": "tcp", "TargetPort": PORT, "PublishedPort": one.port, "PublishMode": "host"}]
    return {
        "name": short(f"{stack}_{one.service.name}"),
        "labels": {**one.labels, **({DUTY: one.duty.text()} if one.duty else {}), NAMESPACE: stack},
        "task_template": {
            "ContainerSpec": _container(one, files, volume),
            "Resources": _resources(one.service.profile),
            "RestartPolicy": {"Condition": "any", "Delay": SECOND},
            "Placement": {"Constraints": [one.node] if one.node else []},
            "Networks": [{"Target": network, "Aliases": [one.service.name]}],
            "LogDriver": {"Name": "json-file", "Options": dict(LOG)},
        },
        "mode": {"Replicated": {"Replicas": one.service.replicas}},
        "update_config": update,
        "rollback_config": {**update, "FailureAction": "pause"},
        # A name means the tasks themselves, which works on every kernel; virtual addresses need IP_VS.
        "endpoint_spec": {"Mode": "dnsrr", "Ports": ports if one.port else []},
    }


def repeated(told: Mapping[str, Any]) -> dict[str, Any]:
    """What the SDK is told so that the engine hears again what it was told before, to the letter.

    >>> repeated({"Name": "a", "Mode": {"Replicated": {"Replicas": 2}}})
    {'name': 'a', 'mode': {'Replicated': {'Replicas': 2}}}
    """
    return {_WORDS[word]: value for word, value in told.items() if word in _WORDS}


def short(name: str) -> str:
    """A name that Swarm takes.

    >>> short("a_b"), len(short("a" * 90))
    ('a_b', 63)
    """
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _resources(profile: Hardening) -> dict[str, Any]:
    cpus = {"NanoCPUs": round(profile.cpus * 10**9)} if profile.cpus is not None else {}
    gpus = [{"DiscreteResourceSpec": {"Kind": GPU, "Value": profile.gpus}}]
    return {
        "Limits": {"MemoryBytes": profile.memory, "Pids": PIDS, **cpus},
        **({"Reservations": {"GenericResources": gpus}} if profile.gpus else {}),
    }


def _container(one: SwarmService, files: Mapping[str, tuple[str, str]], volume: str) -> dict[str, Any]:
    mounts: list[dict[str, Any]] = [
        {"Type": "tmpfs", "Target": "/tmp", "TmpfsOptions": {"SizeBytes": one.service.profile.tmp}}
    ]
    if one.is_broker:
        options = {"Labels": dict(one.labels)}
        mounts.append({"Type": "volume", "Source": volume, "Target": SERVER.data, "VolumeOptions": options})
    mounts += [
        {"Type": own.kind, "Source": own.source, "Target": own.path, "ReadOnly": own.is_read_only}
        for own in one.service.given.volumes
    ]
    health = {"Interval": HEALTH["interval"], "Timeout": HEALTH["timeout"], "StartPeriod": HEALTH["start_period"]}
    return {
        "Image": one.service.image, "Args": one.options, "User": USER, "ReadOnly": True, "Init": True,
        "CapabilityDrop": ["ALL"], "Privileges": {"NoNewPrivileges": True},  # the latter from engine 25 on
        "StopGracePeriod": GRACE_SECONDS * SECOND, "Labels": dict(one.labels), "Mounts": mounts,
        "Env": [f"{name}={text}" for name, text in one.service.given.env.items()],
        "Secrets": [_given(file, file, *files[file], "Secret") for file in one.service.secrets],
        "Configs": [_given(CONFIG, CONFIG_PATH, *files[CONFIG], "Config")] if one.is_broker else [],
        "Healthcheck": {
            "Test": ["CMD", *one.probe], "Retries": RETRIES, "StartInterval": SECOND,  # from engine 25 on
            **{word: health[word] * SECOND for word in health},
        },
    }  # fmt: skip


def _given(file: str, target: str, name: str, id: str, kind: str) -> dict[str, Any]:
    user, _, group = USER.partition(":")
    return {"File": {"Name": target, "UID": user, "GID": group, "Mode": 0o400}, f"{kind}ID": id, f"{kind}Name": name}
