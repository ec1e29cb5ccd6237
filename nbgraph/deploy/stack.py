"""A Stack: the functions of a graph in containers on a network of their own, joined by a NATS server in another."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbgraph.deploy.broker import Reach, broker_image, most_workers
from nbgraph.deploy.docker import archive, explained, published, removed, wait
from nbgraph.deploy.hosted import Request, State, alone
from nbgraph.deploy.profile import GRACE_SECONDS, METRICS_PORT, PORT, SECRETS, Profile, hardened, labels
from nbgraph.deploy.progress import Say
from nbgraph.deploy.services import BROKER, BROKER_MEMORY, BROKER_PORT, CONFIG, DATA, KEY, TOKEN, worker_options
from nbgraph.deploy.split import Function
from nbgraph.errors import DeployError
from nbgraph.streams.server import server_config

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container as Running


class Stack:
    """Containers by function; the first function's one publishes the port that callers use."""

    target = "docker"

    def __init__(self, client: DockerClient, request: Request, functions: Sequence[Function]) -> None:
        self.request = request
        self._client = client
        self._functions = {function.name: function for function in functions}
        self._images: dict[str, tuple[str, Profile]] = {}
        self._containers: dict[str, list[Running]] = {name: [] for name in self._functions}
        self._numbers = itertools.count(1)
        self._token = secrets.token_hex(16)
        self._lock = threading.RLock()
        self._reach: Reach | None = None
        self._broker: Running | None = None

    @classmethod
    def start(
        cls,
        client: DockerClient,
        request: Request,
        functions: Sequence[Function],
        images: Mapping[str, tuple[str, Profile]],
        replicas: Mapping[str, int],
        *,
        is_safe: bool,
        say: Say,
    ) -> Stack:
        """Make the network, the broker and all containers, and wait until callers are answered."""
        import docker

        stack = cls(client, request, functions)
        stack._images = dict(images)
        try:
            client.networks.create(stack._network, labels=stack._marks(""))
            say("Starting the broker")
            stack._start_broker(broker_image(client, say), is_safe)
            say("Starting the containers")
            for name in stack.functions:
                stack._containers[name] = [stack._run(name) for _ in range(replicas.get(name, 1))]
            for container in stack._all():
                wait(container, request, METRICS_PORT if container is not stack._gateway else PORT)
        except BaseException as error:  # Ctrl-C as well: nothing may stay behind
            stack.stop()
            if isinstance(error, docker.errors.APIError):
                raise explained(error, request) from error
            raise
        return stack

    @property
    def functions(self) -> list[str]:
        """The gateway's first."""
        return list(self._functions)

    @property
    def url(self) -> str:
        return f"http://{published(self._gateway, PORT)}"

    def sources(self) -> list[tuple[str, str]]:
        """Where the numbers of each container are read: its function, the URL."""
        return [
            (name, f"http://{published(container, METRICS_PORT)}/metrics")
            for name, containers in self._containers.items()
            for container in containers
        ]

    def logs(self, lines: int, function: str | None = None) -> str:
        """The last lines of each container's log."""
        found = self._containers[function] if function else self._all()
        return "\n".join(container.logs(tail=lines).decode(errors="replace").rstrip("\n") for container in found)

    def states(self) -> list[State]:
        """A row for each container."""
        return [_state(name, container) for name, those in self._containers.items() for container in those]

    def scale(self, function: str, n: int) -> None:
        """Run that many containers of a function; those that are too many finish what they have first."""
        if function == self.functions[0] and n != 1:
            raise alone(function)
        most = most_workers(self._functions[function])
        if not 1 <= n <= most:
            raise DeployError(f'"{function}" can have 1 to {most} workers; {n} were asked for.')
        with self._lock:
            those = self._containers[function]
            while len(those) > n:
                self._end(those.pop())
            fresh = [self._run(function) for _ in range(n - len(those))]
            for container in fresh:
                wait(container, self.request, METRICS_PORT)
            those += fresh

    def replicas(self, function: str) -> int:
        return len(self._containers[function])

    def backlog(self, function: str) -> int:
        """Messages that wait for a function, or are worked on."""
        return self._reached().backlog(self._functions[function])

    def letters(self, limit: int = 100) -> list[dict[str, Any]]:
        """The dead letters, the newest first."""
        return self._reached().letters(limit)

    def stop(self) -> None:
        """The gateway first, so that nothing new comes in; then the others; then the broker and the network."""
        import docker

        if self._reach is not None:
            self._reach.close()
        for container in [*self._all(), *([self._broker] if self._broker is not None else [])]:
            with contextlib.suppress(docker.errors.APIError):
                container.stop(timeout=GRACE_SECONDS)
        self._containers = {name: [] for name in self._functions}
        self._broker = None
        removed(self._client, self.request.name)
        for network in self._client.networks.list(names=[self._network]):
            network.remove()
        self._client.close()

    # --- inside ---

    @property
    def _network(self) -> str:
        return f"nbgraph-{self.request.name}"

    @property
    def _gateway(self) -> Running:
        return self._containers[self.functions[0]][0]

    def _all(self) -> list[Running]:
        return [container for those in self._containers.values() for container in those]

    def _marks(self, function: str) -> dict[str, str]:
        return labels(self.request.graph, function, self.request.name)

    def _run(self, function: str) -> Running:
        image, profile = self._images[function]
        is_gateway = function == self.functions[0]
        ports: dict[str, Any] = {f"{METRICS_PORT}/tcp": ("127.0.0.1", None)}  # numbers are for this machine alone
        if is_gateway:
            ports[f"{PORT}/tcp"] = (self.request.host, self.request.port)
        given = {TOKEN: self._token}
        if is_gateway and self.request.api_key is not None:
            given[KEY] = self.request.api_key
        command = worker_options(self._functions[function])
        name = f"{self._network}-{function}-{next(self._numbers)}"
        container = self._create(name, image, function, profile, given, ports=ports, command=command)
        container.start()
        return container

    def _start_broker(self, image: str, is_safe: bool) -> None:
        config = server_config("0.0.0.0", BROKER_PORT, self._token, DATA, is_safe=is_safe)
        data = self._client.volumes.create(f"{self._network}-data", labels=self._marks(BROKER))
        self._broker = self._create(
            f"{self._network}-{BROKER}", image, BROKER, BROKER_MEMORY, {CONFIG: config},
            ports={f"{BROKER_PORT}/tcp": ("127.0.0.1", None)}, command=["-c", f"{SECRETS}/{CONFIG}"],
            volumes={data.name: {"bind": DATA, "mode": "rw"}}, alias=BROKER,
        )  # fmt: skip
        self._broker.start()

    def _create(
        self,
        name: str,
        image: str,
        function: str,
        profile: Profile,
        given: Mapping[str, str],
        *,
        ports: Mapping[str, Any],
        command: Sequence[str],
        volumes: Mapping[str, Any] | None = None,
        alias: str | None = None,
    ) -> Running:
        """A container on the stack's network, with its secrets as files of a volume that it alone has."""
        marks = self._marks(function)
        vault = self._client.volumes.create(f"{name}-secrets", labels=marks)
        aliases = [alias] if alias else None
        endpoint = self._client.api.create_endpoint_config(aliases=aliases)
        container = self._client.containers.create(
            image, list(command), name=name, labels=marks, ports=dict(ports), network=self._network,
            networking_config={self._network: endpoint},
            volumes={vault.name: {"bind": SECRETS, "mode": "rw"}, **(volumes or {})}, **hardened(profile),
        )  # fmt: skip
        for file, text in given.items():
            container.put_archive(SECRETS, archive(file, text))
        return container

    def _end(self, container: Running) -> None:
        import docker

        container.stop(timeout=GRACE_SECONDS)
        name = f"{container.name}-secrets"
        container.remove(force=True)
        with contextlib.suppress(docker.errors.APIError):
            self._client.volumes.get(name).remove()

    def _reached(self) -> Reach:
        if self._reach is None:
            assert self._broker is not None
            self._broker.reload()
            self._reach = Reach(f"nats://{published(self._broker, BROKER_PORT)}", self._token)
        return self._reach


def _state(function: str, container: Running) -> State:
    container.reload()
    attributes = container.attrs
    started = attributes["State"]["StartedAt"].partition(".")[0]
    image, name = attributes["Config"]["Image"], str(container.name)
    return State(function, name, container.status, attributes["RestartCount"], f"{started}+00:00", image)
