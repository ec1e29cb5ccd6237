"""Docker: the daemon, and what containers, secrets and ports are to it."""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from nbgraph.contract import DEPLOYMENT_LABEL, READY_PATH, SECRETS_FOLDER
from nbgraph.deploy.backend import DaemonError, DeployRequest, failed_start, port_in_use
from nbgraph.deploy.project.hardening import GRACE_SECONDS, USER
from nbgraph.errors import DeployError

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

HELP = (
    "start Docker Desktop, or on Debian: apt-get install docker.io && systemctl start docker; "
    'or host the graph without Docker: graph.deploy("process")'
)
STREAMS = "nbgraph.streams"  # the URL of an external broker, without what is secret
DUTY = "nbgraph.duty"
B = TypeVar("B")
AT_ONCE = 8  # containers that are stopped together
FIRST_SECONDS = 10  # for the daemon to say that it is there
QUESTION_SECONDS = 30  # for what it only looks up
WORK_SECONDS = 120  # for what it does, such as the next line of a build's log


def connect() -> DockerClient:
    """A client of the daemon that DOCKER_HOST, the usual socket or the current Docker context leads to."""
    import docker

    reason = ""
    for place in _places():
        try:
            client = docker.from_env(**place, timeout=FIRST_SECONDS)
        except docker.errors.DockerException as error:
            reason = reason or _reason(error)
            continue
        try:
            client.ping()
        except (docker.errors.DockerException, OSError) as error:
            client.close()
            reason = reason or _reason(error)
        else:
            return _guarded(client)
    raise DaemonError(f"No Docker daemon answers ({reason}): {HELP}.")


@contextmanager
def connected() -> Iterator[DockerClient]:
    """A client for a backend that is started in the block, and keeps it; closed where that fails."""
    client = connect()
    try:
        yield client
    except BaseException:
        client.close()
        raise


def found_at(find: Callable[[DockerClient, str], B | None], name: str) -> B | None:
    """What the daemon has of that name; its client goes on with what was found."""
    with connected() as client:
        found = find(client, name)
    if found is None:
        client.close()
    return found


def _reason(error: BaseException) -> str:
    """What the system said, which the SDK and its libraries have wrapped one after the other."""
    inner: BaseException | None = error
    while inner is not None and not (isinstance(inner, OSError) and inner.strerror):
        inner = inner.__cause__ or inner.__context__
    return str(error if inner is None else inner)


def _guarded(client: DockerClient) -> DockerClient:
    """The client, whose calls say in one sentence that the daemon is away, whatever asks."""
    import requests

    class Guard(requests.adapters.BaseAdapter):
        def __init__(self, inner: requests.adapters.BaseAdapter) -> None:
            super().__init__()
            self._inner = inner

        def send(self, request: requests.PreparedRequest, *words: Any, **options: Any) -> requests.Response:
            if request.method == "GET":
                options["timeout"] = QUESTION_SECONDS
            try:
                return self._inner.send(request, *words, **options)
            except (requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
                raise DaemonError(
                    f"The Docker daemon does not answer any more ({_reason(error)}); see to it that it runs, and ask "
                    "again: containers are there when it is back."
                ) from None

        def close(self) -> None:
            self._inner.close()

    session: Any = client.api
    session.timeout = WORK_SECONDS
    session.mount(session.base_url, Guard(session.get_adapter(session.base_url)))
    return client


def _places() -> list[dict[str, Any]]:
    """Where to look for the daemon: DOCKER_HOST alone if it is set, else the usual socket, then the current context."""
    if "DOCKER_HOST" in os.environ:
        return [{}]
    from docker.context import ContextAPI
    from docker.utils import parse_host

    try:
        host = ContextAPI.get_current_context().Host
        is_usual = parse_host(host) == parse_host(None)
    except Exception:  # no Docker command was ever set up here
        return [{}]
    return [{}] if is_usual else [{}, {"environment": {"DOCKER_HOST": host}}]


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


def secret_of(container: Container, name: str) -> str | None:
    """What stands in a secret of a container; who may ask the daemon may read it."""
    import docker

    try:
        chunks, _ = container.get_archive(f"{SECRETS_FOLDER}/{name}")
    except docker.errors.NotFound:
        return None
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        file = archive.extractfile(name)
        return file.read().decode() if file is not None else None


def wait(container: Container, port: int, deadline: float, patience: float, *, scheme: str = "http") -> None:
    """Return once the container's worker takes events, as it tells on the callers' port or on that of its numbers."""
    with httpx.Client(trust_env=False, timeout=2, verify=False) as caller:
        while True:
            container.reload()
            if container.status != "running" or container.attrs["RestartCount"]:
                raise failed_start("The container ended before it was ready", _tail(container))
            with contextlib.suppress(httpx.HTTPError):
                if caller.get(f"{scheme}://{published(container, port)}{READY_PATH}").status_code == 200:
                    return
            if time.monotonic() > deadline:
                raise failed_start(f"The container was not ready within {patience:g} seconds", _tail(container))
            time.sleep(0.05)


def stopped(containers: Sequence[Container]) -> None:
    """Let them finish what they have and end, all at once."""
    import docker

    def stop(container: Container) -> None:
        with contextlib.suppress(docker.errors.NotFound):
            container.stop(timeout=GRACE_SECONDS)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(stop, containers))


def _tail(container: Container) -> str:
    return str(container.logs(tail=30).decode(errors="replace"))


def published(container: Container, port: int) -> str:
    """Address and port on this machine."""
    bound = (container.attrs["NetworkSettings"]["Ports"].get(f"{port}/tcp") or [None])[0]
    if bound is None:
        raise DeployError(f"The container {container.name} does not publish its port {port}.")
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "[::1]"}.get(bound["HostIp"], bound["HostIp"])
    return f"{host}:{bound['HostPort']}"


def removed(client: DockerClient, deployment: str) -> None:
    """The containers, their secrets and their network, as far as they were made."""
    import docker

    chosen: dict[str, Any] = {"label": f"{DEPLOYMENT_LABEL}={deployment}"}
    for container in client.containers.list(all=True, filters=chosen, ignore_removed=True):
        with contextlib.suppress(docker.errors.NotFound):
            container.remove(force=True, v=True)
    for volume in client.volumes.list(filters=chosen):
        with contextlib.suppress(docker.errors.NotFound):
            volume.remove(force=True)
    for network in client.networks.list(filters=chosen):
        with contextlib.suppress(docker.errors.NotFound):
            network.remove()


def explained(error: Any, request: DeployRequest) -> DeployError:
    reason = str(error.explanation or error)
    if "port is already allocated" in reason or "address already in use" in reason:
        return port_in_use(request.host, request.port)
    return DeployError(f"The container could not be started: {reason}")
