"""Swarm: the functions of a graph as services on the nodes of a Docker Swarm, joined by a broker on one of them.

An update rolls over: new tasks come before the old ones go, and those finish what they have. What has to be known of a
deployment stands in labels and in its tunnel, so that any kernel on that machine can go on with it.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
import weakref
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

import httpx

from nbgraph.contract import (
    DEPLOYMENT_LABEL,
    GRAPH_LABEL,
    KEY_SECRET,
    READY_PATH,
    TOKEN_SECRET,
    DeploymentVersion,
    Option,
)
from nbgraph.deploy.backend import DeployRequest, FunctionState, failed_start, several, wrong_count
from nbgraph.deploy.broker import BrokerClient, broker_image
from nbgraph.deploy.deployed_function import DeployedFunction, check_queues
from nbgraph.deploy.docker.client import DUTY, explained, named
from nbgraph.deploy.hosted_functions import HostedFunctions
from nbgraph.deploy.progress import Say
from nbgraph.deploy.project.function_project import Projects
from nbgraph.deploy.project.hardening import is_public, labels
from nbgraph.deploy.project.image import bases_there, image_of
from nbgraph.deploy.project.services import Service, services_of
from nbgraph.deploy.swarm.engine import check_manager, check_place, overlay, pushed, put_away
from nbgraph.deploy.swarm.files import SwarmFiles
from nbgraph.deploy.swarm.rollout import FAILED, Rollout, Task, address_of, down, gone, hosts, log_of
from nbgraph.deploy.swarm.service import IMAGE, repeated, short
from nbgraph.deploy.swarm.tunnel import SwarmTunnel
from nbgraph.deploy.swarm.update import SwarmUpdate, duty_of
from nbgraph.errors import DeployError
from nbgraph.streams.transport import StreamAddress

if TYPE_CHECKING:
    from docker import DockerClient

PATIENCE = 180.0  # seconds for whatever is asked of a deployment that was found running


class SwarmBackend(HostedFunctions):
    """Services by function; callers and the notebook come in by a tunnel that listens on this machine alone."""

    target = "swarm"

    def __init__(
        self, client: DockerClient, request: DeployRequest, *, is_safe: bool = True, registry: str | None = None
    ) -> None:
        super().__init__()
        self.request = request
        self._client, self._is_safe, self._registry = client, is_safe, registry
        self._api: Any = client.api  # whose types nobody has written
        weakref.finalize(self, client.close)
        self._stack = named(request.name)
        self._duties: dict[str, DeployedFunction] = {}
        self._version = ""  # that the gateway's service was told
        self._tunnel: SwarmTunnel | None = None
        self._reach: BrokerClient | None = None
        self._turn = threading.RLock()  # one change at a time: an autoscaler and a person may scale at once

    @classmethod
    def start(
        cls, client: DockerClient, request: DeployRequest, projects: Projects, replicas: Mapping[str, int], *,
        is_safe: bool, registry: str | None, say: Say,
    ) -> SwarmBackend:  # fmt: skip
        """Build the images, make the network, the tunnel and the services, and wait until callers are answered."""
        check_manager(client)
        check_place(request)
        swarm = cls(client, request, is_safe=is_safe, registry=registry)
        try:
            swarm.update(projects, replicas, say)
        except BaseException:  # Ctrl-C as well: nothing may stay behind
            swarm.stop()
            raise
        return swarm

    @classmethod
    def find(cls, client: DockerClient, name: str) -> SwarmBackend | None:
        """The services of that deployment, or of that graph where it is deployed just once."""
        if not client.info()["Swarm"].get("ControlAvailable"):
            return None
        api: Any = client.api
        for label in (DEPLOYMENT_LABEL, GRAPH_LABEL):
            found = [one["Spec"] for one in api.services({"label": [f"{label}={name}", DUTY]})]
            names = {spec["Labels"][DEPLOYMENT_LABEL] for spec in found}
            if len(names) > 1:
                raise several(name, names)
            if names:
                return cls._of(client, found)
        return None

    def update(self, projects: Projects, replicas: Mapping[str, int], say: Say) -> list[str]:
        """Go on with these projects, and nothing is lost on the way; the functions that have changed."""
        import docker

        with self._turn:
            try:
                services = self._services(projects, say)
                return self._moved(services, replicas, say)
            except docker.errors.APIError as error:
                raise explained(error, self.request) from error

    @property
    def url(self) -> str:
        return self._way.url

    def sources(self) -> list[tuple[str, str]]:
        """Where the numbers of each worker are read: its function, the URL."""
        lost = down(self._client)
        every = [(name, task) for name in self.functions for task in self._tasks(name)]
        found = [(name, address_of(task, self._stack)) for name, task in every if _is_up(task, lost)]
        return [(name, self._way.numbers(address)) for name, address in found if address is not None]

    def logs(self, lines: int, function: str | None = None) -> str:
        """The last lines of each task's log."""
        chosen = [function] if function else self.functions
        return "\n".join(log_of(self._client, self._service(name), lines) for name in chosen)

    def states(self) -> list[FunctionState]:
        """A row for each task."""
        names, lost = hosts(self._client), down(self._client)
        rows = []
        for function in self.functions:
            every = self._tasks(function)
            failed = Counter(task.get("Slot") for task in every if task["Status"]["State"] in FAILED)
            wanted = [task for task in every if task["DesiredState"] == "running"]
            rows += [_state(function, task, failed[task.get("Slot")], names, lost) for task in wanted]
        return rows

    def scale(self, function: str, n: int) -> None:
        """Run that many tasks of a function; those that are too many finish what they have first."""
        duty = self._duties[function]
        if not 1 <= n <= duty.most:
            raise wrong_count(function, duty.most, n)
        with self._turn:
            rollout = self._rollout(one.source for one in self._duties.values())
            self._count(self._service(function), n)
            rollout.wait([self._service(function)])

    def replicas(self, function: str) -> int:
        """How many workers of a function there shall be."""
        service = self._api.inspect_service(self._service(function))
        return int(service["Spec"]["Mode"]["Replicated"]["Replicas"])

    def mark(self) -> None:
        """Tell the gateway which version it is now: new tasks come before the old ones go."""
        with self._turn:
            rollout = self._rollout(one.source for one in self._duties.values())
            service = self._service(self.functions[0])
            found = self._api.inspect_service(service)
            container = found["Spec"]["TaskTemplate"]["ContainerSpec"]
            container["Args"] = [*_without_version(container["Args"]), *self._told_version(self.request.version)]
            self._api.update_service(service, found["Version"]["Index"], **repeated(found["Spec"]))
            rollout.wait([service])

    def stop(self) -> None:
        """The gateway first, so that nothing new comes in; then the others; then the broker and what belongs to it."""
        with self._turn:
            first = [duty.name for duty in self._duties.values() if duty.is_gateway]
            for group in (first, [name for name in self._duties if name not in first]):
                self._end([self._service(name) for name in group])
            self._clear()
            self._client.close()

    # --- inside ---

    @classmethod
    def _of(cls, client: DockerClient, found: Sequence[Mapping[str, Any]]) -> Self:
        """What the services and the tunnel tell."""
        name, graph = found[0]["Labels"][DEPLOYMENT_LABEL], found[0]["Labels"][GRAPH_LABEL]
        tunnel = SwarmTunnel.find(client, name)
        if tunnel is None:
            raise DeployError(f'"{name}" was deployed from another machine of this Swarm; attach to it there.')
        every = [DeployedFunction.of_text(spec["Labels"][DUTY]) for spec in found]
        duties = sorted(every, key=lambda duty: not duty.is_gateway)
        ports = [port["PublishedPort"] for spec in found for port in spec["EndpointSpec"].get("Ports", ())]
        host, port = ("0.0.0.0", ports[0]) if ports else ("127.0.0.1", tunnel.port)
        request = DeployRequest(name, graph, duties[0].name, host, port, tunnel.secret(KEY_SECRET), PATIENCE)
        registry = duties[0].source.rpartition("nbgraph/")[0].rstrip("/") or None
        swarm = cls(client, request, registry=registry)
        swarm._tunnel = tunnel
        swarm._duties = {duty.name: duty for duty in duties}
        gateway = next(spec for spec in found if DeployedFunction.of_text(spec["Labels"][DUTY]).is_gateway)
        swarm._version = _version_in(gateway["TaskTemplate"]["ContainerSpec"].get("Args") or [])
        swarm.request = replace(request, version=swarm._version)
        return swarm

    def _services(self, projects: Projects, say: Say) -> list[Service]:
        """The services, and the images that they are made of."""
        services = services_of(projects, {}, registry=self._registry)
        bases_there(self._client, projects, say)
        for part, service in zip(projects, services, strict=False):
            image = image_of(self._client, part, say)
            if self._registry is not None:
                say(f"Pushing {service.image}")
                pushed(self._client, image, service.image)
        if len(projects) > 1:  # the broker stays on this node, so its image needs no registry
            services[-1] = replace(services[-1], image=broker_image(self._client, say))
        return services

    def _moved(self, services: Sequence[Service], replicas: Mapping[str, int], say: Say) -> list[str]:
        import docker

        duties = {duty.name: duty for duty in map(duty_of, services) if duty is not None}
        check_queues(self._duties.values(), duties.values())
        version = self.request.version if duties != self._duties else self._version
        services = [
            replace(one, options=(*one.options, *self._told_version(version))) if one.is_gateway else one
            for one in services
        ]
        network = overlay(self._client, self._stack, self._marks())
        self._tunnel = self._tunnel or self._dug(services)
        files = SwarmFiles(self._client, self._stack, self._marks(), self._way.secret(TOKEN_SECRET) or "")
        own = {duty.name: duty.given.secrets for duty in duties.values()}
        given = files.made(api_key=self.request.api_key, has_broker=len(duties) > 1, is_safe=self._is_safe, given=own)
        rollout = self._rollout(duty.source for duty in duties.values())
        move = SwarmUpdate(self._client, self.request, rollout, network=network, files=given)
        try:
            move.make(services, replicas, say)
        except BaseException:
            move.undo()
            raise
        changed = [name for name, duty in duties.items() if self._duties.get(name) != duty]
        dropped = [duty for name, duty in self._duties.items() if name not in duties]
        self._duties, self._version = duties, version
        self._answered()
        for duty in dropped:
            move.drop(duty, {queue.name for one in duties.values() for queue in one.queues}, self._broker_client())
        with contextlib.suppress(docker.errors.APIError):
            files.clear(kept=[id for _, id in given.values()])
        return changed

    def _told_version(self, version: str) -> list[str]:
        """The options of the gateway; without the time, since whatever differs makes new tasks."""
        return [Option.VERSION, DeploymentVersion(self.request.name, version, 0.0).text()]

    @property
    def _way(self) -> SwarmTunnel:
        assert self._tunnel is not None
        return self._tunnel

    def _marks(self, function: str = "") -> dict[str, str]:
        return labels(self.request.graph, function, self.request.name)

    def _dug(self, services: Iterable[Service]) -> SwarmTunnel:
        gateway = next(service for service in services if service.is_gateway)
        SwarmTunnel.close(self._client, self.request.name)  # what a kernel that died on the way has left
        key = {KEY_SECRET: self.request.api_key} if self.request.api_key is not None else {}
        return SwarmTunnel.open(
            self._client, deployment=self.request.name, graph=self.request.graph, gateway=gateway.name,
            image=gateway.image, network=self._stack, secrets={TOKEN_SECRET: secrets.token_hex(16), **key},
            port=None if is_public(self.request.host) else self.request.port,
        )  # fmt: skip

    def _rollout(self, images: Iterable[str]) -> Rollout:
        return Rollout(self._client, self._stack, self._way.reaches, images, self.request.timeout)

    def _answered(self) -> None:
        """Return once callers are answered."""
        deadline = time.monotonic() + self.request.timeout
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}{READY_PATH}", trust_env=False, timeout=2).status_code == 200:
                    return
            if time.monotonic() > deadline:
                what = f"The graph did not answer within {self.request.timeout:g} seconds"
                raise failed_start(what, self.logs(30, self.functions[0]))
            time.sleep(0.05)

    def _service(self, function: str) -> str:
        return short(f"{self._stack}_{function}")

    def _tasks(self, function: str) -> list[Task]:
        return list(self._api.tasks({"service": self._service(function)}))

    def _hosted(self) -> Mapping[str, DeployedFunction]:
        return self._duties

    def _reached(self) -> BrokerClient | None:
        return self._broker_client() if len(self._duties) > 1 else None

    def _broker_client(self) -> BrokerClient:
        if self._reach is None:
            self._reach = BrokerClient(StreamAddress.of_url(self._way.broker, self._way.secret(TOKEN_SECRET) or ""))
        return self._reach

    def _count(self, service: str, n: int) -> None:
        found = self._api.inspect_service(service)
        mode = {"Replicated": {"Replicas": n}}
        # The SDK's own way would add defaults to what is repeated, and the engine would take that for another service.
        self._api.update_service(service, found["Version"]["Index"], **repeated(found["Spec"] | {"Mode": mode}))

    def _end(self, services: Iterable[str]) -> None:
        """Let their tasks finish what they have, and remove them."""
        import docker

        there = []
        for name in services:
            with contextlib.suppress(docker.errors.NotFound):
                self._count(name, 0)
                there.append(name)
        gone(self._client, there)
        for name in there:
            self._api.remove_service(name)

    def _clear(self) -> None:
        """Take away all that is left under the deployment's label."""
        chosen = {"label": f"{DEPLOYMENT_LABEL}={self.request.name}"}
        self._end([one["Spec"]["Name"] for one in self._api.services(chosen)])
        SwarmTunnel.close(self._client, self.request.name)
        SwarmFiles(self._client, self._stack, self._marks(), "").clear()
        client: Any = self._client
        for left in [*client.volumes.list(filters=chosen), *client.networks.list(filters=chosen)]:
            put_away(left)


def _version_in(options: Sequence[str]) -> str:
    """The version that a gateway was told; empty where it was deployed before there were any."""
    told = [text for word, text in pairwise(options) if word == Option.VERSION]
    return DeploymentVersion.of_text(told[0]).version if told else ""


def _without_version(options: Sequence[str]) -> list[str]:
    if Option.VERSION not in options:
        return list(options)
    place = options.index(Option.VERSION)
    return [*options[:place], *options[place + 2 :]]


def _is_up(task: Task, lost: set[str]) -> bool:
    return task["DesiredState"] == task["Status"]["State"] == "running" and task.get("NodeID") not in lost


def _state(function: str, task: Task, failures: int, names: Mapping[str, str], lost: set[str]) -> FunctionState:
    node = names.get(task.get("NodeID", ""), "")
    state = "lost" if task.get("NodeID") in lost else task["Status"]["State"]
    replica = f"{function}.{task.get('Slot')}" + (f" on {node}" if node else "")
    began = f"{task['Status']['Timestamp'].partition('.')[0]}+00:00"
    image = task["Spec"]["ContainerSpec"].get("Labels", {}).get(IMAGE, "")
    return FunctionState(function, replica, state, failures, began, image)
