"""Move: how a graph's services get onto a Swarm, or take the places of those that run there already."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nbgraph.contract import PORT
from nbgraph.deploy.backend import DeployRequest
from nbgraph.deploy.broker import BrokerClient
from nbgraph.deploy.deployed_function import DeployedFunction
from nbgraph.deploy.docker.client import named
from nbgraph.deploy.progress import Say
from nbgraph.deploy.project.hardening import is_public, labels
from nbgraph.deploy.project.services import Service
from nbgraph.deploy.swarm.files import own_file
from nbgraph.deploy.swarm.rollout import Rollout
from nbgraph.deploy.swarm.service import IMAGE, SwarmService, repeated, short, specification
from nbgraph.errors import DeployError

if TYPE_CHECKING:
    from docker import DockerClient

Files = Mapping[str, tuple[str, str]]


class SwarmUpdate:
    """One change of a deployment: made as a whole, or taken back."""

    def __init__(
        self, client: DockerClient, request: DeployRequest, rollout: Rollout, *, network: str, files: Files
    ) -> None:
        self._client, self._request, self._rollout = client, request, rollout
        self._network, self._files = network, files
        self._api: Any = client.api
        self._stack = named(request.name)
        self._before: dict[str, Mapping[str, Any] | None] = {}  # what a service was told until now; None: it is new

    def make(self, services: Sequence[Service], replicas: Mapping[str, int], say: Say) -> None:
        """Bring the services up: consumers before whoever sends to them, where there is something to send already."""
        every = {short(f"{self._stack}_{service.name}"): service for service in services}
        self._before = {name: self._told(name) for name in every}
        is_new = not any(self._before.values())
        for rank in [(0, 1, 2)] if is_new else [(0,), (1,), (2,)]:
            group = {name: service for name, service in every.items() if _rank(service) in rank}
            if group:
                say(f"Starting {', '.join(service.name for service in group.values())}")
            for name, service in group.items():
                self._put(name, service, replicas.get(service.name))
            self._rollout.wait(group)

    def undo(self) -> None:
        """Tell changed services what they were told before, and remove new ones; returns when all is as it was."""
        import docker

        self._rollout.begin()
        for name, told in self._before.items():
            with contextlib.suppress(docker.errors.APIError):
                if told is None:
                    self._api.remove_service(name)
                else:
                    self._update(name, repeated(told))
        with contextlib.suppress(DeployError):  # what went wrong first is what is to be told
            self._rollout.wait(name for name, told in self._before.items() if told is not None)

    def drop(self, duty: DeployedFunction, still_read: set[str], reach: BrokerClient) -> None:
        """A function that is no more goes when nothing waits for it."""
        queues = [queue.name for queue in duty.queues if queue.name not in still_read]
        deadline = time.monotonic() + self._request.timeout
        while queues and (size := reach.backlog(queues)):
            if time.monotonic() > deadline:
                raise DeployError(
                    f'"{duty.name}" is not in the new graph, but {size} messages still wait for it; it goes on until '
                    "the next update."
                )
            time.sleep(0.1)
        self._api.remove_service(short(f"{self._stack}_{duty.name}"))

    # --- inside ---

    def _put(self, name: str, service: Service, replicas: int | None) -> None:
        before = self._before[name]
        count = replicas or (before["Mode"]["Replicated"]["Replicas"] if before else service.replicas)
        own = {name: self._files[own_file(service.name, name)] for name in service.given.secrets}
        files = {**self._files, **own}
        given = tuple(file for file in service.secrets if file in files)
        one = SwarmService(
            replace(service, image=self._image(service.image), secrets=given, replicas=count),
            labels=labels(self._request.graph, service.name, self._request.name) | {IMAGE: service.image},
            duty=duty_of(service),
            port=(self._request.port or PORT) if service.is_gateway and is_public(self._request.host) else None,
            node=f"node.id=={self._client.info()['Swarm']['NodeID']}" if service.function is None else None,
        )
        told = specification(one, self._stack, self._network, files, f"{self._stack}-data")
        if before is None:
            self._api.create_service(**told)
        else:
            self._update(name, told)

    def _told(self, name: str) -> Mapping[str, Any] | None:
        found = self._api.services({"name": name})  # names that begin so
        return next((one["Spec"] for one in found if one["Spec"]["Name"] == name), None)

    def _update(self, name: str, told: Mapping[str, Any]) -> None:
        version = self._api.inspect_service(name)["Version"]["Index"]
        self._api.update_service(name, version, **told)

    def _image(self, image: str) -> str:
        """By its content: then an engine asks no registry for something of that name, and all nodes run the same."""
        found = self._client.images.get(image)
        pushed = [one for one in found.attrs["RepoDigests"] if one.partition("@")[0] == image.rpartition(":")[0]]
        return str(pushed[0] if pushed else found.id)


def duty_of(service: Service) -> DeployedFunction | None:
    """What a function's service does; None for the broker."""
    if service.function is None:
        return None
    return DeployedFunction.of(service.function, service.image, profile=service.profile, given=service.given)


def _rank(service: Service) -> int:
    return 0 if service.function is None else 2 if service.is_gateway else 1
