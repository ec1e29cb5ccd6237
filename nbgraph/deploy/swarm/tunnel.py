"""SwarmTunnel: the one way from this machine into a deployment's network; nothing has to be published for it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import httpx

from nbgraph.contract import BROKER_PORT, METRICS_PATH, METRICS_PORT, PORT, SECRETS_FOLDER, TUNNEL_MODULE, TunnelOption
from nbgraph.deploy.docker.client import archive, named, published, secret_of
from nbgraph.deploy.project.dockerfile import PYTHON
from nbgraph.deploy.project.hardening import Hardening, hardened, labels
from nbgraph.deploy.project.services import BROKER
from nbgraph.errors import DeployError
from nbgraph.streams.transport import DEFAULT

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

NAME = "nbgraph.tunnel"  # the label that it is found by; its value is the deployment
LOCAL = "127.0.0.1"
MEMORY = Hardening(memory=256 * 2**20)
START_SECONDS = 60


class SwarmTunnel:
    """A container of this machine's own on the deployment's network, which listens on 127.0.0.1 alone.

    It keeps the deployment's secrets as well, since a Swarm never gives one back.
    """

    def __init__(self, container: Container) -> None:
        self._container = container
        container.reload()

    @classmethod
    def open(
        cls, client: DockerClient, *, deployment: str, graph: str, gateway: str, image: str, network: str,
        port: int | None, secrets: Mapping[str, str],
    ) -> SwarmTunnel:  # fmt: skip
        """Start one; `port` is the one callers use, any free one if it is None."""
        marks = {**labels(graph, "tunnel", deployment), NAME: deployment}
        vault = client.volumes.create(f"{named(deployment)}-tunnel-secrets", labels=marks)
        ports: dict[str, Any] = {f"{number}/tcp": (LOCAL, None) for number in (METRICS_PORT, BROKER_PORT)}
        places = [TunnelOption.HOST, "0.0.0.0", TunnelOption.GATEWAY, gateway, TunnelOption.BROKER, BROKER]
        container = client.containers.create(
            image, places, name=f"{named(deployment)}-tunnel",
            entrypoint=[PYTHON, "-P", "-m", TUNNEL_MODULE], labels=marks, network=network,
            ports=ports | {f"{PORT}/tcp": (LOCAL, port)}, volumes={vault.name: {"bind": SECRETS_FOLDER, "mode": "rw"}},
            healthcheck={"test": ["NONE"]}, **hardened(MEMORY),
        )  # fmt: skip
        for name, text in secrets.items():
            container.put_archive(SECRETS_FOLDER, archive(name, text))
        container.start()
        return cls(container)

    @classmethod
    def find(cls, client: DockerClient, deployment: str) -> SwarmTunnel | None:
        """The one of a deployment, if it runs on this machine."""
        found = client.containers.list(filters={"label": f"{NAME}={deployment}"})
        return cls(found[0]) if found else None

    @property
    def url(self) -> str:
        """Where callers are answered."""
        return f"http://{published(self._container, PORT)}"

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def broker(self) -> str:
        return f"{DEFAULT}://{published(self._container, BROKER_PORT)}"

    def secret(self, name: str) -> str | None:
        """What it keeps under a name."""
        return secret_of(self._container, name)

    def numbers(self, address: str) -> str:
        """Where the numbers of the worker at an address of the network are read."""
        return f"http://{published(self._container, METRICS_PORT)}/{address}{METRICS_PATH}"

    def reaches(self, address: str) -> bool:
        """Whether packets find the way to an address and back; nobody has to listen there."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return httpx.get(self.numbers(address), trust_env=False, timeout=10).status_code != 504
            except httpx.HTTPError as error:
                if time.monotonic() > deadline:
                    log = self._container.logs(tail=10).decode(errors="replace")
                    raise DeployError(f"The tunnel into the network does not answer: {error}\n{log}") from error
                time.sleep(0.1)

    @staticmethod
    def close(client: DockerClient, deployment: str) -> None:
        """Take away a deployment's tunnel and what it kept, as far as they were made."""
        chosen: dict[str, Any] = {"label": f"{NAME}={deployment}"}
        for container in client.containers.list(all=True, filters=chosen, ignore_removed=True):
            container.remove(force=True, v=True)
        for volume in client.volumes.list(filters=chosen):
            volume.remove(force=True)
