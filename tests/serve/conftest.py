"""Brokers that the parts of a graph are joined by: in memory, and a real NATS server."""

import pytest

from nbgraph.streams.memory.broker import MemoryBroker
from nbgraph.streams.nats.broker import NatsBroker
from nbgraph.streams.nats.server import NatsServer


@pytest.fixture(scope="module")
def server():
    with NatsServer() as running:
        yield running


@pytest.fixture(params=["memory", "nats"])
def connect(request):
    if request.param == "memory":
        broker = MemoryBroker()

        async def shared():
            return broker

        return shared
    server = request.getfixturevalue("server")
    return lambda: NatsBroker.connect(server.url, token=server.token)
