"""Recovery: what gateways that are gone had accepted is done by the one that comes after them."""

from __future__ import annotations

import asyncio
import logging

from nbgraph.errors import StepError
from nbgraph.event import Event, entering
from nbgraph.serve.gateway.open_inference import request_of
from nbgraph.serve.requests.accepted_log import Accepted, AcceptedLog
from nbgraph.serve.requests.deferred import DeferredRequests
from nbgraph.serve.runner import Runner

EVERY = 1.0  # seconds between two looks
TRIES = 3  # of doing an event again, each of them ended with the worker
ENDS_WORKERS = f"it was begun {TRIES + 1} times and never finished: it may end its worker"
log = logging.getLogger("nbgraph.serve")


class Recovery:
    """One event after the other, so that the one that ends its worker is not taken for another."""

    def __init__(self, spool: AcceptedLog, runner: Runner, later: DeferredRequests) -> None:
        self._spool, self._runner, self._later = spool, runner, later

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            for accepted in self._spool.due():
                try:
                    await self._do(accepted)
                except Exception:
                    log.exception("An accepted event could not be done again", extra={"event": accepted.id})
            await asyncio.sleep(EVERY)

    async def _do(self, accepted: Accepted) -> None:
        while not self._runner.is_reachable:
            await asyncio.sleep(EVERY)
        event = _event_of(accepted)
        if accepted.tries >= TRIES:
            await self._give_up(accepted, event)
            return
        self._spool.tried(accepted)
        log.info("An accepted event is done again", extra={"event": event.id})
        if accepted.mark is not None:
            await self._later.again(event, accepted)
            return
        run, _ = self._runner.begin(event, accepted.body)
        await asyncio.wait({run})
        self._spool.ended(accepted.id, run)

    async def _give_up(self, accepted: Accepted, event: Event) -> None:
        error = StepError(self._runner.entry, event, RuntimeError(ENDS_WORKERS))
        self._runner.failed(event, accepted.body, [], error)
        if accepted.mark is not None:
            await self._later.refuse(event, accepted, error)
        self._spool.done(accepted.id)


def _event_of(accepted: Accepted) -> Event:
    body = request_of(accepted.body, accepted.headers)
    kind = (accepted.headers.get("content-type") or None) if body is accepted.body else None
    return entering(
        body, path=accepted.path, method=accepted.method, headers=accepted.headers, id=accepted.id, content_type=kind
    )
