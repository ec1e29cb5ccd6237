"""Runner: an event's way from the gateway through the graph, counted on the way, kept when it fails."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

from nbgraph.engine.plan import Plan
from nbgraph.errors import RequestError, StepError
from nbgraph.event import Event
from nbgraph.graph.graph import Graph
from nbgraph.serve.execution.executor import DeadlineHalt, ExecutorTurn
from nbgraph.serve.execution.plan_runner import PlanRunner, bare
from nbgraph.serve.execution.timers import TICK, has_timers, let_go
from nbgraph.serve.gateway.early_answer import EarlyAnswers, goes_on_after_answer
from nbgraph.serve.gateway.limits import Receive
from nbgraph.serve.gateway.streaming import gone
from nbgraph.serve.queues.reply_waiters import RemoteError, ReplyWaiters
from nbgraph.serve.telemetry.captures import Captures
from nbgraph.serve.telemetry.failures import Failures
from nbgraph.serve.telemetry.step_metrics import Seen, StepMetrics, record
from nbgraph.serve.telemetry.tracing import Tracing
from nbgraph.streams.codec.wire import encode
from nbgraph.streams.event_context import deadline

if TYPE_CHECKING:
    from nbgraph.serve.telemetry.watching import Watching

log = logging.getLogger("nbgraph.serve")


class Runner:
    """Runs the events of one graph: async steps together, sync ones in their lane."""

    def __init__(
        self,
        graph: Graph,
        tally: StepMetrics,
        failures: Failures,
        tracing: Tracing,
        captures: Captures,
        threads: int = 1,
        watching: Watching | None = None,
    ) -> None:
        self._tally, self._failures, self._captures = tally, failures, captures
        self._early: EarlyAnswers | None = None
        if graph.responders and goes_on_after_answer(graph):
            self._early = EarlyAnswers(graph.responders)
            graph.observers.append(self._early)
        plan = graph.plan() if watching is None else watching.twin(graph.plan())
        self.track = PlanRunner(tally.watching(tracing.watching(bare(plan))), threads)
        self.plan: Plan = self.track.plan
        self._callers: ReplyWaiters | None = None

    def join(self, callers: ReplyWaiters) -> None:
        """From now on an event's answer may come from another function: callers bring it."""
        self._callers = callers

    @property
    def is_joined(self) -> bool:
        """Whether other functions take part."""
        return self._callers is not None

    @property
    def is_reachable(self) -> bool:
        """Whether events can be handed on to the other functions."""
        return self._callers is None or self._callers.is_connected

    @property
    def answers_early(self) -> bool:
        """Whether a caller may be answered before his event is done."""
        return self._early is not None

    @property
    def entry(self) -> str:
        """The step that events come to first."""
        return next(iter(self.plan.steps))

    @property
    def is_prompt(self) -> bool:
        """Whether nothing here keeps an event from its queues for long."""
        return self.track.is_prompt

    @property
    def is_quick(self) -> bool:
        """Whether the next event may run here and now, without keeping anyone waiting."""
        return self._callers is None and self.track.is_quick

    def here(self, event: Event, body: bytes) -> Any:
        """The event's answer, at once."""
        return self.track.here(partial(self._answer, event, body))

    def begin(
        self,
        event: Event,
        body: bytes,
        seconds: float | None = None,
        *,
        accepted: Callable[[], object] | None = None,
        is_kept: bool = False,
    ) -> tuple[asyncio.Future[Any], set[asyncio.Future[Any]]]:
        """The run of an event, and what may answer before its end; see `Callers.ask`.

        What has not begun after so many seconds does not begin.
        """
        early = {self._early.of(event)} if self._early is not None else set()
        if self._callers is not None:
            way = self._callers.ask(event, seconds, accepted=accepted, is_kept=is_kept)
        else:
            way = self._alone(event, seconds)
        run = asyncio.ensure_future(self._watched(event, body, way, seconds))
        run.add_done_callback(_noticed)
        return run, early

    async def given(self, event: Event, body: bytes, seconds: float) -> AsyncGenerator[Any, None]:
        """Every answer to an event, as it comes; where other functions take part there is one."""
        if self._callers is None:
            async with aclosing(self.track.given(event)) as answers:
                async for answer in answers:
                    yield answer
            return
        run, early = self.begin(event, body, seconds)
        done, _ = await asyncio.wait({run, *early}, return_when=asyncio.FIRST_COMPLETED)
        yield (run if run in done else done.pop()).result()

    def watch(self, event: Event, receive: Receive) -> asyncio.Future[None]:
        """Let those who work on the event know when its caller hangs up; to be cancelled when he is answered."""
        if self._callers is None:
            return asyncio.get_running_loop().create_future()
        return asyncio.ensure_future(_left(self._callers, event.id, receive))

    async def keep_time(self) -> None:
        """Let go what steps hold back, each thing when it is due, until this is cancelled."""
        while has_timers(self.plan):
            await asyncio.sleep(TICK)
            try:
                await self.let_go(time.monotonic())
            except Exception:
                log.exception("What is due could not be let go, and is tried again")

    async def let_go(self, now: float | None = None) -> None:
        """Let go what steps hold back and is due by now; without a time all of it, since the worker stops."""
        if self._callers is not None:
            await self._callers.let_go(now, self._lost)
        else:
            await let_go(self.track, now, self._lost)

    def failed(self, event: Event, body: bytes, seen: list[Seen], error: StepError) -> None:
        """The traceback goes to the log, the event to the failures; a request that was wrong is neither's business."""
        self._tally.noticed(error.step, seen)
        if isinstance(error.__cause__, RequestError) and error.answer is None:
            return
        self._failures.keep(event, body, seen, error)
        log.error("%s", error, exc_info=error.__cause__ or error, extra={"event": event.id, "step": error.step})

    async def telling(self, event: Event, body: bytes, sending: Coroutine[Any, Any, StepError | None]) -> None:
        """Answers are sent as they come; the error that was the last of them is kept as any other."""
        seen: list[Seen] = []
        record.set(seen)
        try:
            failed = await sending
        except StepError as error:
            self.failed(event, body, seen, error)
            raise
        if failed is not None:
            self.failed(event, body, seen, failed)

    def close(self) -> None:
        self.track.close()

    def _lost(self, error: StepError) -> None:
        """What a step let go came to an error, and nobody waits for it."""
        self.failed(error.event, encode(error.event.body), [], error)

    def _answer(self, event: Event, body: bytes) -> Any:
        seen: list[Seen] = []
        record.set(seen)
        try:
            return self._captures.plan(self.plan, event).answer_to(event)
        except StepError as error:
            self.failed(event, body, seen, error)
            raise

    async def _alone(self, event: Event, seconds: float | None) -> Any:
        deadline = time.monotonic() + seconds if seconds is not None else None
        turn = ExecutorTurn(self.track.lane, lambda: deadline is not None and time.monotonic() > deadline)
        try:
            return await self.track.answer(event, self._captures.plan(self.plan, event), turn)
        except DeadlineHalt:
            raise RemoteError(f"No answer within {seconds:g} seconds.", 504) from None

    async def _watched(
        self, event: Event, body: bytes, way: Coroutine[Any, Any, Any], seconds: float | None = None
    ) -> Any:
        seen: list[Seen] = []
        deadline.set(time.time() + seconds if seconds is not None else None)
        record.set(seen)
        try:
            return await way
        except StepError as error:
            self.failed(event, body, seen, error)
            raise


async def _left(callers: ReplyWaiters, id: str, receive: Receive) -> None:
    await gone(receive)
    await callers.left(id)


def _noticed(run: asyncio.Future[Any]) -> None:
    """Whoever asked may have gone; an error must not be reported as one that nobody looked at."""
    if not run.cancelled():
        run.exception()
