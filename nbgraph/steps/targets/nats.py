"""NatsTarget: events into a NATS JetStream stream."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Sequence
from typing import Any

from nbgraph.event import Event
from nbgraph.steps.context import StepContext
from nbgraph.steps.http.client import packed, text
from nbgraph.steps.optional import package
from nbgraph.steps.runtime.loop_thread import call, portal_loop, send_off
from nbgraph.steps.targets.base import Target
from nbgraph.types import Shape

__all__ = ["NatsTarget"]


class NatsTarget(Target):
    """Send each body to a JetStream subject as JSON (bytes and text as they are), with the event's key in a header.

    >>> target = NatsTarget("nats://localhost:4222", "scored", stream="scored", max_events=100)

    A write has happened when the server has acknowledged it. `stream` is made, with this subject, when it is not there.

    Parameters
    ----------
    servers
        Addresses, `"nats://host:4222"`.
    subject
        Subject; `*` and `>` stand for parts of it.
    stream
        JetStream stream that is made where it is missing.
    """

    io = "the network"
    packages = ("nats",)
    shape = Shape.EVENT

    def __init__(
        self,
        servers: str | Sequence[str],
        subject: str,
        stream: str | None = None,
        max_events: int = 1,
        flush_after_seconds: float | None = None,
        *,
        context: StepContext | None = None,
    ) -> None:
        super().__init__(max_events, flush_after_seconds, context=context)
        self._servers = servers if isinstance(servers, str) else list(servers)
        self._subject, self._stream = subject, stream
        self._client: Any = None

    def items(self, body: Any, event: Event | None) -> list[Any]:
        value, content_type = packed(body)
        key = text(event.key) if event else None
        return [(value, {"Content-Type": content_type, **({"Nbgraph-Key": key} if key is not None else {})})]

    def write(self, items: list[Any]) -> None:
        call(self._sent(items))

    async def _sent(self, items: list[Any]) -> None:
        if self._client is None:
            self._client = await self._connected()
        js = self._client.jetstream()
        await asyncio.gather(*(js.publish(self._subject, value, headers=headers) for value, headers in items))

    async def _connected(self) -> Any:
        nats = package("nats", "NatsTarget", "nats-py")
        client = await nats.connect(self._servers)
        if self._stream is not None:
            js = client.jetstream()
            try:
                await js.stream_info(self._stream)
            except nats.js.errors.NotFoundError:
                await js.add_stream(name=self._stream, subjects=[self._subject])
        weakref.finalize(self, _hang_up, client)
        return client


def _hang_up(client: Any) -> None:
    send_off(client.close(), portal_loop())
