"""Broker: which transport joins the parts of a graph in this kernel, by its name."""

from __future__ import annotations

import os
import threading
from functools import cache

from nbgraph.engine import loop
from nbgraph.errors import NbgraphError
from nbgraph.streams.base import Broker
from nbgraph.streams.nats.server import NatsServer

KAFKA = "NBGRAPH_KAFKA"  # the environment's word for where Kafka's brokers are

_starting = threading.Lock()


def check(streams: str) -> None:
    """Refuse a transport that there is not.

    >>> check("rabbit")
    Traceback (most recent call last):
    nbgraph.errors.NbgraphError: streams='rabbit' is not known; expected "memory", "nats" or "kafka".
    """
    if streams not in ("nats", "kafka"):
        raise NbgraphError(f'streams={streams!r} is not known; expected "memory", "nats" or "kafka".')
    if streams == "kafka" and not os.environ.get(KAFKA):
        raise NbgraphError(
            f'streams="kafka" needs the address of a Kafka broker in the environment, {KAFKA}="host:9092"; a NATS '
            'server comes along with nbgraph: streams="nats".'
        )


async def connect(streams: str) -> Broker:
    """A connection of its own to the broker; the embedded NATS server is started at the first use.

    The clients of brokers are loaded here, since most who import nbgraph never ask for one.
    """
    if streams == "kafka":
        from nbgraph.streams.kafka.broker import KafkaBroker

        return await KafkaBroker.connect(os.environ[KAFKA], spread=1)
    from nbgraph.streams.nats.broker import NatsBroker

    server = await loop.on_thread(embedded_server)
    return await NatsBroker.connect(server.url, token=server.token)


def embedded_server() -> NatsServer:
    """The one server of this process, running; it ends with the process."""
    with _starting:
        server = _server()
        return server if server.is_running else server.start()


@cache
def _server() -> NatsServer:
    return NatsServer()


os.register_at_fork(after_in_child=_server.cache_clear)
