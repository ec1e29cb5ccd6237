"""The engine of a Swarm: what it has to be, where it can listen, and what it needs time for."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nbgraph.deploy.backend import DeployRequest
from nbgraph.deploy.project.hardening import is_public
from nbgraph.errors import DeployError

if TYPE_CHECKING:
    from docker import DockerClient

EVERYWHERE = ("0.0.0.0", "::")
PATIENCE = 30.0  # seconds until a network or a volume is free


def check_manager(client: DockerClient) -> None:
    """Raise where the engine can't make services."""
    swarm = client.info()["Swarm"]
    if swarm.get("LocalNodeState") != "active":
        raise DeployError(
            "This Docker engine is in no Swarm: docker swarm init makes one of it, and prints what other machines say "
            'to join; or host the graph on this machine alone: graph.deploy("docker").'
        )
    if not swarm.get("ControlAvailable"):
        raise DeployError(
            "This Docker engine is a worker of its Swarm, and services are made on a manager: go there, let "
            "DOCKER_HOST lead there, or make this one a manager: docker node promote."
        )


def check_place(request: DeployRequest) -> None:
    """Raise where a Swarm can't listen; nothing is published without a wish and a key."""
    if is_public(request.host) and request.host not in EVERYWHERE:
        raise DeployError(
            f"A Swarm publishes a port on all addresses of a node or on none, so host={request.host!r} can't be had; "
            'leave `host` out to be reached from this machine alone, or give host="0.0.0.0" and an api_key.'
        )


def pushed(client: DockerClient, image: str, place: str) -> None:
    """Bring an image to its place in a registry, with the login that `docker login` has left."""
    repository, _, tag = place.rpartition(":")
    client.images.get(image).tag(repository, tag)
    for line in client.images.push(repository, tag, stream=True, decode=True):
        if "error" in line:
            raise DeployError(f"{place} could not be pushed: {line['error']}")


def overlay(client: DockerClient, name: str, labels: Mapping[str, str]) -> str:
    """The id of a network over the nodes; one that a person has made before is taken as it is."""
    found = [one for one in client.networks.list(names=[name]) if one.name == name]
    made = found or [
        client.networks.create(
            name, driver="overlay", attachable=True, options={"encrypted": "true"}, labels=dict(labels)
        )
    ]
    return str(made[0].id)


def put_away(left: Any) -> None:
    """Remove what its last containers still hold for a moment."""
    import docker

    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            left.remove()
            return
        except docker.errors.NotFound:
            return
        except docker.errors.APIError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
