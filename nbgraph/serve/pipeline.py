"""Pipeline: one function's part in a graph of several: it takes events from queues, and answers or hands them on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nbgraph.engine import loop
from nbgraph.engine.plan import Answers, Plan
from nbgraph.errors import NbgraphError, RequestError, StepError
from nbgraph.event import Event
from nbgraph.serve.part import Part
from nbgraph.steps.border import QueueReader, QueueWriter, event_of
from nbgraph.streams.base import Broker, Delivery, Inbox, Load, QueueSpec
from nbgraph.streams.passage import WHOLE, Passage, current
from nbgraph.streams.wire import pack, unpack

ATTEMPTS = 4  # deliveries after which a message that ends its worker every time is a dead letter
AGAIN = 1.0  # seconds until what could not be finished comes again
IN_FLIGHT = 64  # events of unkeyed queues that are worked on at once
KIND, ROOT, CREDIT, STATUS = "Kind", "Root", "Credit", "Status"
ANSWER, LATE, DONE, FAILED = "answer", "late", "done", "failed"
log = logging.getLogger("nbgraph.serve")


class RemoteError(NbgraphError):
    """A step of another function failed, or the answer did not come; `status` is HTTP's."""

    def __init__(self, message: str, status: int = 500, step: str | None = None) -> None:
        super().__init__(message)
        self.status, self.step = status, step


@dataclass
class _Asked:
    """Somebody waits: for the answer, and for the credit that tells when no answer will come any more."""

    future: asyncio.Future[Any]
    credit: int = 0
    late: list[Any] = field(default_factory=list)


class Pipeline:
    """Everything of it runs on nbgraph's loop thread, where the steps run too."""

    def __init__(self, plan: Plan, part: Part, broker: Broker, *, seconds: float = 60.0) -> None:
        self._plan = plan
        self._part, self._broker, self._seconds = part, broker, seconds
        self._asked: dict[str, _Asked] = {}
        self._readers: list[asyncio.Task[None]] = []
        self._working: set[asyncio.Task[None]] = set()
        self._gate = asyncio.Semaphore(IN_FLIGHT)
        self._inbox: Inbox | None = None
        self.counts = {"processed": 0, "failed": 0, "redelivered": 0, "dead": 0, "late": 0}

    async def open(self) -> None:
        """Make the queues, begin to read, and to hear replies."""
        for spec in [*self._written(), *self.specs.values()]:
            await self._broker.declare(spec)
        if self._part.asks:
            self._inbox = await self._broker.inbox()
            self._readers.append(loop.background(self._hear(self._inbox)))
        for name, spec in self.specs.items():
            self._readers.append(loop.background(self._read(name, spec)))

    async def drain(self, patience: float = 25.0) -> None:
        """Read no more, and finish what is under way."""
        for reader in self._readers:
            reader.cancel()
        if self._working:
            await asyncio.wait(self._working, timeout=patience)

    async def close(self, patience: float = 25.0) -> None:
        """Drain, and leave the broker."""
        await self.drain(patience)
        if self._inbox is not None:
            await self._inbox.close()
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

    async def ask(self, event: Event) -> Any:
        """An event from a caller: its answer, from wherever it comes."""
        passage = Passage(self._broker, pack, event.id, event.id, deadline=time.time() + self._seconds)
        asked: _Asked | None = None
        if self._inbox is not None:
            passage.reply_to = self._inbox.address
            asked = self._asked[event.id] = _Asked(asyncio.get_running_loop().create_future())
        current.set(passage)
        try:
            answers = await self._plan.aanswers(event)
            if self._part.confirms:
                return {"id": event.id}
            if asked is None:
                return self._plan.answer_of(event, answers)
            if self._part.answers and answers:
                return answers[0]
            asked.late += answers.late
            self._returned(asked, passage.credit)
            return await asyncio.wait_for(asked.future, self._seconds)
        except TimeoutError:
            raise RemoteError(f"No answer within {self._seconds:g} seconds.", 504) from None
        finally:
            self._asked.pop(event.id, None)

    # --- replies ---

    async def _hear(self, inbox: Inbox) -> None:
        async for headers, body in inbox.replies():
            asked = self._asked.get(headers.get(ROOT, ""))
            if asked is None:  # nobody waits for it any more
                self.counts["late"] += 1
                continue
            with contextlib.suppress(KeyError, ValueError):  # it is no reply of ours
                self._heard(asked, headers, body)

    def _heard(self, asked: _Asked, headers: Mapping[str, str], body: bytes) -> None:
        kind = headers[KIND]
        if kind == ANSWER and not asked.future.done():
            asked.future.set_result(unpack(body))
        elif kind == FAILED and not asked.future.done():
            told = unpack(body)
            asked.future.set_exception(RemoteError(told["error"], int(headers.get(STATUS, 500)), told.get("step")))
        elif kind == LATE:
            asked.late.append(unpack(body))
        self._returned(asked, int(headers[CREDIT], 16))

    def _returned(self, asked: _Asked, credit: int) -> None:
        asked.credit += credit
        if asked.credit >= WHOLE and not asked.future.done():  # all branches have ended, and none answered
            asked.future.set_result(asked.late[0] if asked.late else None)

    async def _reply(self, passage: Passage, kind: str, value: Any = None, status: int = 200) -> None:
        if passage.reply_to is not None:
            headers = {KIND: kind, ROOT: passage.root, CREDIT: f"{passage.credit:x}", STATUS: str(status)}
            await self._broker.reply(passage.reply_to, headers, pack(value))

    # --- queues ---

    async def _read(self, name: str, spec: QueueSpec) -> None:
        async for delivery in self._broker.read(spec, keeps_leases=True):
            await self._gate.acquire()
            task = loop.background(self._work(name, delivery))
            self._working.add(task)
            task.add_done_callback(self._worked)

    def _worked(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        self._gate.release()
        if not task.cancelled() and task.exception() is not None:
            log.error("A delivery was not finished and will come again", exc_info=task.exception())

    async def _work(self, name: str, delivery: Delivery) -> None:
        """Do what a message asks for; it is acknowledged when all of that is done, else it comes again."""
        try:
            await self._done(name, delivery)
            await delivery.ack()
        except BaseException:
            with contextlib.suppress(Exception):  # a broker that is away can't be told; the lease ends with us
                await delivery.nack(AGAIN)
            raise

    async def _done(self, name: str, delivery: Delivery) -> None:
        passage = Passage.of_message(self._broker, pack, delivery.message)
        self.counts["redelivered"] += delivery.attempt > 1
        if delivery.attempt > ATTEMPTS:
            reason = f"it was delivered {ATTEMPTS} times and never finished: it may end its worker"
            await self._bury(passage, delivery, name, reason, "")
        elif passage.is_expired:
            await self._reply(passage, FAILED, {"error": "The event's deadline passed while it waited."}, 504)
        else:
            await self._run(name, passage, delivery)

    async def _run(self, name: str, passage: Passage, delivery: Delivery) -> None:
        message = delivery.message
        event = event_of(unpack(message.body), message.key, dict(message.headers))
        current.set(passage)
        try:
            answers = await self._plan.aresume(name, event)
        except StepError as error:
            if isinstance(error.__cause__, RequestError):  # the caller's own mistake, not an event to be mended
                await self._reply(passage, FAILED, {"error": str(error.__cause__)}, error.__cause__.status)
                return
            self.counts["failed"] += 1
            log.error("%s", error, exc_info=error.__cause__ or error, extra={"event": event.id, "step": error.step})
            trace = "".join(traceback.format_exception(error.__cause__ or error))
            await self._bury(passage, delivery, error.step, str(error), trace, error.event.body)
            return
        self.counts["processed"] += 1
        await self._reply_of(passage, answers)

    async def _reply_of(self, passage: Passage, answers: Answers) -> None:
        if self._part.answers and answers:
            await self._reply(passage, ANSWER, answers[0])
        elif answers.late:
            await self._reply(passage, LATE, answers.late[0])
        else:
            await self._reply(passage, DONE)

    async def _bury(
        self, passage: Passage, delivery: Delivery, step: str, error: str, trace: str, body: Any = None
    ) -> None:
        """The dead letter is kept before the caller hears of it and the message is acknowledged."""
        self.counts["dead"] += 1
        reason = {
            "function": self._part.function, "step": step, "error": error, "trace": trace, "time": time.time(),
            "input": pack(body) if body is not None else delivery.message.body, "key": delivery.message.key,
        }  # fmt: skip
        await self._broker.bury(delivery.message, reason)
        await self._reply(passage, FAILED, {"error": error, "step": step}, 500)

    def _written(self) -> list[QueueSpec]:
        """The queues this function writes to."""
        targets = [step.call.target for step in self._plan.steps.values()]
        return [target.spec for target in targets if isinstance(target, QueueWriter)]
