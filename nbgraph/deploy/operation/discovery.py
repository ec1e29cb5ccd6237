"""Elsewhere: deployments that this process does not hold: of other processes, or at the Docker daemon."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nbgraph.deploy.backend import Backend
from nbgraph.deploy.docker.client import DaemonError as DaemonError
from nbgraph.deploy.docker.client import connect
from nbgraph.deploy.process.attached import AttachedBackend

if TYPE_CHECKING:
    from docker import DockerClient


def running(name: str, target: str | None) -> Iterator[Backend]:
    """Those that other processes started, or that this one forgot."""
    if target in (None, "process") and (fleet := AttachedBackend.find(name)) is not None:
        yield fleet
    for kind in ("docker", "swarm"):
        if target in (None, kind):
            try:
                client = connect()
            except DaemonError:  # no Docker, no containers
                return
            if (found := _at_daemon(client, name, kind)) is not None:
                yield found


def _at_daemon(client: DockerClient, name: str, target: str) -> Backend | None:
    from nbgraph.deploy.docker.backend import DockerBackend
    from nbgraph.deploy.swarm.backend import SwarmBackend

    found: Backend | None = None
    try:
        found = DockerBackend.find(client, name) if target == "docker" else SwarmBackend.find(client, name)
    finally:
        if found is None:
            client.close()
    return found


def away() -> str:
    """What to add to "nothing is there" where the daemon could not be asked."""
    try:
        connect().close()
    except DaemonError as error:
        return f", which can't be asked: {str(error).partition(': start')[0]}"
    return ""
