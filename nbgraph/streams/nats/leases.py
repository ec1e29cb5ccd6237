"""Leases: kept on a thread and a connection of their own, for as long as the process lives.

A step that keeps the loop busy, or a stop at a breakpoint, must not let the server think that the worker has died.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

from nats.aio.client import Client

PROGRESS = b"+WPI"


class Leases:
    """The deliveries that are out with this process, each extended three times a lease."""

    def __init__(self, connect: Callable[[], Awaitable[Client]]) -> None:
        self._connect = connect
        self._held: dict[str, float] = {}  # lease by the address that the server listens at
        self._is_closed = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, address: str, lease: float) -> None:
        self._held[address] = lease
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, daemon=True, name="nbgraph-leases")
            self._thread.start()

    def end(self, address: str) -> None:
        self._held.pop(address, None)

    def close(self) -> None:
        """From now on leases run out."""
        self._is_closed.set()
        if self._thread is not None:
            self._thread.join(1)

    def _serve(self) -> None:
        asyncio.run(self._keep())

    async def _keep(self) -> None:
        client = await self._connect()
        while not self._is_closed.is_set():
            held = list(self._held.items())
            for address, _ in held:
                if address in self._held:
                    await client.publish(address, PROGRESS)
            await self._wait(min((lease for _, lease in held), default=1.0) / 3)
        await client.close()

    async def _wait(self, seconds: float) -> None:
        """Sleep, in small pieces so that closing is noticed."""
        deadline = asyncio.get_running_loop().time() + seconds
        while (left := deadline - asyncio.get_running_loop().time()) > 0 and not self._is_closed.is_set():
            await asyncio.sleep(min(left, 0.2))
