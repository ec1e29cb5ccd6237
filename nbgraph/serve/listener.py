"""Listener: the socket that callers come to, bound here or handed down by a parent, who may have several workers."""

from __future__ import annotations

import socket
from typing import Any

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
