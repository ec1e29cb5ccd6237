"""Transports: each folder here that has a module `transport` tells about itself by its `TRANSPORT`.

Adding a transport is adding such a folder: what starts, exports or joins functions asks the transport.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol, Self

import nbgraph.streams
from nbgraph.errors import DeployError
from nbgraph.streams.base import Broker, QueueSpec

DEFAULT = "nats"
LOCAL_HOSTS = ("localhost", "127.", "::1", "[::1]", "0.0.0.0")


@dataclass(frozen=True, slots=True)
class StreamAddress:
    """Where the broker of a deployment is.

    Parameters
    ----------
    url
        What anyone may read: the scheme names the transport, passwords are left out. Empty: the deployment runs a
        server of its own, which is not started yet.
    secret
        What the transport needs beside the URL, in its own format; it travels as a secret file only.
    transport
        The transport's name.
    """

    url: str = ""
    secret: str = field(default="", repr=False)
    transport: str = DEFAULT

    @classmethod
    def of_url(cls, url: str, secret: str = "") -> StreamAddress:
        """The address of a URL that a transport has written; its scheme is the transport's name.

        >>> StreamAddress.of_url("nats://127.0.0.1:4222", "token").transport
        'nats'
        """
        return cls(url, secret, url.partition("://")[0])

    @property
    def is_external(self) -> bool:
        """Whether the broker is somebody else's, so that no server is started and none is stopped."""
        return bool(self.url)


OWN = StreamAddress()  # of a server that the deployment starts


class EmbeddedServer(Protocol):
    """A server in a process of this machine, which ends with whoever started it."""

    pid: int

    @property
    def address(self) -> StreamAddress: ...

    @property
    def is_alive(self) -> bool: ...

    @property
    def is_stuck(self) -> bool:
        """Whether only another start makes it work again."""

    def start(self) -> Self:
        """Start it, or start it again on the same port and data."""

    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ScaleTrigger:
    """How KEDA asks for a backlog: the type of its scaler, and the metadata of that, all text.

    `login`: parameters of the scaler that are secrets, and the names of those.
    """

    type: str
    metadata: Mapping[str, str]
    login: Mapping[str, str] = field(default_factory=dict)


class ServerImage(ABC):
    """A transport's server as a container: what its image is built from, and how it is configured.

    `data`: the folder of what it keeps. `config_name`, `config_folder`: where it finds its configuration.
    """

    summary: str
    port: int
    monitor_port: int
    data: str
    config_name: str
    config_folder: str
    packages: tuple[str, ...]  # pinned requirements

    @abstractmethod
    def files(self, base: str, user: str) -> dict[str, bytes]:
        """What the image is built from, its Dockerfile among them; wheels lie in `wheels/`."""

    @abstractmethod
    def config(self, token: str, *, is_safe: bool, token_file: str = "", is_monitored: bool = False) -> str:
        """The configuration; with `is_safe` what is acknowledged is on the disk. `token_file`: instead of the token."""

    @abstractmethod
    def token_text(self, token: str) -> str:
        """What stands in the `token_file`."""


class Transport(ABC):
    """What the rest of nbgraph asks of a transport.

    `name`: its word in `streams=`, and the scheme of its URLs. `packages`: the distributions that a worker needs for
    it. `most_readers`: workers that are of use behind a queue without a key. `image`: its server as a container; None
    where brokers are always somebody else's.
    """

    name: str
    packages: tuple[str, ...] = ()
    most_readers: int = 64
    image: ServerImage | None = None

    @abstractmethod
    def address(self, given: str, scope: str) -> StreamAddress:
        """The address that `streams=given` means for the deployment `scope`, whose queues are kept apart by its name.

        Raises
        ------
        DeployError
            Where the text can't be read, or asks for what the transport can't do.
        """

    @abstractmethod
    async def connect(self, address: StreamAddress, *, patience: float = 60.0, reads: bool = True) -> Broker:
        """A connection; waits `patience` seconds for a broker that is not up yet, then raises `ConnectionError`.

        `reads`: it will read queues, so refuse a broker that can't keep what readers need.
        """

    @abstractmethod
    def away(self) -> tuple[type[Exception], ...]:
        """The errors of a broker that is away for a while and may be asked again."""

    def embedded(self, folder: Path | None, *, is_safe: bool) -> EmbeddedServer:
        """A server for processes of this machine, not started yet; without `folder` in a temporary one."""
        raise DeployError(f'Over "{self.name}" there is no server of nbgraph\'s own; give the address of a broker.')

    def check_export(self, address: StreamAddress) -> None:
        """Refuse an address whose secrets an export, which holds none, can't ask for when it is started."""
        return

    def login_script(self, secret_file: str) -> str:
        """Lines of a shell script that write an address's secret into `$folder/secret_file`.

        `take NAME` in it asks for the value of `$folder/NAME`, once.
        """
        return ""

    async def forget(self, address: StreamAddress) -> None:
        """Remove all that the deployment of that address has at an external broker."""
        return

    def triggers(self, address: StreamAddress, queue: QueueSpec, target: float, monitor: str) -> Sequence[ScaleTrigger]:
        """How KEDA sees the backlog of a queue, `target` messages a worker; `monitor`: host and port of our server."""
        raise DeployError(f'Over "{self.name}" KEDA can\'t tell what waits in a queue; leave `autoscale` out.')

    def hosts(self, address: StreamAddress) -> list[tuple[str, int]]:
        """The hosts and ports that an external broker is reached by."""
        return []


@cache
def transports() -> Mapping[str, Transport]:
    """All transports by their names.

    >>> sorted(transports())
    ['kafka', 'memory', 'nats']
    """
    package = "nbgraph.streams"
    folders = [found.name for found in pkgutil.iter_modules(nbgraph.streams.__path__) if found.ispkg]
    modules = [f"{package}.{name}.transport" for name in folders]
    found: list[Any] = [importlib.import_module(name) for name in modules if importlib.util.find_spec(name) is not None]
    return {module.TRANSPORT.name: module.TRANSPORT for module in found}


def transport_of(address: StreamAddress) -> Transport:
    """The transport of an address.

    >>> transport_of(StreamAddress.of_url("nats://127.0.0.1:4222")).packages
    ('nats-py',)
    """
    return transport_named(address.transport)


def transport_named(name: str) -> Transport:
    """The transport of that name.

    >>> transport_named("rabbit")
    Traceback (most recent call last):
    nbgraph.errors.DeployError: streams='rabbit' is not known; expected "memory", "nats" or "kafka".
    """
    every = transports()
    if name not in every:
        *others, last = sorted(every, reverse=True, key=lambda one: (one == "memory", one))
        words = ", ".join(f'"{one}"' for one in others)
        raise DeployError(f'streams={name!r} is not known; expected {words} or "{last}".')
    return every[name]


def address_of(given: str, scope: str) -> StreamAddress:
    """What `streams=` means: a transport's name, or the URL of a broker that is there already.

    Parameters
    ----------
    given
        `"nats"` (a server of the deployment's own), `"kafka"` (the broker that NBGRAPH_KAFKA names), or a URL.
    scope
        The deployment's name, by which its queues are kept apart from those of others at the same broker.
    """
    if not isinstance(given, str):
        raise DeployError(f'streams={given!r} is no text; expected "nats" or a URL as "kafka://host:9092".')
    return transport_named(given.partition("://")[0]).address(given, scope)


def check_reachable(address: StreamAddress, target: str) -> None:
    """Refuse a broker that only this machine reaches, for workers that run in containers."""
    for host, port in transport_of(address).hosts(address):
        if host.startswith(LOCAL_HOSTS):
            raise DeployError(
                f'The broker at {host}:{port} is reached from this machine alone, and the workers of target "{target}" '
                "run in containers; give an address that leads to it from there too, which it advertises itself."
            )
