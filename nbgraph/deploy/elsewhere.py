"""Elsewhere: deployments that this process does not hold: of other processes, or at the Docker daemon."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nbgraph.deploy.docker import AwayError as AwayError
from nbgraph.deploy.docker import connect
from nbgraph.deploy.foreign import ForeignFleet
from nbgraph.deploy.hosted import Hosted

if TYPE_CHECKING:
    from docker import DockerClient


def running(name: str, target: str | None) -> Iterator[Hosted]:
    """Those that other processes started, or that this one forgot."""
    if target in (None, "process") and (fleet := ForeignFleet.find(name)) is not None:
        yield fleet
    for kind in ("docker", "swarm"):
        if target in (None, kind):
            try:
                client = connect()
            except AwayError:  # no Docker, no containers
                return
            if (found := _at_daemon(client, name, kind)) is not None:
                yield found


def _at_daemon(client: DockerClient, name: str, target: str) -> Hosted | None:
    from nbgraph.deploy.stack import Stack
    from nbgraph.deploy.swarm import Swarm

    found: Hosted | None = None
    try:
        found = Stack.find(client, name) if target == "docker" else Swarm.find(client, name)
    finally:
        if found is None:
            client.close()
    return found


def away() -> str:
    """What to add to "nothing is there" where the daemon could not be asked."""
    try:
        connect().close()
    except AwayError as error:
        return f", which can't be asked: {str(error).partition(': start')[0]}"
    return ""
