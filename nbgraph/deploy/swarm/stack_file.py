"""The stack file: a graph's services in the words of `docker stack deploy`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from nbgraph.contract import PORT
from nbgraph.deploy.project.hardening import GRACE_SECONDS, LOG, PIDS, USER, Hardening, labels
from nbgraph.deploy.project.services import BROKER, CONFIG, CONFIG_PATH, SERVER, Service
from nbgraph.deploy.swarm.service import GPU, HEALTH, RETRIES, SwarmService

BROKER_LABEL = "nbgraph.broker"  # of the node that keeps the broker's data
_HEAD = """\
# Build the images, push them to where all nodes can pull them from, choose the node that keeps the broker's data:
#   docker node update --label-add {label}=true NODE
#   docker stack deploy -c stack.yaml {name}
# A Swarm publishes a port on all addresses of a node, so callers need a key of the file api_key (one a line).
# What goes between nodes is encrypted by IPsec; where a kernel or a firewall has no ESP, no node reaches another:
# take "encrypted" out if you trust the network between them.
"""


def stack_file(name: str, graph: str, services: Sequence[Service], *, secrets: str = ".") -> str:
    """The text of stack.yaml for `docker stack deploy`; `secrets` is the folder with the files that hold them.

    >>> from nbgraph.engine.partition import Function
    >>> from nbgraph.graph.graph import Graph
    >>> service = Service("two", "nbgraph/two:1", "two", function=Function("two", graph=Graph("two")), is_gateway=True)
    >>> yaml.safe_load(stack_file("two", "two", [service]))["services"]["two"]["cap_drop"]
    ['ALL']
    """
    node = f"node.labels.{BROKER_LABEL}==true"
    found = [
        SwarmService(
            service, labels(graph, service.name, name), port=PORT if service.is_gateway else None,
            node=node if service.function is None else None,
        )
        for service in services
    ]  # fmt: skip
    has_broker = any(service.is_broker for service in found)
    document = {
        "version": "3.9",
        "services": {one.service.name: _in_stack(one) for one in found},
        "networks": {"default": {"driver": "overlay", "driver_opts": {"encrypted": "true"}}},
        "secrets": {file: {"file": f"{secrets}/{file}"} for one in found for file in one.service.secrets},
    }
    own = {own.key: {"name": own.source} for service in services for own in service.given.volumes if not own.is_folder}
    if has_broker:
        document["configs"] = {CONFIG: {"file": f"./{BROKER}/{CONFIG}"}}
    if has_broker or own:
        document["volumes"] = {**({"data": {}} if has_broker else {}), **own}
    head = _HEAD.format(label=BROKER_LABEL, name=name)
    return head + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)


def _in_stack(one: SwarmService) -> dict[str, Any]:
    user, _, group = USER.partition(":")
    owned = {"uid": user, "gid": group, "mode": 0o400}
    told = {name: text.replace("$", "$$") for name, text in one.labels.items()}
    mounts: list[dict[str, Any]] = [{"type": "tmpfs", "target": "/tmp", "tmpfs": {"size": one.service.profile.tmp}}]
    mounts += [
        {"type": own.kind, "source": own.key, "target": own.path, "read_only": own.is_read_only}
        for own in one.service.given.volumes
    ]
    kept: dict[str, Any] = {}
    if one.service.given.env:
        kept["environment"] = {name: text.replace("$", "$$") for name, text in one.service.given.env.items()}
    if one.is_broker:
        mounts.append({"type": "volume", "source": "data", "target": SERVER.data})
        kept["configs"] = [{"source": CONFIG, "target": CONFIG_PATH, **owned}]
    if one.port:
        mode = "ingress" if one.service.replicas > 1 else "host"  # the former spreads callers, and needs IP_VS
        kept["ports"] = [{"target": PORT, "published": one.port, "protocol": "tcp", "mode": mode}]
    return {
        "image": one.service.image,
        "command": one.options,
        **kept,
        "user": USER,
        "read_only": True,
        "cap_drop": ["ALL"],
        "init": True,
        "volumes": mounts,
        "secrets": [{"source": file, "target": file, **owned} for file in one.service.secrets],
        "stop_grace_period": f"{GRACE_SECONDS}s",
        "healthcheck": {
            "test": ["CMD", *one.probe],
            **{word: f"{seconds}s" for word, seconds in HEALTH.items()},
            "retries": RETRIES,
        },
        "logging": {"driver": "json-file", "options": dict(LOG)},
        "labels": told,
        "deploy": _deployed(one, told),
    }  # fmt: skip


def _resources(profile: Hardening) -> dict[str, Any]:
    gpus = [{"discrete_resource_spec": {"kind": GPU, "value": profile.gpus}}]
    cpus = {"cpus": str(profile.cpus)} if profile.cpus is not None else {}
    return {
        "limits": {"memory": str(profile.memory), "pids": PIDS, **cpus},
        **({"reservations": {"generic_resources": gpus}} if profile.gpus else {}),
    }


def _deployed(one: SwarmService, told: Mapping[str, str]) -> dict[str, Any]:
    update = {"parallelism": 1, "monitor": "2s", "failure_action": "rollback", "order": one.order}
    return {
        "replicas": one.service.replicas,
        "endpoint_mode": "vip" if one.port and one.service.replicas > 1 else "dnsrr",
        "labels": dict(told),
        "resources": _resources(one.service.profile),
        "restart_policy": {"condition": "any", "delay": "1s"},
        "update_config": update,
        "rollback_config": {**update, "failure_action": "pause"},
        **({"placement": {"constraints": [one.node]}} if one.node else {}),
    }
