"""Memory as a transport: for steps of one process, so no deployment runs over it."""

from __future__ import annotations

from nbgraph.errors import DeployError
from nbgraph.streams.base import Broker
from nbgraph.streams.memory.broker import MemoryBroker
from nbgraph.streams.transport import StreamAddress, Transport


class MemoryTransport(Transport):
    """A broker in this process."""

    name = "memory"

    def address(self, given: str, scope: str) -> StreamAddress:
        raise DeployError(
            'streams="memory" joins the steps of one process, and a deployment has several; leave it out for a NATS '
            'server of its own, or give "kafka://host:9092".'
        )

    async def connect(self, address: StreamAddress, *, patience: float = 60.0, reads: bool = True) -> Broker:
        return MemoryBroker()

    def away(self) -> tuple[type[Exception], ...]:
        return ()


TRANSPORT = MemoryTransport()
