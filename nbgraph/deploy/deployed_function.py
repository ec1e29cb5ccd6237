"""DeployedFunction: a function with how it is hosted, as a target keeps and compares it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import field
from msgspec.structs import replace

from nbgraph.deploy.options.provision import Provision
from nbgraph.deploy.options.workers import remembering
from nbgraph.deploy.project.hardening import Hardening
from nbgraph.engine.function_spec import FunctionSpec
from nbgraph.engine.partition import Function
from nbgraph.errors import DeployError
from nbgraph.steps.operators.queue import QueueReader
from nbgraph.streams.base import QueueSpec

MOST = 64  # workers of a function that are of use on queues without keys


class DeployedFunction(FunctionSpec, frozen=True, kw_only=True, omit_defaults=True):
    """A function, and how it is hosted: all that a target has to know of it, whether its graph is at hand or not.

    Parameters
    ----------
    source
        Where its project is: a folder or the name of an image.
    queues
        The queues that it reads.
    profile
        What its workers may use.
    given
        What its workers are given.
    readers
        Workers that are of use behind a queue without a key.
    is_alone
        Callers reach it and its steps remember earlier events, so there is one worker of it.

    >>> keyed = QueueSpec("fees", shards=4, is_keyed=True)
    >>> rating = DeployedFunction("rating", ("fees",), source="nbgraph/rating:1", queues=(keyed,))
    >>> rating.most, DeployedFunction.of_text(rating.text()) == rating
    (4, True)
    """

    source: str
    queues: tuple[QueueSpec, ...] = ()
    profile: Hardening = field(default_factory=Hardening)
    given: Provision = field(default_factory=Provision)
    is_alone: bool = False
    readers: int = MOST

    @classmethod
    def of(
        cls, function: Function, source: str, *, profile: Hardening, given: Provision, readers: int = MOST
    ) -> DeployedFunction:
        own = {name: getattr(function, name) for name in FunctionSpec.__struct_fields__}
        queues = tuple(QueueReader(**function.graph.spec(name).arguments).spec for name in function.reads)
        is_alone = function.is_gateway and remembering(function) is not None
        return cls(
            **own, source=source, queues=queues, profile=profile, given=given, is_alone=is_alone, readers=readers
        )

    @classmethod
    def of_text(cls, text: str) -> DeployedFunction:
        """What `text` wrote, now or in an earlier version."""
        told = msgspec.json.decode(text)
        if "is_gateway" in told:  # until 2026-11 a label had no specification of its function
            told["function"], told["asks"] = told.pop("name"), told.pop("is_gateway")
            told["reads"] = [queue["name"] for queue in told.get("queues", ())]
        return msgspec.convert(told, cls)

    @property
    def public(self) -> DeployedFunction:
        """The same without the values of secrets."""
        return replace(self, given=self.given.public)

    def text(self) -> str:
        """This as JSON that anyone may read: without the values of secrets."""
        return msgspec.json.encode(self.public).decode()

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
