"""Handover: a gateway on a socket that it was handed leaves without a caller noticing.

Whoever handed the socket down keeps it open, so that new connections wait there for the next gateway. The connections
that are open here get their answers, and the word to go with them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn

LINGER = 1.0  # seconds in which a caller that comes again on its open connection is told to take a new one
Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Send], Awaitable[None]]


class Farewell:
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
