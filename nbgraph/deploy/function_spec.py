"""A Duty: what a host has to know of a function, whether its graph is at hand or not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from nbgraph.deploy.options.provision import Provision
from nbgraph.deploy.options.workers import remembering
from nbgraph.deploy.project.hardening import Hardening
from nbgraph.engine.partition import Function
from nbgraph.errors import DeployError
from nbgraph.steps.operators.queue_border import QueueReader
from nbgraph.streams.base import QueueSpec

MOST = 64  # workers of a function that are of use on queues without keys


@dataclass(frozen=True, slots=True)
class DeployedFunction:
    """A function's name, where its project is (a folder or an image's tag), the queues that it reads, what its workers
    may use and are given.

    `workers`: processes behind its address. `is_alone`: callers reach it and its steps remember, so there is one of it.
    `readers`: workers that are of use behind a queue without a key.

    >>> keyed = QueueSpec("fees", shards=4, is_keyed=True)
    >>> duty = DeployedFunction("rating", "nbgraph/rating:1", (keyed,))
    >>> duty.most, DeployedFunction.of_text(duty.text()) == duty
    (4, True)
    """

    name: str
    source: str
    queues: tuple[QueueSpec, ...] = ()
    is_gateway: bool = False
    profile: Hardening = field(default_factory=Hardening)
    given: Provision = field(default_factory=Provision)
    workers: int = 1
    threads: int = 1
    is_alone: bool = False
    readers: int = MOST

    @classmethod
    def of(
        cls,
        function: Function,
        source: str,
        *,
        is_gateway: bool,
        profile: Hardening,
        given: Provision,
        readers: int = MOST,
    ) -> DeployedFunction:
        queues = tuple(QueueReader(**function.graph.spec(name).arguments).spec for name in function.reads)
        is_alone = is_gateway and remembering(function) is not None
        hands = (function.workers, function.threads)
        return cls(function.name, source, queues, is_gateway, profile, given, *hands, is_alone, readers)

    @classmethod
    def of_text(cls, text: str) -> DeployedFunction:
        return msgspec.json.decode(text, type=cls)

    def text(self) -> str:
        """The duty as JSON, which anyone may read: without the values of secrets."""
        return msgspec.json.encode(replace(self, given=self.given.public)).decode()

    @property
    def most(self) -> int:
        """Workers that are of use: where all its queues have keys, no more than the most shards of one."""
        if self.is_gateway:
            return 1 if self.is_alone else MOST
        is_keyed = bool(self.queues) and all(queue.is_keyed for queue in self.queues)
        return max(queue.shards for queue in self.queues) if is_keyed else self.readers


def hands_of(duties: Iterable[DeployedFunction]) -> tuple[dict[str, int], int]:
    """The threads of each function, and the workers of the one that callers reach."""
    every = list(duties)
    return {duty.name: duty.threads for duty in every}, next((duty.workers for duty in every if duty.is_gateway), 1)


def check_queues(before: Any, after: Any) -> None:
    """Raise where a queue of the same name would have to be another one: its messages can't be sorted anew."""
    running = {queue.name: queue for duty in before for queue in duty.queues}
    for queue in (queue for duty in after for queue in duty.queues):
        found = running.get(queue.name, queue)
        if found != queue:
            raise DeployError(
                f'Queue "{queue.name}" runs with {_told(found)}, and the new graph wants {_told(queue)}; what waits in '
                "it can't be sorted anew: give the new one another name, or stop the deployment and deploy again."
            )


def _told(queue: QueueSpec) -> str:
    keys = "keys" if queue.is_keyed else "no keys"
    return f"{queue.shards} shard{'s' * (queue.shards > 1)}, {keys} and room for {queue.max_size}"
