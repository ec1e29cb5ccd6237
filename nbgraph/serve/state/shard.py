"""Shard: what the steps behind one shard of a queue remember, the same whichever worker has the next event.

An event's way here: bring the state up to date; run, with what goes on to other functions laid in an outbox; keep the
state, the outbox and the event's id in one write; only then send, reply and acknowledge. A worker that dies before the
write has changed nothing; one that dies after it has done everything but the telling, which the next worker does from
what was kept. A worker that was taken for dead finds another revision and steps back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from nbgraph.engine.plan import Plan
from nbgraph.errors import StepError
from nbgraph.serve.execution.loop_bridge import LoopBridge
from nbgraph.serve.execution.plan_runner import PlanRunner
from nbgraph.serve.queues.outcome import QueueOutcome, Sent, plain_of, sent_of
from nbgraph.serve.state.state_pages import StatePages, sizes
from nbgraph.serve.state.step_state import Path, StateError, StepState
from nbgraph.streams.base import Broker, Delivery, QueueSpec, StaleError, StateTooLargeError
from nbgraph.streams.codec.values import UnfitError, freeze, thaw
from nbgraph.streams.codec.wire import pack
from nbgraph.streams.event_context import EventContext, current
from nbgraph.types import Clock

Run = Callable[[Plan, list[Sent]], Awaitable[QueueOutcome]]
Refuse = Callable[[Exception], Awaitable[QueueOutcome]]
Bury = Callable[[str, StepError], Awaitable[None]]


class Shard:
    """One shard's own instances of the steps that remember; `due` is when they want to let something go."""

    def __init__(
        self,
        track: PlanRunner,
        plan: Plan,
        steps: Collection[str],
        broker: Broker,
        name: str,
        queues: Mapping[str, QueueSpec],
        clock: Clock,
    ) -> None:
        self._track, self._plan, self._queues, self._clock = track, plan, queues, clock
        self._broker, self._way = broker, LoopBridge(broker)
        self.due: float | None = None  # as it was after the last event
        self._memories = {step: StepState(step, plan.steps[step].call.target) for step in steps}
        self._pages = StatePages(broker, name)
        self._lock = asyncio.Lock()
        self._is_current = False
        self._turns: dict[str, int | None] = {}  # the last delivery of each queue that was done here
        self._doubted: set[str] = set()

    async def process(self, reader: str, delivery: Delivery, run: Run, refuse: Refuse) -> QueueOutcome | None:
        """What the message came to, now or before; None where another worker has it by now."""
        async with self._lock:
            try:
                await self._bring(reader, delivery.turn)
                outcome = await self._once(reader, delivery, run)
            except (UnfitError, StateTooLargeError) as error:
                self._restore()
                return await refuse(self._explained(error))
            except BaseException:
                self._is_current = False
                raise
            if outcome is not None:
                await self._send(outcome.sent)
            self.due = self._next()
            return outcome

    async def release(self, bury: Bury) -> None:
        """Let go what is due, unless another worker has done so."""
        async with self._lock:
            try:
                await self._bring("", None)
                due = self._next()
                if due is not None and due <= self._clock():
                    await self._let_go(bury)
                self.due = self._next()
            except StaleError:
                self._is_current = False
            except BaseException:
                self._is_current = False
                raise

    def _next(self) -> float | None:
        times = (self._plan.steps[step].due() for step in self._memories)
        return min((time for time in times if time is not None), default=None)

    async def _bring(self, reader: str, turn: int | None) -> None:
        """Bring the state up to date; nothing to do where the last delivery of the shard was ours, and well done."""
        is_next = turn is not None and self._turns.get(reader) == turn - 1
        if not (self._is_current and is_next):
            await self._refresh()
        self._turns[reader] = turn
        await self._send_released()

    async def _refresh(self) -> None:
        changes = await self._pages.refresh()
        if changes is None or not self._is_current or not all(map(self._put, changes.items())):
            self._restore()
        self._is_current = True

    def _put(self, change: tuple[bytes, bytes | None]) -> bool:
        path: Path = thaw(change[0])
        memory = self._memories.get(path[0])
        return memory is None or memory.put(path, change[1])

    def _restore(self) -> None:
        """The steps' states as they were kept last."""
        pages: dict[str, dict[Path, bytes | None]] = {step: {} for step in self._memories}
        for packed, page in self._pages.values.items():
            path: Path = thaw(packed)
            pages.get(path[0], {})[path] = page
        for step, memory in self._memories.items():
            memory.restore(pages[step])

    async def _once(self, reader: str, delivery: Delivery, run: Run) -> QueueOutcome | None:
        id, first = delivery.message.id, None
        while True:
            done = self._pages.head.get("done", {})
            last, turn, told = done.get(reader, ("", None, None))
            if last == id:
                return QueueOutcome.of_plain(told, self._queues)
            if self._is_over(delivery, turn) or (delivery.turn is None and first not in (None, last)):
                return None
            first = last
            sent: list[Sent] = []
            outcome = replace(await run(self._plan, sent), sent=tuple(sent))
            try:
                await self._write({"done": {**done, reader: (id, delivery.turn, outcome.plain())}})
                return outcome
            except StaleError:  # a timer, another queue that leads here, or a worker that has taken over
                self._is_current = False
                await self._refresh()

    def _is_over(self, delivery: Delivery, done: int | None) -> bool:
        """Whether a later delivery of the queue is done, so that this one, which has waited too long, must be too.

        It is handed back; should it come again it is not done after all, and the count of deliveries has begun anew.
        """
        if done is None or delivery.turn is None or delivery.turn >= done or delivery.message.id in self._doubted:
            return False
        self._doubted.add(delivery.message.id)
        return True

    async def _let_go(self, bury: Bury) -> None:
        id, sent = f"{self._pages.name}@{self._pages.revision}", list[Sent]()
        for number, (step, chunk) in enumerate(self._overdue()):
            passage = EventContext(self._way, pack, f"{id}.{number}", f"{id}.{number}", outbox=sent, credit=0)
            current.set(passage)
            try:
                await self._track.resume(self._plan, step, chunk)
            except StepError as error:
                await bury(passage.message, error)
        await self._write({**self._pages.head, "released": plain_of(tuple(sent))})
        await self._send_released()

    def _overdue(self) -> Iterator[tuple[str, Any]]:
        """What is due by now, with the step that lets it go."""
        now = self._clock()
        for step in self._memories:
            due, overdue = self._plan.steps[step].due(), self._plan.steps[step].call.overdue
            if due is not None and due <= now and overdue is not None:
                yield from ((step, chunk) for chunk in overdue())

    async def _send_released(self) -> None:
        """What a timer has let go is sent by whoever sees it first."""
        while released := self._pages.head.get("released"):
            await self._send(sent_of(released, self._queues))
            try:
                await self._write({**self._pages.head, "released": []})
            except StaleError:
                self._is_current = False
                await self._refresh()

    async def _write(self, head: dict[str, Any]) -> None:
        changes = {}
        for memory in self._memories.values():
            for path, page in memory.changes():
                packed = freeze(path)
                if self._pages.values.get(packed) != page:
                    changes[packed] = page
        await self._pages.write(changes, {**head, "due": self._next()})

    async def _send(self, sent: tuple[Sent, ...]) -> None:
        for queue, message in sent:
            await self._broker.publish(queue, message)

    def _explained(self, error: Exception) -> Exception:
        if not isinstance(error, StateTooLargeError):
            return error
        held = sizes((thaw(path)[0], len(path) + len(page)) for path, page in self._pages.values.items())
        return StateError(
            f"What the steps behind the queue remember can't be kept: {error} Kept so far: {held or 'nothing'}. Let a "
            "step remember less at one key, or let the broker take more in one piece."
        )
