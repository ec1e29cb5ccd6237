"""Backend: what a Deployment knows of the place where its functions run."""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from nbgraph.deploy.counts import Counts
from nbgraph.deploy.options.certificate import Certificate
from nbgraph.deploy.options.provision import Provision
from nbgraph.deploy.progress import Say
from nbgraph.deploy.project.function_project import Projects
from nbgraph.errors import DeployError
from nbgraph.streams.transport import OWN, StreamAddress


class DaemonError(DeployError):
    """What runs the containers does not answer."""


@dataclass(frozen=True, slots=True)
class DeployRequest:
    """How a graph is to be hosted."""

    name: str  # of the deployment
    graph: str
    function: str
    host: str
    port: int | None
    api_key: str | None
    timeout: float
    certificate: Certificate | None = None
    streams: StreamAddress = OWN  # the broker
    version: str = ""  # unknown of one that was found running


@dataclass(frozen=True, slots=True)
class FunctionState:
    """One row of `Deployment.status()`."""

    function: str
    replica: str
    state: str
    restarts: int
    started: str
    image: str


class Backend(Protocol):
    """The functions of a graph, running somewhere."""

    target: str  # the name of its `HostTarget`
    request: DeployRequest
    counts: Counts  # of workers that have ended

    @property
    def url(self) -> str: ...

    @property
    def functions(self) -> list[str]:
        """Their names; the first answers callers."""

    def logs(self, lines: int, function: str | None = None) -> str:
        """The last lines of what the workers logged and the steps printed."""

    def states(self) -> list[FunctionState]:
        """How each worker is now."""

    def sources(self) -> list[tuple[str, str]]:
        """Where the numbers of each worker are read: its function, the URL."""

    def scale(self, function: str, n: int) -> None:
        """Run that many workers of a function."""

    def mend(self) -> list[str]:
        """Bring back what has ended and does not come back by itself; the names of what it was."""

    def replicas(self, function: str) -> int:
        """How many workers of a function there shall be."""

    def backlog(self, function: str) -> int:
        """Messages that wait for a function, or are worked on."""

    def update(self, projects: Projects, replicas: Mapping[str, int], say: Say) -> list[str]:
        """Go on with these projects, and nothing is lost on the way; the functions that have changed."""

    def mark(self) -> None:
        """Let the gateway, which runs already, count as the version of the request from now on."""

    def provisions(self) -> Mapping[str, Provision]:
        """What the workers of each function are given."""

    def hands(self) -> tuple[Mapping[str, int], int]:
        """The threads of each function, and the workers of the one that callers reach."""

    def letters(self, limit: int = 100) -> list[dict[str, Any]]:
        """Dead letters of the broker, the newest first; none where there is no broker."""

    def resubmit(self, function: str, id: str, body: Any) -> None:
        """Put what the dead letter of that message tells of back into the queue that it came from."""

    def heed(self, stop: Callable[[], None]) -> None:
        """Call `stop` when another process asks for the end."""

    def stop(self) -> None:
        """End it, events in flight first, and leave nothing behind; a second call does nothing."""


def alone(function: str) -> DeployError:
    """The sentence for replicas of what has one address."""
    return DeployError(
        f'"{function}" answers callers on one port and so has one replica; for several processes behind that port say '
        "workers=2 when you deploy; replicas are for functions behind queues."
    )


def wrong_count(function: str, most: int, n: int) -> DeployError:
    """The sentence for a number of workers that a function can't have."""
    return DeployError(f'"{function}" can have 1 to {most} workers; {n} were asked for.')


def several(name: str, deployments: Iterable[str]) -> DeployError:
    return DeployError(f'"{name}" is deployed more than once; choose one of: {", ".join(sorted(deployments))}.')


def on_several(name: str, found: Iterable[tuple[str, str]]) -> DeployError:
    """The sentence for a name that runs on several targets; each with its target."""
    told = ", ".join(f'"{its}" on {kind}' for kind, its in sorted(found))
    return DeployError(
        f'"{name}" is deployed more than once: {told}. Choose one by its name, or by target= (--target).'
    )


def callable_at(host: str, port: int | str, *, is_secure: bool = False) -> str:
    """The URL by which this machine calls what listens there.

    >>> callable_at("0.0.0.0", 8080), callable_at("::1", 80, is_secure=True)
    ('http://127.0.0.1:8080', 'https://[::1]:80')
    """
    scheme = "https" if is_secure else "http"
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def port_in_use(host: str, port: int | None) -> DeployError:
    return DeployError(f"Port {port} on {host} is in use; choose another, or leave `port` out to get a free one.")


def listening(host: str, port: int | None) -> socket.socket:
    """A socket bound to that port, or to a free one."""
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port or 0))
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise port_in_use(host, port) from error
        raise DeployError(f"Port {port} on {host} can't be used: {error.strerror}.") from error
    return bound


def failed_start(what: str, log: str) -> DeployError:
    """The sentence for a worker that never answered, with the end of its log."""
    return DeployError(f"{what}; the end of its log:\n{readable(log.splitlines()[-15:])}")


def readable(lines: Iterable[str]) -> str:
    """Log lines without their JSON.

    >>> readable(['{"level": "error", "message": "no model"}', "printed"])
    'error: no model\\nprinted'
    """
    return "\n".join(map(_readable, lines)) or "(it is empty)"


def _readable(line: str) -> str:
    try:
        record = json.loads(line)
        text = f"{record['level']}: {record['message']}"
    except (ValueError, KeyError, TypeError):
        return line
    traceback = record.get("traceback")
    return f"{text}\n{traceback}" if traceback else text
