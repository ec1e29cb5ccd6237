"""HostedFunctions: what every backend does with the functions that it hosts and the broker between them."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from nbgraph.contract import DeploymentVersion, Option
from nbgraph.deploy.backend import DeployRequest
from nbgraph.deploy.broker import BrokerClient
from nbgraph.deploy.counts import Counts
from nbgraph.deploy.deployed_function import DeployedFunction, hands_of
from nbgraph.deploy.options.provision import Provision
from nbgraph.errors import DeployError


class HostedFunctions(ABC):
    """The part of a `Backend` that does not depend on how workers are started."""

    request: DeployRequest

    def __init__(self) -> None:
        self.counts = Counts()

    @abstractmethod
    def _hosted(self) -> Mapping[str, DeployedFunction]:
        """The functions by name, the gateway's first."""

    @abstractmethod
    def _reached(self) -> BrokerClient | None:
        """A client of the broker; None where there is no broker."""

    @property
    def functions(self) -> list[str]:
        """Their names; the first answers callers."""
        return list(self._hosted())

    def backlog(self, function: str) -> int:
        """Messages that wait for a function, or are worked on."""
        hosted = self._hosted().get(function)
        broker = self._reached() if hosted is not None and hosted.queues else None
        return broker.backlog([queue.name for queue in hosted.queues]) if hosted is not None and broker else 0

    def letters(self, limit: int = 100) -> list[dict[str, Any]]:
        """The dead letters, the newest first."""
        broker = self._reached()
        return broker.letters(limit) if broker is not None else []

    def resubmit(self, function: str, id: str, body: Any) -> None:
        """Put the message of a dead letter back into the queue that it came from."""
        hosted, broker = self._hosted().get(function), self._reached()
        if hosted is None or broker is None:
            raise DeployError(f'There is no function "{function}" any more; send the event again.')
        broker.resubmit(id, hosted.queues, body)

    def provisions(self) -> dict[str, Provision]:
        """What the workers of each function are given."""
        return {name: hosted.given for name, hosted in self._hosted().items()}

    def hands(self) -> tuple[dict[str, int], int]:
        """The threads of each function, and the workers of the one that callers reach."""
        return hands_of(self._hosted().values())

    def _version_text(self) -> str:
        """What a gateway is told of its deployment, from now on."""
        return DeploymentVersion(self.request.name, self.request.version, time.time()).text()

    def _version_options(self) -> list[str]:
        """The options of a gateway that is started now."""
        return [Option.VERSION, self._version_text()]

    def mend(self) -> list[str]:
        """Bring back what has ended; nothing where that comes back by itself."""
        return []

    def heed(self, stop: Callable[[], None]) -> None:
        """Call `stop` when another process asks for the end; most are ended by who wants that, where they run."""
        return
