"""BrokeredSession: the parts of a graph at work in one process, joined by a broker's queues.

Answers and errors stay live objects, since the caller is in the same process: only what passes a queue is packed. Each
part takes its events in the order of its queue.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import CancelledError
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from nbgraph.brokered.brokered_event import BrokeredEvent, EventPart
from nbgraph.brokered.part_scheduler import PartScheduler
from nbgraph.brokered.parts import GraphPart
from nbgraph.engine import loop
from nbgraph.engine.plan import Answers, Plan
from nbgraph.errors import NbgraphError, RowError
from nbgraph.event import Event
from nbgraph.steps.operators.queue import event_of
from nbgraph.streams.base import Broker, Delivery, Message, QueueSpec
from nbgraph.streams.codec.wire import UNFIT, pack, unpack
from nbgraph.streams.event_context import EventContext

IN_FLIGHT = 64  # events that may be under way at once
DEEPEST = 20  # containers in containers that a message about a body goes into
LEASE = 600.0  # no other process could take over what this one has in hand


@dataclass(slots=True, kw_only=True)
class PartContext(EventContext):
    """The context of an event through one part; what it sends stays known in this process."""

    session: BrokeredSession
    event_run: BrokeredEvent
    sent_branches: list[EventPart] = field(default_factory=list)

    async def send(self, queue: QueueSpec, body: Any, key: Any, headers: Mapping[str, str]) -> EventPart:
        branch = EventPart()
        self.sent_branches.append(branch)
        await self.session.send(queue.name, Message("", packed(queue.name, body), key, headers), self.event_run, branch)
        return branch


class BrokeredSession:
    """See the module's docstring; everything of it happens on one event loop."""

    def __init__(self, name: str, parts: list[GraphPart], broker: Broker) -> None:
        run = secrets.token_hex(4)  # queues of different runs are different queues
        written = {spec.name: spec for part in parts for spec in part.writes}
        self._specs = {
            # One shard: there is one reader, and so the order of all events is kept, not only that of a key.
            queue: replace(spec, name=f"{name}-{run}-{queue}", shards=1, is_keyed=False, lease=LEASE)
            for queue, spec in written.items()
        }
        self._parts, self._broker = parts, broker
        self._schedulers = [PartScheduler(part.plan, part.reads) for part in parts]
        self._numbers = itertools.count()
        self._out: dict[str, tuple[BrokeredEvent, EventPart]] = {}  # what is in queues, by the id of its message
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_left = False
        # Where the ways of an event meet again, events stay in order only if the next waits for the one before.
        self.window = 1 if any(len(part.reads) > 1 for part in parts) else IN_FLIGHT

    @classmethod
    @asynccontextmanager
    async def open(cls, name: str, parts: list[GraphPart], broker: Broker) -> AsyncIterator[BrokeredSession]:
        """A session whose queues are there; at the end they are gone, with what is left in them."""
        session = cls(name, parts, broker)
        try:
            await asyncio.gather(*(broker.declare(spec) for spec in session._specs.values()))
            for number, part in enumerate(parts):
                if session._schedulers[number].is_concurrent:
                    session._begin(session._schedulers[number].progress())
                for queue in part.reads:
                    session._begin(session._read(number, queue))
            yield session
        finally:
            tasks = list(session._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*(broker.remove(spec) for spec in session._specs.values()), return_exceptions=True)
            await broker.close()

    def enter(self, event: Event, on_end: Callable[[BrokeredEvent], None] | None = None) -> BrokeredEvent:
        """Let an event enter by the first part; `on_end` is called when nothing of it is under way any more."""
        event_run = BrokeredEvent(event, on_end)
        event_run.fork()
        self._begin(self._run(0, event_run, event_run.root, event, partial(_entered, self._parts[0].plan, event)))
        return event_run

    def refuse(self, error: RowError, on_end: Callable[[BrokeredEvent], None]) -> BrokeredEvent:
        """Let a row that can't become an event go the way of errors in the first part."""
        event_run = BrokeredEvent(error.event, on_end)
        event_run.fork()
        self._begin(self._run(0, event_run, event_run.root, None, partial(self._parts[0].plan.arefused, error)))
        return event_run

    async def release(self, plan: Plan) -> AsyncGenerator[BrokeredEvent, None]:
        """What steps hold goes on from them, those first that others follow; each thing when the last one is done."""
        for name in plan.holders:
            for number, part in enumerate(self._parts):
                step = part.plan.steps.get(name)
                if step is not None and step.call.release is not None:
                    for chunk in step.call.release():
                        yield await self.run_released(number, name, chunk)

    async def release_overdue(self, now: float) -> list[BrokeredEvent]:
        """What is due by now goes on from the steps that held it, although no event came."""
        found = []
        for number, part in enumerate(self._parts):
            for name, step in part.plan.steps.items():
                due = step.call.due() if step.call.due is not None else None
                if due is not None and due <= now and step.call.overdue is not None:
                    found += [await self.run_released(number, name, chunk) for chunk in step.call.overdue()]
        return found

    async def run_released(self, number: int, step: str, chunk: Any) -> BrokeredEvent:
        """Let what a step released go on from it; returns when nothing of that is under way any more."""
        event = chunk if isinstance(chunk, Event) else Event(chunk)
        event_run = BrokeredEvent(event)
        event_run.fork()
        await self._run(
            number, event_run, event_run.root, None, partial(_resumed, self._parts[number].plan, step, event)
        )
        await event_run.ended.wait()
        return event_run

    def leave(self) -> None:
        """From now on what waits, in a queue or for its turn, goes no further."""
        self._is_left = True

    async def send(self, queue: str, message: Message, event_run: BrokeredEvent, branch: EventPart) -> None:
        """Put a message into a queue; waits while that is full."""
        id = f"{next(self._numbers):x}"
        self._out[id] = event_run, branch
        event_run.fork()
        try:
            await self._broker.publish(self._specs[queue], replace(message, id=id))
        except BaseException:
            self._out.pop(id, None)
            event_run.land()
            raise

    def _begin(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(
        self,
        number: int,
        event_run: BrokeredEvent,
        branch: EventPart,
        entering: Event | None,
        run: Callable[[], Awaitable[Answers]],
    ) -> None:
        """One event through one part, when it is its turn there; beside others where it enters, and steps allow it."""
        scheduler = self._schedulers[number]
        context = PartContext(self._broker, pack, event_run.event.id, "", session=self, event_run=event_run)
        answers = Answers()
        try:
            if event_run.error is None and scheduler.is_concurrent and entering is not None:
                answers = await self._unless_left(partial(scheduler.among, context, entering))
            elif event_run.error is None:
                answers = await scheduler.alone(context, partial(self._unless_left, run))
        except Exception as error:
            event_run.fail(error)
        branch.ended(answers, context.sent_branches, is_answering=self._parts[number].answers)
        event_run.land()

    async def _unless_left(self, run: Callable[[], Awaitable[Answers]]) -> Answers:
        if self._is_left:
            raise CancelledError
        return await run()

    async def _read(self, number: int, queue: str) -> None:
        scheduler = self._schedulers[number]
        async with aclosing(self._broker.read(self._specs[queue])) as deliveries:
            async for delivery in deliveries:
                if scheduler.is_concurrent:
                    await scheduler.room()
                    self._begin(self._work(number, queue, delivery))
                else:
                    await self._work(number, queue, delivery)

    async def _work(self, number: int, queue: str, delivery: Delivery) -> None:
        message = delivery.message
        event_run, branch = self._out.pop(message.id, (None, None))
        if event_run is not None and branch is not None:  # else it came a second time
            event = event_of(unpack(message.body), message.key, dict(message.headers))
            event.headers = dict(event_run.event.headers)
            await self._run(number, event_run, branch, event, partial(_resumed, self._parts[number].plan, queue, event))
        await delivery.ack()


async def _entered(plan: Plan, event: Event) -> Answers:
    return await plan.aanswers(event) if plan.is_async else await loop.on_thread(plan.handle, event)


async def _resumed(plan: Plan, step: str, event: Event) -> Answers:
    return await plan.aresume(step, event) if plan.is_async else await loop.on_thread(plan.resume, step, event)


def packed(queue: str, body: Any) -> bytes:
    """The body as it travels: plain data, arrays and tables; an error names the value that is none of these.

    >>> unpack(packed("cleaned", {"a": (1, 2)}))
    {'a': (1, 2)}
    """
    try:
        return pack(body)
    except UNFIT as error:
        raise NbgraphError(
            f'queue "{queue}" carries plain data only (no pickle), and {_culprit(body, "the body")}. Let the step '
            "before it hand on dicts, lists, texts, bytes, numbers, dates, arrays, tables, or put the queue elsewhere."
        ) from error


def _culprit(value: Any, place: str) -> str:
    """Which value in a body can't be packed, and of what type it is."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, item in items:
        try:
            pack(item)
        except UNFIT:
            deeper = f"{place}[{key!r}]"
            return f"{place} is nested too deeply" if place.count("[") > DEEPEST else _culprit(item, deeper)
    return f"{place} is a {type(value).__module__}.{type(value).__qualname__}"
