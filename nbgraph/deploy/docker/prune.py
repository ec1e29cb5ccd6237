"""Prune: what deployments and builds have left at the Docker daemon, and nobody uses any more."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbgraph.contract import DEPLOYMENT_LABEL
from nbgraph.deploy.docker.client import connect
from nbgraph.deploy.project.dockerfile import STAGE

if TYPE_CHECKING:
    from docker import DockerClient

OURS = "nbgraph/"  # what the names of our images begin with, behind a registry's


@dataclass(frozen=True, slots=True)
class Leftover:
    """A thing of ours that no container uses: "image", "volume" or "network"; bytes of images."""

    kind: str
    name: str
    size: int = 0


def prune(*, is_meant: bool = False) -> list[Leftover]:
    """What is left over; with `is_meant` it is removed. Volumes that a person named are never among it."""
    client = connect()
    try:
        found = leftovers(client)
        if is_meant:
            for left in found:
                _remove(client, left)
        return found
    finally:
        client.close()


def leftovers(client: DockerClient) -> list[Leftover]:
    """Images of functions, first stages of their builds, volumes and networks of deployments that are no more."""
    every: Any = client
    containers = every.containers.list(all=True, ignore_removed=True)
    used = {one.attrs["Image"] for one in containers}
    alive = {one.labels.get(DEPLOYMENT_LABEL) for one in containers}
    can_tell = _services(client, used, alive)
    images = [image for image in every.images.list() if image.id not in used and any(map(_is_ours, image.tags))]
    stages = every.images.list(filters={"dangling": True, "label": STAGE})
    found = [Leftover("image", tag, image.attrs["Size"]) for image in images for tag in image.tags if _is_ours(tag)]
    found += [Leftover("image", str(stage.id), stage.attrs["Size"]) for stage in stages if stage.id not in used]
    if can_tell:
        chosen = {"label": DEPLOYMENT_LABEL}
        volumes = [
            one for one in every.volumes.list(filters=chosen) if one.attrs["Labels"][DEPLOYMENT_LABEL] not in alive
        ]
        networks = [
            one for one in every.networks.list(filters=chosen) if one.attrs["Labels"][DEPLOYMENT_LABEL] not in alive
        ]
        found += [Leftover("volume", one.name) for one in volumes] + [Leftover("network", one.name) for one in networks]
    return found


def _services(client: Any, used: set[str], alive: set[str | None]) -> bool:
    """Add what the services of a Swarm use, and whether that can be known: only its managers tell."""
    swarm = client.info()["Swarm"]
    if swarm.get("LocalNodeState") == "active" and not swarm.get("ControlAvailable"):
        return False
    if swarm.get("ControlAvailable"):
        for service in client.api.services():
            alive.add(service["Spec"].get("Labels", {}).get(DEPLOYMENT_LABEL))
            used.add(service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"])
    return True


def _is_ours(tag: str) -> bool:
    """
    >>> _is_ours("nbgraph/score:1"), _is_ours("registry:5000/team/nbgraph/score:1"), _is_ours("notnbgraph/score:1")
    (True, True, False)
    """
    return tag.startswith(OURS) or f"/{OURS}" in tag


def _remove(client: Any, left: Leftover) -> None:
    import docker

    with contextlib.suppress(docker.errors.APIError):  # somebody has begun to use it, or removed it
        if left.kind == "image":
            client.images.remove(left.name)
        elif left.kind == "volume":
            client.volumes.get(left.name).remove()
        else:
            client.networks.get(left.name).remove()
