"""Connections to the broker that joins the parts of a graph in this kernel."""

from __future__ import annotations

import os
import threading
from functools import cache

from nbgraph.engine import loop
from nbgraph.streams.base import Broker
from nbgraph.streams.transport import EmbeddedServer, StreamAddress, address_of, transport_named, transport_of

_starting = threading.Lock()


def check(streams: str) -> StreamAddress:
    """The broker that `streams=` names, refused where there is no such transport.

    >>> check("rabbit")
    Traceback (most recent call last):
    nbgraph.errors.DeployError: streams='rabbit' is not known; expected "memory", "nats" or "kafka".
    """
    return address_of(streams, "")


async def connect(address: StreamAddress) -> Broker:
    """A connection of its own to the broker; where that is ours, its server is started at the first use."""
    transport = transport_of(address)
    if address.is_external:
        return await transport.connect(address, reads=True)
    server = await loop.on_thread(embedded_server, transport.name)
    return await transport.connect(server.address)


def embedded_server(transport: str = "nats") -> EmbeddedServer:
    """The one server of this process, running; it ends with the process."""
    with _starting:
        server = _server(transport)
        return server if server.is_alive else server.start()


@cache
def _server(transport: str) -> EmbeddedServer:
    return transport_named(transport).embedded(None, is_safe=False)


os.register_at_fork(after_in_child=_server.cache_clear)
