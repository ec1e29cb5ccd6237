"""DockerBackend: the functions of a graph in containers on a network of their own, joined by a broker in another.

Everything that has to be known of it stands in labels and in the containers' secrets, so that any kernel can go on
with it: who may ask the Docker daemon may read them.
"""

from __future__ import annotations

import contextlib
import secrets
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from msgspec import structs

from nbgraph.contract import (
    DEPLOYMENT_LABEL,
    FUNCTION_LABEL,
    GRAPH_LABEL,
    KEY_SECRET,
    METRICS_PATH,
    METRICS_PORT,
    PORT,
    PROMISED_FOLDER,
    SECRETS_FOLDER,
    TOKEN_SECRET,
    VERSION_FILE,
)
from nbgraph.deploy.backend import DeployRequest, FunctionState, callable_at, listening, several
from nbgraph.deploy.broker import BrokerClient, broker_image, broker_options, forget, server_image
from nbgraph.deploy.deployed_function import DeployedFunction
from nbgraph.deploy.docker.client import (
    DUTY,
    STREAMS,
    archive,
    explained,
    named,
    published,
    removed,
    secret_of,
    stopped,
    wait,
)
from nbgraph.deploy.docker.containers import Containers
from nbgraph.deploy.docker.network import forget_callers, hosts_of, join_called, join_callers
from nbgraph.deploy.options.certificate import CERTIFICATE, CERTIFICATE_KEY, Certificate, certificate_options
from nbgraph.deploy.progress import Say
from nbgraph.deploy.project.function_project import Projects
from nbgraph.deploy.project.hardening import labels
from nbgraph.deploy.project.image import bases_there, image_of
from nbgraph.deploy.project.project import profile_of
from nbgraph.deploy.project.services import BROKER, BROKER_MEMORY, data_options, processes
from nbgraph.deploy.worker_pool import WorkerPool
from nbgraph.errors import DeployError
from nbgraph.streams.transport import OWN, StreamAddress, transport_of

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

PATIENCE = 180.0  # seconds for whatever is asked of a stack that was found running


class DockerBackend(WorkerPool["Container"]):
    """Containers by function; the first function's one publishes the port that callers use."""

    target = "docker"

    def __init__(self, client: DockerClient, request: DeployRequest, *, is_safe: bool = True) -> None:
        super().__init__(request)
        self._client, self._is_safe = client, is_safe
        self._yard = Containers(client, named(request.name))
        weakref.finalize(self, client.close)
        self._token = secrets.token_hex(16)
        self._broker: Container | None = None  # of our own server
        self._is_parted = False  # there are several functions, joined by a broker

    @classmethod
    def start(
        cls,
        client: DockerClient,
        request: DeployRequest,
        projects: Projects,
        replicas: Mapping[str, int],
        *,
        is_safe: bool,
        say: Say,
    ) -> DockerBackend:
        """Build the images, make the network, the broker and all containers, and wait until callers are answered."""
        stack = cls(client, replace(request, port=request.port or _free_port(request.host)), is_safe=is_safe)
        try:
            stack.update(projects, replicas, say)
        except BaseException:  # Ctrl-C as well: nothing may stay behind
            stack.stop()
            raise
        return stack

    @classmethod
    def find(cls, client: DockerClient, name: str) -> DockerBackend | None:
        """The running containers of that deployment, or of that graph where it is deployed just once."""
        for label in (DEPLOYMENT_LABEL, GRAPH_LABEL):
            every = client.containers.list(all=True, filters={"label": [f"{label}={name}", DUTY]}, ignore_removed=True)
            names = {container.labels[DEPLOYMENT_LABEL] for container in every}
            if len(names) > 1:
                raise several(name, names)
            if names:
                return cls._of(client, every)
        return None

    def update(self, projects: Projects, replicas: Mapping[str, int], say: Say) -> list[str]:
        """Go on with these projects, and nothing is lost on the way; the functions that have changed."""
        import docker

        duties: list[DeployedFunction] = []
        bases_there(self._client, projects, say)
        for part in projects:
            image = image_of(self._client, part, say)
            profile = profile_of(part.files, part.given.resources, part.function.workers)
            readers = transport_of(self.request.streams).most_readers
            duties.append(DeployedFunction.of(part.function, image, profile=profile, given=part.given, readers=readers))
        try:
            with self._turn:
                self._join(is_several=len(projects) > 1, say=say)
                say("Starting the containers")
                return self.take_over(duties, replicas)
        except docker.errors.APIError as error:
            raise explained(error, self.request) from error

    @property
    def url(self) -> str:
        is_secure = self.request.certificate is not None
        return callable_at(self.request.host, self.request.port or 0, is_secure=is_secure)

    def sources(self) -> list[tuple[str, str]]:
        """Where the numbers of each container are read: its function, the URL."""
        self._glanced()
        running = [(name, one) for name, those in self._members.items() for one in those if one.status == "running"]
        return [(name, f"http://{published(container, METRICS_PORT)}{METRICS_PATH}") for name, container in running]

    def states(self) -> list[FunctionState]:
        """A row for each container; for the broker's only where it does not run."""
        self._glanced()
        broker = [self._state(BROKER, self._broker)] if self._broker is not None and not self._is_brokered() else []
        return [*super().states(), *broker]

    def mend(self) -> list[str]:
        """Start again what somebody has ended: Docker does so with what ends by itself, and leaves that alone."""
        import docker

        with self._turn:
            self._look()
            mended = []
            try:
                if self._broker is not None and not self._is_brokered():
                    self._broker.start()
                    mended.append(BROKER)
                ended = [(name, one) for name in self.functions for one in self._members[name] if not self._lives(one)]
                for _, container in ended:
                    container.start()
            except docker.errors.APIError as error:
                raise explained(error, self.request) from error
            deadline = time.monotonic() + self.request.timeout
            for name, container in ended:
                self._await(self._duties[name], container, deadline)
            return list(dict.fromkeys([*mended, *(name for name, _ in ended)]))

    def mark(self) -> None:
        """Tell the gateway which version it is now, by a file in the folder that it keeps."""
        for container in self._members[self.functions[0]]:
            container.put_archive(PROMISED_FOLDER, archive(VERSION_FILE, self._version_text()))

    def logs(self, lines: int, function: str | None = None) -> str:
        """The last lines of each container's log."""
        found = self._members[function] if function else self._all()
        return "\n".join(container.logs(tail=lines).decode(errors="replace").rstrip("\n") for container in found)

    def stop(self) -> None:
        """The gateway first, so that nothing new comes in; then the others; then the broker and the network."""
        with self._turn:
            for name in self.functions:
                stopped(self._members[name])
            self._duties, self._members = {}, {}
            if self._broker is not None:
                stopped([self._broker])
            self._broker = None
            removed(self._client, self.request.name)
            forget_callers(self._client)
            forget(self.request.streams)
        self._client.close()

    # --- a Crew of containers ---

    def _begin(self, duty: DeployedFunction) -> Container:
        container = self._prepared(duty)
        try:
            container.start()
        except BaseException:
            self._end([container])
            raise
        return container

    def _prepared(self, duty: DeployedFunction) -> Container:
        """A container of the function that is only to be started."""
        numbers = _free_port("127.0.0.1")  # for this machine alone; the same after a restart
        ports: dict[str, Any] = {f"{METRICS_PORT}/tcp": ("127.0.0.1", numbers)}
        given = dict(duty.given.secrets)
        command: list[str] = []
        if duty.is_gateway:
            ports[f"{PORT}/tcp"] = (self.request.host, self.request.port)
        if duty.is_gateway and self.request.api_key is not None:
            given[KEY_SECRET] = self.request.api_key
        if duty.is_gateway and self.request.certificate is not None:
            given |= self.request.certificate.files
        if (address := self._address(f"{BROKER}:{server_image().port}")) is not None:
            given |= {TOKEN_SECRET: address.secret} if address.secret else {}
            command = broker_options(address, f"{SECRETS_FOLDER}/{TOKEN_SECRET}")
        if duty.is_gateway:
            command += certificate_options(SECRETS_FOLDER) if self.request.certificate is not None else []
            command += [*data_options(is_safe=self._is_safe), *processes(duty.workers), *self._version_options()]
        name = f"{named(self.request.name)}-{duty.name}-{secrets.token_hex(3)}"
        marks = labels(self.request.graph, duty.name, self.request.name) | {DUTY: duty.text()}
        marks |= {STREAMS: self.request.streams.url} if self.request.streams.is_external else {}
        # For the gateway that comes after this one as well.
        kept = {"promised": PROMISED_FOLDER} if duty.is_gateway else {}
        container = self._yard.make(
            name, duty.source, marks, duty.profile, given, ports=ports, command=command, kept=kept, env=duty.given.env,
            volumes=duty.given.volumes, hosts=hosts_of(duty.given),
        )  # fmt: skip
        try:
            join_called(self._client, container, duty.given)
            if duty.is_gateway:
                join_callers(self._client, container, self.request.name)
        except BaseException:
            self._end([container])
            raise
        return container

    def _await(self, duty: DeployedFunction, member: Container, deadline: float) -> None:
        scheme = "https" if duty.is_gateway and self.request.certificate is not None else "http"
        port = PORT if duty.is_gateway else METRICS_PORT
        wait(member, port, deadline, self.request.timeout, scheme=scheme)

    def _end(self, members: Sequence[Container]) -> None:
        import docker

        stopped(members)
        for container in members:
            with contextlib.suppress(docker.errors.NotFound):
                container.remove(force=True)
                self._client.volumes.get(f"{container.name}-secrets").remove()

    def _lives(self, member: Container) -> bool:
        return member.status not in ("exited", "dead")  # Docker does not start again what somebody has ended

    def _swapped(self, gateway: DeployedFunction, n: int) -> list[Container]:
        """Docker lets one container have a port: the old one finishes what it has, then the new one starts."""
        before = [one for duty in self._duties.values() if duty.is_gateway for one in self._members[duty.name]]
        after = self._prepared(gateway)
        stopped(before)
        try:
            after.start()
            self._await(gateway, after, time.monotonic() + self.request.timeout)
        except BaseException:
            self._end([after])
            for container in before:
                container.start()
            raise
        return [after]

    def _state(self, function: str, member: Container) -> FunctionState:
        attributes = member.attrs
        started = attributes["State"]["StartedAt"].partition(".")[0]
        image, name = attributes["Config"]["Image"], str(member.name)
        return FunctionState(function, name, member.status, attributes["RestartCount"], f"{started}+00:00", image)

    def _reached(self) -> BrokerClient | None:
        if self._reach is None:
            if self._broker is not None:
                self._broker.reload()
            place = published(self._broker, server_image().port) if self._broker is not None else ""
            address = self._address(place)
            self._reach = BrokerClient(address) if address is not None else None
        return self._reach

    def _address(self, place: str) -> StreamAddress | None:
        """The broker's address; that of our own, where it runs, with the host and port of those who ask."""
        if self.request.streams.is_external:
            return self.request.streams if self._is_parted else None
        scheme = self.request.streams.transport
        return StreamAddress.of_url(f"{scheme}://{place}", self._token) if self._broker is not None else None

    # --- inside ---

    @classmethod
    def _of(cls, client: DockerClient, containers: Sequence[Container]) -> Self:
        """What the labels and the secrets tell."""
        gateway = next((one for one in containers if DeployedFunction.of_text(one.labels[DUTY]).is_gateway), None)
        if gateway is None:
            name = containers[0].labels[DEPLOYMENT_LABEL]
            raise DeployError(
                f'The container of "{name}" that callers reach was removed, and what it knew with it; remove the rest, '
                f"docker rm -f $(docker ps -aqf label={DEPLOYMENT_LABEL}={name}), and deploy again."
            )
        marks = gateway.labels
        bound = gateway.attrs["HostConfig"]["PortBindings"][f"{PORT}/tcp"][0]
        stack = cls(
            client,
            DeployRequest(
                marks[DEPLOYMENT_LABEL], marks[GRAPH_LABEL], marks[FUNCTION_LABEL], bound["HostIp"],
                int(bound["HostPort"]),
                secret_of(gateway, KEY_SECRET), PATIENCE, _certificate(gateway), _streams(gateway),
            ),
        )  # fmt: skip
        stack._look()
        stack._token = secret_of(gateway, TOKEN_SECRET) or stack._token
        stack._is_parted = len(stack._duties) > 1
        chosen = [f"{DEPLOYMENT_LABEL}={marks[DEPLOYMENT_LABEL]}", f"{FUNCTION_LABEL}={BROKER}"]
        stack._broker = next(iter(client.containers.list(all=True, filters={"label": chosen})), None)
        return stack

    def _look(self) -> None:
        """What the daemon has: the labels tell of each container what it is there for."""
        chosen = [f"{DEPLOYMENT_LABEL}={self.request.name}", DUTY]
        found = self._client.containers.list(all=True, filters={"label": chosen}, ignore_removed=True)
        every = sorted(found, key=lambda container: str(container.attrs["Created"]))
        duties = {duty.name: duty for duty in map(self._duty, every)}
        self._duties = dict(sorted(duties.items(), key=lambda item: not item[1].is_gateway))
        self._members = {name: [one for one in every if one.labels[FUNCTION_LABEL] == name] for name in self._duties}

    def _duty(self, container: Container) -> DeployedFunction:
        """What its label tells; the values of its secrets stand in the container alone."""
        known = self._duties.get(container.labels[FUNCTION_LABEL])
        if known is not None and known.text() == container.labels[DUTY]:
            return known
        told = DeployedFunction.of_text(container.labels[DUTY])
        secrets = {name: secret_of(container, name) or "" for name in told.given.secrets}
        return structs.replace(told, given=replace(told.given, secrets=secrets))

    def _glanced(self) -> None:
        """As `_look`, unless a change is going on, which knows better."""
        if self._turn.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._turn.release()

    def _is_brokered(self) -> bool:
        """Whether the broker runs."""
        assert self._broker is not None
        self._broker.reload()
        return self._lives(self._broker)

    def _all(self) -> list[Container]:
        return [container for those in self._members.values() for container in those]

    def _join(self, *, is_several: bool, say: Say) -> None:
        """The network, and the broker where there are several functions, as far as they are not there yet."""
        self._yard.join(labels(self.request.graph, "", self.request.name))
        self._is_parted = self._is_parted or is_several
        if is_several and self._broker is None and not self.request.streams.is_external:
            say("Starting the broker")
            self._start_broker(broker_image(self._client, say))

    def _start_broker(self, image: str) -> None:
        marks = labels(self.request.graph, BROKER, self.request.name)
        name = f"{named(self.request.name)}-{BROKER}"
        server = server_image()
        config = server.config(self._token, is_safe=self._is_safe)
        self._broker = self._yard.make(
            name, image, marks, BROKER_MEMORY, {server.config_name: config},
            ports={f"{server.port}/tcp": ("127.0.0.1", _free_port("127.0.0.1"))},  # the same after a restart
            command=["-c", f"{SECRETS_FOLDER}/{server.config_name}"], kept={"data": server.data}, alias=BROKER,
        )  # fmt: skip
        self._broker.start()


def _free_port(host: str) -> int:
    """A free port, given out here and not by Docker, which gives another one at every restart."""
    with listening(host, None) as bound:
        return int(bound.getsockname()[1])


def _streams(gateway: Container) -> StreamAddress:
    """The external broker that its label names; else one of the deployment's own."""
    url = gateway.labels.get(STREAMS, "")
    return StreamAddress.of_url(url, secret_of(gateway, TOKEN_SECRET) or "") if url else OWN


def _certificate(gateway: Container) -> Certificate | None:
    text, key = secret_of(gateway, CERTIFICATE), secret_of(gateway, CERTIFICATE_KEY)
    return Certificate(text, key) if text is not None and key is not None else None
