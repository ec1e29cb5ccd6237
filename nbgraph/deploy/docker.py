"""Docker: a function hosted in a container that may do as little as possible."""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
import time
import weakref
from typing import TYPE_CHECKING, Any

import httpx

from nbgraph.deploy.hosted import Request, State, alone, failed_start
from nbgraph.deploy.profile import GRACE_SECONDS, METRICS_PORT, PORT, SECRETS, USER, Profile, hardened, labels
from nbgraph.errors import DeployError

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container as Running

HELP = (
    "start Docker Desktop, or on Debian: apt-get install docker.io && systemctl start docker; "
    'or host the graph without Docker: graph.deploy("process")'
)
GRAPH, FUNCTION, DEPLOYMENT = labels("", "", "")


def connect() -> DockerClient:
    """A client of the daemon that DOCKER_HOST, the usual socket or the current Docker context leads to."""
    import docker

    reason = ""
    for place in _places():
        try:
            client = docker.from_env(**place, timeout=120)
        except docker.errors.DockerException as error:
            reason = reason or str(error)
            continue
        try:
            client.ping()
        except (docker.errors.DockerException, OSError) as error:
            client.close()
            reason = reason or str(error)
        else:
            return client
    raise DeployError(f"No Docker daemon answers ({reason}): {HELP}.")


def _places() -> list[dict[str, Any]]:
    """Where to look for the daemon: DOCKER_HOST alone if it is set, else the usual socket, then the current context."""
    if "DOCKER_HOST" in os.environ:
        return [{}]
    from docker.context import ContextAPI

    try:
        return [{}, {"environment": {"DOCKER_HOST": ContextAPI.get_current_context().Host}}]
    except Exception:  # no Docker command was ever set up here
        return [{}]


class Container:
    """A running container and what belongs to it."""

    target = "docker"

    def __init__(self, client: DockerClient, container: Running, request: Request) -> None:
        self._client, self._container = client, container
        weakref.finalize(self, client.close)
        self.request = request
        container.reload()
        self.url = f"http://{published(container, PORT)}"
        self.metrics_urls = [f"http://{published(container, METRICS_PORT)}/metrics"]

    @classmethod
    def start(cls, client: DockerClient, image: str, profile: Profile, request: Request) -> Container:
        """Run the image and wait until it answers; whatever goes wrong, nothing stays behind."""
        import docker

        try:
            container = _create(client, image, profile, request)
            if request.api_key is not None:
                container.put_archive(SECRETS, archive("api_key", request.api_key))
            container.start()
            wait(container, request)
            return cls(client, container, request)
        except BaseException as error:
            removed(client, request.name)
            if isinstance(error, docker.errors.APIError):
                raise explained(error, request) from error
            raise

    @classmethod
    def find(cls, client: DockerClient, name: str) -> Container | None:
        """The running container of that deployment, or of that graph where there is just one."""
        for label in (DEPLOYMENT, GRAPH):
            found = client.containers.list(filters={"label": f"{label}={name}"})
            if len(found) > 1:
                names = ", ".join(sorted(container.labels[DEPLOYMENT] for container in found))
                raise DeployError(f'"{name}" is deployed more than once; attach to one of: {names}.')
            if found:
                given = found[0].labels
                request = Request(given[DEPLOYMENT], given[GRAPH], given[FUNCTION], "127.0.0.1", None, None, 60)
                return cls(client, found[0], request)
        return None

    @property
    def functions(self) -> list[str]:
        return [self.request.function]

    def sources(self) -> list[tuple[str, str]]:
        return [(self.request.function, url) for url in self.metrics_urls]

    def scale(self, function: str, n: int) -> None:
        if n != 1:
            raise alone(function)

    def replicas(self, function: str) -> int:
        return 1

    def letters(self, limit: int = 100) -> list[dict[str, Any]]:
        return []

    def logs(self, lines: int, function: str | None = None) -> str:
        return str(self._container.logs(tail=lines).decode(errors="replace")).rstrip("\n")

    def states(self) -> list[State]:
        self._container.reload()
        attributes = self._container.attrs
        started = attributes["State"]["StartedAt"].partition(".")[0]
        image = attributes["Config"]["Image"]
        name = str(self._container.name)
        restarts = attributes["RestartCount"]
        return [State(self.request.function, name, self._container.status, restarts, f"{started}+00:00", image)]

    def stop(self) -> None:
        import docker

        with contextlib.suppress(docker.errors.NotFound):
            self._container.stop(timeout=GRACE_SECONDS)
        removed(self._client, self.request.name)
        self._client.close()


def _create(client: DockerClient, image: str, profile: Profile, request: Request) -> Running:
    marks = labels(request.graph, request.function, request.name)
    volumes = {}
    if request.api_key is not None:
        volume = client.volumes.create(named(request.name), labels=marks)
        volumes = {volume.name: {"bind": SECRETS, "mode": "rw"}}  # the daemon fills it before the start
    # No port means any free one, and metrics are for this machine alone.
    ports: Any = {
        f"{PORT}/tcp": (request.host, request.port),
        f"{METRICS_PORT}/tcp": ("127.0.0.1", None),
    }
    return client.containers.create(
        image,
        name=named(request.name),
        labels=marks,
        ports=ports,
        volumes=volumes,
        **hardened(profile),
    )


def named(deployment: str) -> str:
    return f"nbgraph-{deployment}"


def archive(name: str, text: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(text.encode()), 0o400
        entry.uid = entry.gid = int(USER.partition(":")[0])
        archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def wait(container: Running, request: Request, port: int = PORT) -> None:
    """Return once the container's worker answers: callers on its port, or Prometheus on the other."""
    path = "/health/ready" if port == PORT else "/metrics"
    deadline = time.monotonic() + request.timeout
    with httpx.Client(trust_env=False, timeout=2) as caller:
        while True:
            container.reload()
            if container.status != "running" or container.attrs["RestartCount"]:
                raise failed_start("The container ended before it was ready", _tail(container))
            with contextlib.suppress(httpx.HTTPError):
                if caller.get(f"http://{published(container, port)}{path}").status_code == 200:
                    return
            if time.monotonic() > deadline:
                raise failed_start(f"The container was not ready within {request.timeout:g} seconds", _tail(container))
            time.sleep(0.05)


def _tail(container: Running) -> str:
    return str(container.logs(tail=30).decode(errors="replace"))


def published(container: Running, port: int) -> str:
    """Address and port on this machine."""
    bound = (container.attrs["NetworkSettings"]["Ports"].get(f"{port}/tcp") or [None])[0]
    if bound is None:
        raise DeployError(f"The container {container.name} does not publish its port {port}.")
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "[::1]"}.get(bound["HostIp"], bound["HostIp"])
    return f"{host}:{bound['HostPort']}"


def removed(client: DockerClient, deployment: str) -> None:
    """The container and its secrets, as far as they were made."""
    import docker

    chosen: dict[str, Any] = {"label": f"{DEPLOYMENT}={deployment}"}
    for container in client.containers.list(all=True, filters=chosen, ignore_removed=True):
        with contextlib.suppress(docker.errors.NotFound):
            container.remove(force=True, v=True)
    for volume in client.volumes.list(filters=chosen):
        with contextlib.suppress(docker.errors.NotFound):
            volume.remove(force=True)


def explained(error: Any, request: Request) -> DeployError:
    reason = str(error.explanation or error)
    if "port is already allocated" in reason or "address already in use" in reason:
        return port_in_use(request.host, request.port)
    return DeployError(f"The container could not be started: {reason}")


def port_in_use(host: str, port: int | None) -> DeployError:
    return DeployError(f"Port {port} on {host} is in use; choose another, or leave `port` out to get a free one.")
