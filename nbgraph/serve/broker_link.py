"""Link: a worker's way to the other functions of its graph, made as soon as their broker is there."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from nbgraph.engine.function_spec import FunctionSpec
from nbgraph.errors import NbgraphError
from nbgraph.serve.gateway.app import Gateway
from nbgraph.serve.queues.consumer import Consumer
from nbgraph.serve.settings import Settings
from nbgraph.serve.telemetry.metrics import Metrics
from nbgraph.streams.transport import StreamAddress, transport_of

PATIENCE = 10.0  # seconds of asking after which the log is told that the broker does not answer
PAUSE = 0.5  # seconds until a broker that answered, and then went, is asked again
log = logging.getLogger("nbgraph.serve")


class Link:
    """While it takes long, the worker serves: it lives, is not ready, and refuses events with the reason."""

    def __init__(self, gateway: Gateway, metrics: Metrics, settings: Settings, part: FunctionSpec) -> None:
        if part.is_part and settings.broker is None:
            raise NbgraphError(
                f'"{part.name}" is one function of several, which are joined by a broker; give its URL: --broker.'
            )
        self.pipeline: Consumer | None = None  # None until it is open, and where there are no other functions
        self._gateway, self._metrics, self._settings, self._part = gateway, metrics, settings, part
        if part.is_part:
            gateway.awaits = "the broker does not answer yet"

    async def join(self) -> None:
        """Open the way, however long the broker takes to come; what asking again can't mend rises."""
        if not self._part.is_part:
            return
        address = self._address()
        away = transport_of(address).away()
        self._gateway.tracing.messaging_system = address.transport
        while self.pipeline is None:
            try:
                self.pipeline = await self._opened(address)
            except away as error:
                log.warning("The broker does not answer yet, and is asked again: %s", error or repr(error))
                await asyncio.sleep(PAUSE)
        if self._part.asks or self._part.confirms:
            self._gateway.join(self.pipeline.callers, models=self._part.models)
        self._metrics.join(self.pipeline)
        if self._gateway.watching is not None:
            self._gateway.watching.join(self.pipeline)
        self._gateway.awaits = None

    def _address(self) -> StreamAddress:
        file, url = self._settings.broker_token_file, self._settings.broker
        assert url is not None
        return StreamAddress.of_url(url, file.read_text().strip() if file is not None else "")

    async def _opened(self, address: StreamAddress) -> Consumer:
        settings, gateway = self._settings, self._gateway
        broker = await transport_of(address).connect(address, patience=PATIENCE)
        pipeline = Consumer(
            gateway.runner.track, self._part, broker, tracing=gateway.tracing, captures=gateway.captures,
            seconds=settings.limits.seconds,
        )  # fmt: skip
        try:
            await pipeline.open()
        except BaseException:
            with contextlib.suppress(Exception):
                await pipeline.close(0)
            raise
        return pipeline
