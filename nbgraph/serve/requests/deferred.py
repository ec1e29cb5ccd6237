"""DeferredRequests: events whose callers come back for the answer, and events with an idempotency key."""

from __future__ import annotations

import asyncio
from typing import Any

from nbgraph.errors import StepError
from nbgraph.event import Event
from nbgraph.serve.gateway.limits import Limits, RefusedError
from nbgraph.serve.gateway.preferences import Preferences
from nbgraph.serve.reply import Reply, error_of
from nbgraph.serve.requests.accepted_log import Accepted, AcceptedLog
from nbgraph.serve.requests.registry import AWAY, RequestRegistry, StoredRequest, id_of, mark_of, pending
from nbgraph.serve.requests.store import KEPT_SECONDS
from nbgraph.serve.result import reply_of_error, reply_of_run
from nbgraph.serve.runner import Runner

Runs = list["asyncio.Future[Any]"]
_TO_COME_BACK = Preferences(is_async=True)
ID = "x-event-id"  # the header by which a caller gives his event a name of its own
SOON = 1.0  # seconds within which nearly every reply has come


class DeferredRequests:
    """Runs such events, each once, and gives every caller the same reply."""

    def __init__(self, runner: Runner, requests: RequestRegistry, limits: Limits, spool: AcceptedLog) -> None:
        self._runner, self._requests, self._limits, self._spool = runner, requests, limits, spool
        self._tasks: set[asyncio.Task[None]] = set()

    async def reply(self, event: Event, body: bytes, wish: Preferences, runs: Runs) -> Reply:
        """The reply within the caller's time, or 202; what keeps the request's place is put into `runs`."""
        if not self._runner.is_reachable:
            return error_of(503, AWAY)
        is_known = wish.key is not None or ID in event.headers
        if wish.key is not None or not is_known:
            event.id = id_of(wish.key, event.path if event.method == "POST" else f"{event.method} {event.path}")
        said = body if wish.key is not None else f"{event.method} {event.path}\n".encode() + body
        mark = mark_of(said) if is_known else b""
        asked, is_new = await self._requests.ask(event.id, mark)
        safe: asyncio.Future[Any] | None = None
        if is_new and self._requests.is_elsewhere(asked):
            self._spawn(self._after_others(event, body, wish, asked))
        elif is_new:
            is_promised = self._is_promised(wish)
            if is_promised:
                await self._keep(asked, Accepted.of(event, body, event.headers, mark))
            place = self._begin(event, body, wish, asked)
            runs.append(place)
            safe = None if is_promised else place
        if wish.is_async:
            return await self._accepted(asked, safe, wish.seconds or 0)
        seconds = self._limits.within(wish.seconds)
        await asyncio.wait({asked.replied}, timeout=seconds)
        if not asked.replied.done():
            return error_of(504, f"No answer within {seconds:g} seconds.", event=event.id)
        return asked.replied.result()

    async def _after_others(self, event: Event, body: bytes, wish: Preferences, asked: StoredRequest) -> None:
        """Another worker has it; should that one end, it is done here."""
        await self._requests.wait_for_others(asked)
        if not asked.replied.done():
            self._begin(event, body, wish, asked)

    async def _keep(self, asked: StoredRequest, accepted: Accepted) -> None:
        try:
            await self._spool.accept(accepted)
        except RefusedError as refusal:  # others may wait for it by now, and it may be asked again
            await self._requests.settle(asked, error_of(refusal.status, str(refusal)))
            raise

    async def again(self, event: Event, accepted: Accepted) -> None:
        """Do what a gateway that is gone had accepted; whoever comes back finds the reply."""
        asked, is_new = await self._asked(accepted)
        if is_new:
            await asyncio.wait({self._begin(event, accepted.body, _TO_COME_BACK, asked)})
        else:
            self._spool.done(accepted.id)

    async def refuse(self, event: Event, accepted: Accepted, error: StepError) -> None:
        """Tell whoever comes back that it can't be done."""
        asked, is_new = await self._asked(accepted)
        if is_new:
            await self._requests.settle(asked, reply_of_error(event, error))

    async def _asked(self, accepted: Accepted) -> tuple[StoredRequest, bool]:
        return await self._requests.ask(accepted.id, accepted.mark or b"")

    def _is_promised(self, wish: Preferences) -> bool:
        """Whether the caller may be told something before the event is done, or kept by queues.

        Where it is in queues as soon as it would be in a file, or there is no place for files, it is told then.
        """
        is_in_queues_first = self._runner.is_joined and (self._runner.is_prompt or not self._spool.is_there)
        return self._runner.answers_early or (wish.is_async and not is_in_queues_first)

    def _begin(self, event: Event, body: bytes, wish: Preferences, asked: StoredRequest) -> asyncio.Future[Any]:
        """Begin the run; what is given is done when it needs no place here any more."""
        in_queues = asyncio.get_running_loop().create_future()

        def leave(_: object) -> None:
            if not in_queues.done():
                in_queues.set_result(None)

        def accept() -> None:
            self._spool.done(event.id)
            leave(None)

        run, early = self._runner.begin(event, body, self._patience(wish), accepted=accept, is_kept=True)
        run.add_done_callback(leave)
        self._spawn(self._settled(event, asked, run, early))
        if asked.is_shared:
            self._spawn(self._requests.watch(asked))
        elif self._runner.is_joined:  # a reply that was sent while the broker came back has reached the shelf alone
            asyncio.get_running_loop().call_later(SOON, self._look_for, asked)
        return in_queues if self._runner.is_joined and wish.is_async else run

    def _patience(self, wish: Preferences) -> float | None:
        """Seconds after which it is of no use; none for what is promised and waits for nobody else."""
        if not wish.is_async:
            return self._limits.within(wish.seconds)
        return KEPT_SECONDS if self._runner.is_joined else None

    def _look_for(self, asked: StoredRequest) -> None:
        if not asked.replied.done():
            self._spawn(self._requests.watch(asked))

    async def _accepted(self, asked: StoredRequest, safe: asyncio.Future[Any] | None, seconds: float) -> Reply:
        """202 once the event can't be lost any more; the reply itself where there is one within the seconds."""
        if safe is not None:
            await asyncio.wait({safe, asked.replied}, return_when=asyncio.FIRST_COMPLETED)
        if not asked.replied.done() and seconds:
            await asyncio.wait({asked.replied}, timeout=min(seconds, self._limits.seconds))
        if asked.replied.done():
            return asked.replied.result()
        return pending(asked.id)

    async def _settled(
        self, event: Event, asked: StoredRequest, run: asyncio.Future[Any], early: set[asyncio.Future[Any]]
    ) -> None:
        done, _ = await asyncio.wait({run, *early}, return_when=asyncio.FIRST_COMPLETED)
        reply = reply_of_run(event, (run if run in done else done.pop()).result)
        await self._requests.settle(asked, reply)
        await asyncio.wait({run})
        self._spool.ended(event.id, run)

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
