"""Network: containers that call other deployments, each on a network that it shares with the one that it calls.

A network has the gateway of one deployment, by that deployment's name, and the containers that call it. Whatever takes
the gateway's place joins it too, so callers need not be told of updates. Deployments that nobody calls share nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nbgraph.contract import DEPLOYMENT_LABEL, PLACES_VARIABLE, PORT, places_in
from nbgraph.deploy.deployed_function import DeployedFunction
from nbgraph.deploy.docker.client import DUTY
from nbgraph.deploy.options.provision import Provision
from nbgraph.deploy.project.hardening import is_public
from nbgraph.errors import DeployError
from nbgraph.graph.documents.catalogue import RunningGraph

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container
    from docker.models.networks import Network

HOST = "host.docker.internal"  # this machine, as containers call it
CALLED_LABEL = "nbgraph.called"


def place_of(name: str, running: RunningGraph | None) -> str:
    """The URL by which a container calls a deployment; what does not run yet is thought to come to Docker.

    >>> place_of("rates", None)
    'http://rates:8080'
    """
    if running is None:
        return f"http://{name}:{PORT}"
    parts = urlsplit(running.url)
    if running.target == "docker":
        return f"{parts.scheme}://{running.name}:{PORT}"
    if not is_public(running.host):
        raise DeployError(
            f'Containers can\'t reach the deployment "{name}", which listens on {running.host} of this machine '
            f'({running.target}); deploy that on "docker", or let it listen to others too: '
            'graph.deploy(host="0.0.0.0", api_key=...).'
        )
    host = HOST if running.host in ("0.0.0.0", "::") else running.host
    return f"{parts.scheme}://[{host}]:{parts.port}" if ":" in host else f"{parts.scheme}://{host}:{parts.port}"


def hosts_of(given: Provision) -> dict[str, str]:
    """Names of hosts that a container must be told of: this machine's, where it calls a process here."""
    return {HOST: "host-gateway"} if any(url.hostname == HOST for url in _urls(given)) else {}


def join_called(client: DockerClient, container: Container, given: Provision) -> None:
    """Bring a new container together with the gateways of those that it calls."""
    for called in dict.fromkeys(url.hostname for url in _urls(given) if url.hostname and "." not in url.hostname):
        network = _network(client, called) or _made(client, called)
        network.connect(container)
        for gateway in _gateways(client, called):
            _connect(network, gateway, called)


def join_callers(client: DockerClient, gateway: Container, deployment: str) -> None:
    """Bring a new gateway together with those that call its deployment, if there are any."""
    network = _network(client, deployment)
    if network is not None:
        _connect(network, gateway, deployment)


def forget_callers(client: DockerClient) -> None:
    """Remove the networks on which no caller is any more."""
    import docker

    for network in client.networks.list(filters={"label": CALLED_LABEL}):
        with contextlib.suppress(docker.errors.APIError):  # somebody else has just removed it, or joins it
            called = network.attrs["Labels"][CALLED_LABEL]
            there = client.containers.list(all=True, filters={"network": _name(called)}, ignore_removed=True)
            if all(one.labels.get(DEPLOYMENT_LABEL) == called for one in there):
                for one in there:
                    network.disconnect(one, force=True)
                network.remove()


def _urls(given: Provision) -> Iterable[Any]:
    return map(urlsplit, places_in(given.env.get(PLACES_VARIABLE, "")).values())


def _name(called: str) -> str:
    return f"nbgraph.callers.{called}"


def _network(client: DockerClient, called: str) -> Network | None:
    found = client.networks.list(names=[_name(called)])  # names that have this in them
    return next((one for one in found if one.name == _name(called)), None)


def _made(client: DockerClient, called: str) -> Network:
    return client.networks.create(_name(called), labels={CALLED_LABEL: called})


def _gateways(client: DockerClient, called: str) -> list[Container]:
    chosen: dict[str, Any] = {"label": [f"{DEPLOYMENT_LABEL}={called}", DUTY]}
    every = client.containers.list(all=True, filters=chosen, ignore_removed=True)
    return [one for one in every if DeployedFunction.of_text(one.labels[DUTY]).is_gateway]


def _connect(network: Network, gateway: Container, called: str) -> None:
    """By the deployment's name; one that is there already stays."""
    gateway.reload()
    if network.name not in gateway.attrs["NetworkSettings"]["Networks"]:
        network.connect(gateway, aliases=[called])
