"""Ticks: the events that a worker's clock gives, each once among all the workers of the function."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nbgraph.engine.live.ticker import schedules_of
from nbgraph.errors import RequestError
from nbgraph.event import Event
from nbgraph.serve.gateway.limits import RefusedError
from nbgraph.steps.sources.schedule import Schedule
from nbgraph.streams.base import StaleError, States

if TYPE_CHECKING:
    from nbgraph.serve.gateway.app import Gateway

PAUSE = 0.5  # seconds until a tick that found no room is tried again
log = logging.getLogger("nbgraph.serve")


async def keep_ticking(gateway: Gateway) -> None:
    """Take each tick of the graph's schedules, until this is cancelled."""
    schedules = schedules_of(gateway.runner.plan)
    await asyncio.gather(*(_Ticks(gateway, name, schedule).keep() for name, schedule in schedules.items()))


class _Ticks:
    """The ticks of one schedule. Its last one stands among the states, so that what nobody was there for is noticed.

    Every worker asks for every tick by the same id, as callers do with an `Idempotency-Key`: it runs once, and again
    where the worker that had begun it dies.
    """

    def __init__(self, gateway: Gateway, step: str, schedule: Schedule) -> None:
        self._gateway, self._schedule = gateway, schedule
        told = f"{gateway.runner.plan.name}\n{step}\n{schedule.cron}"
        self._name = f"schedule-{hashlib.sha256(told.encode()).hexdigest()[:24]}"
        self._last = datetime.now(UTC)

    async def keep(self) -> None:
        states = self._gateway.requests.shelf.states if self._gateway.requests.shelf is not None else None
        if states is not None:
            await self._begin(states)
        while True:
            now = datetime.now(UTC)
            for event in self._schedule.ticks(self._last, now):
                await self._taken(event)
            self._last = now
            if states is not None:
                await self._note(states)
            await asyncio.sleep(self._schedule.seconds_until_next(self._last))

    async def _taken(self, event: Event) -> None:
        """Returns when the tick is this worker's, or another one's."""
        while True:
            try:
                return await self._gateway.take(event)
            except RefusedError as refusal:  # until there is room, or another worker is here
                log.warning("a tick waits", extra={"event": event.id, "reason": str(refusal)})
                await asyncio.sleep(PAUSE)
            except RequestError:  # another worker has it, and counts those that were missed otherwise
                return None

    async def _begin(self, states: States) -> None:
        """Go on where the last worker was, if there was one."""
        kept, _ = await states.kept(self._name)
        if kept is not None:
            self._last = min(datetime.fromisoformat(kept.decode()), self._last)
        else:
            await self._note(states)

    async def _note(self, states: States) -> None:
        """Keep how far all are; whoever is further stays so."""
        kept, revision = await states.kept(self._name)
        if kept is None or datetime.fromisoformat(kept.decode()) < self._last:
            try:
                await states.keep(self._name, self._last.isoformat().encode(), revision)
            except StaleError:
                return
