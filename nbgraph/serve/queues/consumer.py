"""Consumer: takes events from the queues of one function of several, and answers them or hands them on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from nbgraph.engine import loop
from nbgraph.engine.function_spec import FunctionSpec
from nbgraph.engine.plan import Answers, Plan
from nbgraph.errors import RequestError, StepError
from nbgraph.serve.execution.executor import DeadlineHalt, ExecutorTurn
from nbgraph.serve.execution.loop_bridge import LoopBridge
from nbgraph.serve.execution.plan_runner import PlanRunner
from nbgraph.serve.gateway.presence import CallerGone, Presence
from nbgraph.serve.queues.outcome import ANSWER, DONE, FAILED, LATE, QueueOutcome
from nbgraph.serve.queues.poison import ALONE, TOGETHER, PoisonGuard
from nbgraph.serve.queues.reply_waiters import ReplyWaiters
from nbgraph.serve.state.shards import Shards
from nbgraph.serve.telemetry.captures import Captures
from nbgraph.serve.telemetry.failures import frames_of
from nbgraph.serve.telemetry.step_metrics import Seen, record
from nbgraph.serve.telemetry.tracing import Tracing
from nbgraph.steps.operators.queue import QueueReader, QueueWriter, read_event
from nbgraph.streams import request_id
from nbgraph.streams.base import Broker, DamageError, Delivery, Load, Message, QueueSpec
from nbgraph.streams.codec.wire import UNFIT, pack, pack_answer, pack_or_show, unpack
from nbgraph.streams.event_context import EventContext, current, deadline

ENDS_WORKERS = f"it was delivered {TOGETHER + ALONE} times and never finished: it may end its worker"
TOO_LATE = {"error": "The event's deadline passed while it waited."}, 504
AGAIN = 1.0  # seconds until what could not be finished comes again
GIVING_BACK = 2.0  # seconds in which what was fetched and not begun is given back
IN_FLIGHT = 64  # events that are worked on at once, those that wait for something included
log = logging.getLogger("nbgraph.serve")
_alone = contextlib.nullcontext()


class Consumer:
    """All of it runs on the loop on which it is made, which no step holds up.

    An event is taken from its queue when the ones before it have left the lane, or wait for something: what a worker
    can't begin with is left to others. What comes of it is told as soon as its steps are done.
    """

    def __init__(
        self,
        track: PlanRunner,
        part: FunctionSpec,
        broker: Broker,
        *,
        tracing: Tracing | None = None,
        captures: Captures | None = None,
        seconds: float = 60.0,
    ) -> None:
        self.home = asyncio.get_running_loop()
        self._track, self._plan = track, track.plan
        self._tracing, self._captures = tracing or Tracing(None), captures
        self._part, self._broker, self._way = part, broker, LoopBridge(broker)
        self.callers = ReplyWaiters(track, part, broker, seconds, captures)
        self._readers: list[asyncio.Task[None]] = []
        self._working: set[asyncio.Task[None]] = set()
        self._room, self._gate = asyncio.Semaphore(IN_FLIGHT), asyncio.Semaphore(track.threads)
        self._suspects = PoisonGuard(broker)
        self._presence = Presence(broker)
        self._checkpoint = Shards(track, part.name, broker, self.specs, self._written())
        self.counts = {"processed": 0, "failed": 0, "redelivered": 0, "dead": 0}

    async def open(self) -> None:
        """Make the queues, begin to read, and to hear replies."""
        for spec in [*self._written(), *self.specs.values()]:
            await self._broker.declare(spec)
        self._checkpoint.open(self._released)
        await self.callers.open()
        for name, spec in self.specs.items():
            self._readers.append(loop.background(self._read(name, spec)))

    async def drain(self, patience: float = 25.0) -> None:
        """Read no more, and finish what is under way."""
        for reader in self._readers:
            reader.cancel()
        if self._readers:
            await asyncio.wait(self._readers, timeout=GIVING_BACK)
        if self._working:
            await asyncio.wait(self._working, timeout=patience)
        await self._checkpoint.close()

    async def close(self, patience: float = 25.0) -> None:
        """Drain, and leave the broker."""
        await self.drain(patience)
        await self.callers.close()
        await self._presence.close()
        await self._broker.close()

    @property
    def specs(self) -> dict[str, QueueSpec]:
        """The queues this function reads, by the name of their step."""
        targets = {name: self._plan.steps[name].call.target for name in self._part.reads}
        return {name: target.spec for name, target in targets.items() if isinstance(target, QueueReader)}

    @property
    def in_flight(self) -> int:
        """Events of queues that are worked on here now."""
        return len(self._working)

    async def loads(self) -> dict[str, Load]:
        """What waits, and is worked on, in each queue that is read here."""
        return {name: await self._broker.load(spec) for name, spec in self.specs.items()}

    # --- queues ---

    async def _read(self, name: str, spec: QueueSpec) -> None:
        while True:
            try:
                await self._read_on(name, spec)
            except Exception:
                log.exception('Queue "%s" can\'t be read; it is tried again', spec.name)
                await asyncio.sleep(AGAIN)

    async def _read_on(self, name: str, spec: QueueSpec) -> None:
        async with contextlib.aclosing(self._broker.read(spec, keeps_leases=True)) as deliveries:
            async for delivery in deliveries:
                is_gated = not self._track.is_brisk
                await self._room_for(delivery, is_gated=is_gated)
                turn = ExecutorTurn(self._track.lane, passed=self._passed if is_gated else None)
                task = loop.background(self._work(name, delivery, turn))
                self._working.add(task)
                task.add_done_callback(self._worked)

    async def _room_for(self, delivery: Delivery, *, is_gated: bool) -> None:
        """Wait for a turn; a worker that drains meanwhile gives the message back at once, not when its lease ends."""
        try:
            await self._room.acquire()
            if is_gated:
                await self._gate.acquire()
        except asyncio.CancelledError:
            await delivery.nack()
            raise

    def _passed(self) -> None:
        """An event has left the lane, or waits: the next one may begin. Its steps may be on another loop."""
        if asyncio.get_running_loop() is self.home:
            self._gate.release()
        else:
            self.home.call_soon_threadsafe(self._gate.release)

    def _worked(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        self._room.release()
        if not task.cancelled() and task.exception() is not None:
            log.error("A delivery was not finished and will come again", exc_info=task.exception())

    async def _work(self, name: str, delivery: Delivery, turn: ExecutorTurn) -> None:
        """Do what a message asks for; it is acknowledged when all of that is done, else it comes again."""
        try:
            try:
                with self._tracing.taking(name, delivery.message.headers):
                    outcome = await self._outcome(name, delivery, turn)
            finally:
                turn.give()
            if outcome is None:  # another worker has it
                await delivery.nack(AGAIN)
                return
            await self.callers.reply(delivery.message, outcome)
            await delivery.ack()
        except BaseException:
            with contextlib.suppress(Exception):  # a broker that is away can't be told; the lease ends with us
                await delivery.nack(AGAIN)
            raise

    async def _outcome(self, name: str, delivery: Delivery, turn: ExecutorTurn) -> QueueOutcome | None:
        self.counts["redelivered"] += delivery.attempt > 1
        try:
            passage = self._passage(delivery.message)
        except DamageError as damage:
            return await self._bury(delivery.message, name, name, str(damage))
        shard = self._checkpoint.shard(name, delivery.message)
        if shard is None:
            return await self._made(name, delivery, turn, passage, self._plan)
        refuse = partial(self._refused, name, delivery)

        async def run(plan: Plan, outbox: list[tuple[QueueSpec, Message]]) -> QueueOutcome:
            return await self._made(name, delivery, turn, replace(passage, outbox=outbox), plan)

        outcome = await shard.process(name, delivery, run, refuse)
        self._checkpoint.used(shard)
        return outcome

    def _passage(self, message: Message) -> EventContext:
        """What travels beside the event; a `DamageError` where that can't be so."""
        passage = EventContext.of_message(self._way, pack, message)
        if passage.reply_to is not None and not self._broker.is_inbox(passage.reply_to):
            raise DamageError(f"It asks for a reply to {passage.reply_to[:200]!r}, which is no address for replies.")
        return passage

    async def _made(
        self, name: str, delivery: Delivery, turn: ExecutorTurn, passage: EventContext, plan: Plan
    ) -> QueueOutcome:
        """What comes of a message."""
        left = await self._presence.seconds_left(passage)
        if left <= 0:
            outcome = self._told(FAILED, *TOO_LATE)
        else:
            end = time.monotonic() + left
            turn.is_late = lambda: time.monotonic() > end
            run = partial(self._run, name, passage, delivery.message, turn, plan)
            tried = await self._suspects.tried(delivery, run)
            outcome = await self._bury(delivery.message, name, name, ENDS_WORKERS) if tried is None else tried
        return outcome.giving_back(passage.credit)

    async def _run(
        self, name: str, passage: EventContext, message: Message, turn: ExecutorTurn, plan: Plan
    ) -> QueueOutcome:
        try:
            event = read_event(unpack(message.body), message.key, dict(message.headers))
        except Exception as error:  # whoever wrote it: it can't be read, and it comes to the same each time
            return await self._bury(message, name, name, str(error) or repr(error))
        seen: list[Seen] = []
        request_id.current.set(request_id.of_headers(event.headers))
        current.set(passage)
        deadline.set(passage.deadline)
        record.set(seen)
        try:
            plan = plan if self._captures is None else self._captures.plan(plan, event)
            with self._presence.watched(passage) if self._track.gives else _alone:
                answers = await self._track.resume(plan, name, event, turn)
        except CallerGone:
            return self._told(DONE)
        except DeadlineHalt:
            return self._told(FAILED, *TOO_LATE)
        except StepError as error:
            if isinstance(error.__cause__, RequestError):  # the caller's own mistake, not an event to be mended
                return self._told(FAILED, {"error": str(error.__cause__)}, error.__cause__.status)
            return await self._failed(message, name, error, seen)
        try:
            outcome = self._answered(answers)
        except UNFIT as error:
            return await self._failed(message, name, StepError(self._answering, event, error), seen)
        self.counts["processed"] += 1
        return outcome

    def _answered(self, answers: Answers) -> QueueOutcome:
        if self._part.answers and answers:
            return self._told(ANSWER, answers[0])
        return self._told(LATE, answers.late[0]) if answers.late else self._told(DONE)

    @property
    def _answering(self) -> str:
        """The step whose result could not be told to the caller."""
        return next((name for name, step in self._plan.steps.items() if step.is_responder), self._part.name)

    async def _refused(self, name: str, delivery: Delivery, error: Exception) -> QueueOutcome:
        """What the message came to can't be remembered: it is put aside, and the state stays as it was."""
        log.error("%s", error, extra={"event": delivery.message.id})
        outcome = await self._bury(delivery.message, name, name, str(error))
        return outcome.giving_back(self._passage(delivery.message).credit)

    async def _failed(
        self, message: Message, reader: str | None, error: StepError, seen: Sequence[Seen] = ()
    ) -> QueueOutcome:
        self.counts["failed"] += 1
        log.error("%s", error, exc_info=error.__cause__ or error, extra={"event": error.event.id, "step": error.step})
        kept = {
            "trace": "".join(traceback.format_exception(error.__cause__ or error)), "frames": frames_of(seen),
            "input": pack_or_show(error.event.body),
        }  # fmt: skip
        return await self._bury(message, reader, error.step, str(error), kept)

    async def _released(self, id: str, error: StepError) -> None:
        """A step let go something, and that failed: nobody waits for it, but it must not be lost."""
        await self._failed(Message(id, pack_or_show(error.event.body), error.event.key), None, error)

    async def _bury(
        self, message: Message, reader: str | None, step: str, error: str, kept: Mapping[str, Any] | None = None
    ) -> QueueOutcome:
        """The dead letter is kept before the caller hears of it and the message is acknowledged."""
        self.counts["dead"] += 1
        reason = {
            "function": self._part.name, "step": step, "error": error, "trace": "", "time": time.time(),
            "input": message.body, "key": message.key, **(kept or {}),
        }  # fmt: skip
        if reader is not None:
            reason["queue"] = self.specs[reader].name
        await self._broker.bury(message, reason)
        return self._told(FAILED, {"error": error, "step": step}, 500)

    @staticmethod
    def _told(kind: str, value: Any = None, status: int = 200) -> QueueOutcome:
        return QueueOutcome(kind, pack_answer(value), status)

    def _written(self) -> list[QueueSpec]:
        """The queues this function writes to."""
        targets = [step.call.target for step in self._plan.steps.values()]
        return [target.spec for target in targets if isinstance(target, QueueWriter)]
