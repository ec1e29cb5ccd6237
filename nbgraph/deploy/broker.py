"""The broker of a deployment: reached from the notebook, and as an image of its server."""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbgraph.contract import Option
from nbgraph.deploy.progress import Say
from nbgraph.deploy.project.dockerfile import WHEELS_NOTE, default_base
from nbgraph.deploy.project.hardening import USER
from nbgraph.deploy.project.image import built, tag_of
from nbgraph.deploy.project.project import digest
from nbgraph.engine import loop
from nbgraph.engine.partition import Function
from nbgraph.errors import DeployError, NbgraphError
from nbgraph.steps.operators.queue import READ, read_event
from nbgraph.streams.base import Broker, DamageError, Message, QueueSpec
from nbgraph.streams.codec.wire import pack
from nbgraph.streams.event_context import PREFIX
from nbgraph.streams.transport import DEFAULT, ServerImage, StreamAddress, transport_named, transport_of

if TYPE_CHECKING:
    from docker import DockerClient

MOST_LETTERS = 10_000  # that are looked through
PATIENCE = 10.0  # seconds for a broker to answer
log = logging.getLogger("nbgraph.deploy")
# Of the caller, who has had an answer and is gone, and of the way, which begins anew.
NOT_AGAIN = [f"{PREFIX}{word}" for word in ("Reply-To", "Deadline", "Credit", "Hops")]
MOST = 64  # workers of a function that are of use on queues without keys


class BrokerClient:
    """The way to a deployment's broker, connected for as long as a question takes."""

    def __init__(self, address: StreamAddress) -> None:
        self._address = address

    def backlog(self, queues: Iterable[str]) -> int:
        """Messages that wait in these queues, or are worked on."""
        return loop.complete(self._backlog(queues))

    def letters(self, limit: int) -> list[dict[str, Any]]:
        """The dead letters, the newest first."""
        return loop.complete(self._letters(limit))

    def resubmit(self, id: str, queues: Iterable[QueueSpec], body: Any) -> None:
        """Put what a dead letter tells of back into its queue, and take the letter away; `body`: instead of its own."""
        loop.complete(self._resubmit(id, list(queues), body))

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Broker]:
        broker = await transport_of(self._address).connect(self._address, patience=PATIENCE, reads=False)
        try:
            yield broker
        finally:
            await broker.close()

    async def _backlog(self, queues: Iterable[str]) -> int:
        async with self._connected() as broker:
            return sum([await broker.backlog(QueueSpec(queue)) for queue in queues])

    async def _letters(self, limit: int) -> list[dict[str, Any]]:
        async with self._connected() as broker:
            return await broker.buried(limit)

    async def _resubmit(self, id: str, queues: Sequence[QueueSpec], body: Any) -> None:
        async with self._connected() as broker:
            letter = next((letter for letter in await broker.buried(MOST_LETTERS) if letter["id"] == id), None)
            if letter is None:
                raise DeployError("The failure is no longer among the dead letters; it was resubmitted already.")
            await broker.publish(*_again(letter, queues, body))
            await broker.unbury(letter["sequence"])


def _again(letter: Mapping[str, Any], queues: Sequence[QueueSpec], body: Any) -> tuple[QueueSpec, Message]:
    """The message that a dead letter tells of, and the queue that it came from."""
    id = letter["id"]
    queue = next((queue for queue in queues if queue.name == letter.get("queue")), None)
    if queue is None:
        raise DeployError(
            f'The failure of "{letter["step"]}" came out of no queue, so it can\'t be put back into one; send the '
            "event again."
        )
    headers = {name: value for name, value in letter["headers"].items() if name not in NOT_AGAIN}
    try:
        read_event(None, letter.get("key"), headers)
    except DamageError:
        headers = {name: value for name, value in headers.items() if name not in READ}
    content = letter["body"] if body is None else pack(body)
    return queue, Message(f"{id}~{secrets.token_hex(4)}", content, letter.get("key"), headers)  # a known id is done


def check_there(address: StreamAddress) -> None:
    """Refuse an external broker that does not answer, or can't keep what a deployment needs, before anything starts."""

    async def connected() -> None:
        await (await transport_of(address).connect(address, patience=PATIENCE)).close()

    if address.is_external:
        try:
            loop.complete(connected())
        except NbgraphError as error:
            raise DeployError(str(error)) from error
        except ConnectionError as error:
            raise DeployError(f"{error} Start it, or check the address in streams={address.url!r}.") from error


def forget(address: StreamAddress) -> None:
    """Remove what a deployment that has ended had at an external broker."""
    if address.is_external:
        try:
            loop.complete(transport_of(address).forget(address))
        except Exception as error:
            log.warning("The broker did not remove the queues of the deployment, %s: %s", address.url, error)


def broker_options(address: StreamAddress, secret_file: str | Path) -> list[str]:
    """The options of a worker that say where the broker is."""
    return [Option.BROKER, address.url, *([Option.BROKER_TOKEN_FILE, str(secret_file)] if address.secret else [])]


def most_workers(function: Function, readers: int = MOST) -> int:
    """Workers that are of use: where all its queues have keys, no more than the most shards of one."""
    arguments = [function.graph.spec(name).arguments for name in function.reads]
    shards = [given.get("shards", 1) for given in arguments if given.get("key") is not None]
    return max(shards) if shards and len(shards) == len(arguments) else readers


def broker_image(client: DockerClient, say: Say, base: str | None = None) -> str:
    """The tag of an image with the server that is installed here; built where there is none yet."""
    from nbgraph.deploy.project.wheelhouse import can_fetch, fetched

    wheels = fetched([*server_image().packages], {}) if can_fetch(client.version()["Arch"]) else []
    repository, tag = broker_tag(base).split(":")
    return built(client, broker_files(base), wheels, repository, tag, say)


def broker_files(base: str | None = None) -> dict[str, bytes]:
    """What the broker's image is built from."""
    return {**server_image().files(base or default_base(), USER), "wheels/README.txt": WHEELS_NOTE}


def broker_tag(base: str | None = None) -> str:
    """The name of the broker's image; another one for another server or base."""
    return tag_of("broker", digest(broker_files(base)))


def server_image() -> ServerImage:
    """The server that deployments have of their own."""
    image = transport_named(DEFAULT).image
    assert image is not None
    return image
