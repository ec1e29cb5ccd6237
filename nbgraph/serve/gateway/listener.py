"""Listener: the socket that callers come to, bound here or handed down by a parent, who may have several workers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn

from nbgraph.errors import NbgraphError


class Listener(socket.socket):
    """Takes one caller at a time, so that of several workers each gets a part of those who come at once."""

    _has_taken = False

    def accept(self) -> tuple[socket.socket, Any]:
        if self._has_taken:
            self._has_taken = False
            raise BlockingIOError
        taken = super().accept()
        self._has_taken = True
        return taken


def bound(host: str, port: int) -> socket.socket:
    """A socket bound to that port, or to a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where a socket names its protocol; without it every answer waits 40 ms for an ack.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise NbgraphError(f"Port {port} on {host} can't be used: {error.strerror}; choose another.") from error
    return listener


def inherited(descriptor: int) -> Listener:
    """The listening socket that the parent process opened."""
    listener = Listener(fileno=descriptor)
    listener.setsockopt(
        socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
    )  # not every system tells the protocol, by which asyncio would know to
    return listener


# Handover: a gateway on a socket that it was handed leaves without a caller noticing.
#
# Whoever handed the socket down keeps it open, so that new connections wait there for the next gateway. The connections
# that are open here get their answers, and the word to go with them.


LINGER = 1.0  # seconds in which a caller that comes again on its open connection is told to take a new one
Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Send], Awaitable[None]]


class GracefulClose:
    """The application, which ends each connection with its next answer once `is_leaving` is set."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.is_leaving = False

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        async def last(message: Message) -> None:
            if self.is_leaving and message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        await self._app(scope, receive, last)


async def leave(server: uvicorn.Server, in_flight: Callable[[], int], patience: float) -> None:
    """Take no more connections, and let those that are open come to their end."""
    for listening in server.servers:
        listening.close()
    now = asyncio.get_running_loop().time
    began = now()
    while server.server_state.connections and (now() - began < LINGER or (in_flight() and now() - began < patience)):
        await asyncio.sleep(0.01)
