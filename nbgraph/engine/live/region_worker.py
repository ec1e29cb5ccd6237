"""A Section: the thread that works on one region of a long-lived run, event by event."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import Any

from nbgraph.engine import loop
from nbgraph.engine.live.event_run import EventRun, Parking, WorkItem
from nbgraph.engine.live.regions import Regions
from nbgraph.engine.live.run_state import Flush, RunState
from nbgraph.engine.plan import Plan, PlanStep
from nbgraph.engine.schedule.event_state import EventState
from nbgraph.engine.schedule.scheduler import Scheduler
from nbgraph.engine.schedule.stream import stream
from nbgraph.errors import NbgraphError, StepError
from nbgraph.event import Event

_logger = logging.getLogger("nbgraph.run")


class RegionTurns:
    """Whose turn it is at the steps that several sections reach: no step ever sees two events at once."""

    def __init__(self) -> None:
        self._locks: dict[str, threading.Lock] = {}
        self._async: dict[str, asyncio.Lock] = {}

    def at(self, step: str, plan: Plan) -> AbstractAsyncContextManager[Any]:
        """Async sections share one thread, which must not be kept waiting."""
        if plan.is_async:
            return self._async.setdefault(step, asyncio.Lock())
        return _WorkTurn(self._locks.setdefault(step, threading.Lock()))


class _WorkTurn:
    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock

    async def __aenter__(self) -> None:
        self._lock.acquire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock.release()


class RegionWorker:
    """See the module's docstring. `needs` makes sure that the section behind a queue is there."""

    def __init__(self, course: RunState, region: str, turns: RegionTurns, needs: Callable[[str], None]) -> None:
        self._course, self._region, self._turns, self._needs = course, region, turns, needs
        self._regions: Regions | None = None  # of the plan that the last event ran by
        self._conductor: tuple[Plan, Scheduler] | None = None
        self._loop: loop.LoopThread | None = None  # where events are conducted, once one is
        self._conducting: list[asyncio.Task[Any]] = []
        name = f"nbgraph-{course.graph.name}-{region}".rstrip("-")
        self._thread = threading.Thread(target=self._serve, daemon=True, name=name)
        self._thread.start()

    def join(self) -> None:
        """Wait for its end, once the course is closed."""
        self._thread.join()
        for task in self._conducting:
            task.get_loop().call_soon_threadsafe(task.cancel)
        if self._loop is not None:
            loop.release(self._loop)

    def _serve(self) -> None:
        course = self._course
        while True:
            item = course.take(self._region, self._due())
            if item is None and course.is_closed:
                return
            if item is None:
                self._release()
            elif isinstance(item, Flush):
                _settle(item.released, lambda: list(stream(course.graph.plan(), ())))
            elif item.has_begun or item.journey.future.set_running_or_notify_cancel():
                self._take(item)
            else:
                item.journey.cancel()

    def _take(self, item: WorkItem) -> None:
        journey = item.journey
        if journey.error is not None:  # another branch of it has failed: nothing more runs
            journey.land()
            return
        try:
            plan = self._course.graph.plan()
            regions = self._regions = self._course.regions(plan)
            if plan.routing is not None and not item.has_begun:
                plan.routing.admit(item.event)
            if item.step is not None and item.step not in plan.steps:
                raise NbgraphError(f'Step "{item.step}" was taken out of the graph while an event waited before it.')
        except Exception as error:  # the graph was changed to something that can't run
            journey.land(error=error)
            return
        may_wait = bool(regions.queues or self._course.held or item.has_begun)
        if plan.is_staged:
            self._conduct(plan, regions, item, is_walked=may_wait or bool(plan.observers))
        elif may_wait:
            self._walk(plan, regions, item)
        else:
            self._run(plan, journey)

    def _run(self, plan: Plan, journey: EventRun) -> None:
        """The whole way at once: nothing lies between."""
        try:
            answer = loop.complete(plan.ahandle(journey.event)) if plan.is_async else plan.answer_to(journey.event)
        except BaseException as error:
            journey.land(error=error)
        else:
            journey.answer(answer)

    def _walk(self, plan: Plan, regions: Regions, item: WorkItem) -> None:
        """Move by move, to where the event waits or ends."""
        stops = self._stops(plan, regions, item)
        try:
            moves = self._moves(plan, regions, stops)
            if plan.is_async:
                loop.complete(moves)
            else:
                loop.without_waiting(moves)
        except StepError as error:
            item.journey.land(stops.walk.answers, plan.told(error, stops.walk.answers))
        except BaseException as error:
            item.journey.land(stops.walk.answers, error)
        else:
            item.journey.land(stops.walk.answers)

    async def _moves(self, plan: Plan, regions: Regions, stops: Parking) -> None:
        walk = stops.walk
        try:
            while walk.waiting or (stops.is_last and walk.has_more()):
                if stops.has_parked():
                    continue
                if walk.waiting[-1].step in regions.shared:
                    async with self._turns.at(walk.waiting[-1].step, plan):
                        await walk.advance()
                else:
                    await walk.advance()
        finally:
            await walk.leave()

    def _stops(self, plan: Plan, regions: Regions, item: WorkItem) -> Parking:
        if not item.has_begun:
            item.journey.begin(plan)
        walk, first = item.walked(plan)
        return Parking(walk, item.journey, first, partial(self._parked, regions))

    def _parked(self, regions: Regions, item: WorkItem) -> bool:
        """Whether the event waits now instead of going on: in a queue, or before a step that is held."""
        step = item.step or ""
        if step not in regions.queues:
            return self._course.park(self._region, item)
        if regions.plan.copier is not None:  # while it waits, who gave it may change what it kept of it
            item.event = item.event.with_body(regions.plan.copier(item.event.body))
        self._needs(step)
        self._course.put(step, item)
        return True

    # --- what steps let go by themselves ---

    def _holders(self) -> list[PlanStep]:
        """The steps here that let something go by time, in the plan that the last event ran by."""
        regions = self._regions
        return regions.holders.get(self._region, []) if regions is not None else []

    def _due(self) -> float | None:
        holders = self._holders()
        return min((due for step in holders if (due := step.due()) is not None), default=None) if holders else None

    def _release(self) -> None:
        now = time.monotonic()
        for step in self._holders():
            due = step.due()
            if due is not None and due <= now and step.call.overdue is not None:
                for chunk in step.call.overdue():
                    self._let_go(step.name, chunk)

    def _let_go(self, step: str, chunk: Any) -> None:
        assert self._regions is not None
        event = chunk if isinstance(chunk, Event) else Event(chunk)
        future: Future[Any] = Future()
        future.add_done_callback(partial(_told, self._course.graph.name))
        with self._course.changed:
            self._course.under_way += 1
        journey = EventRun(event, future, self._course.ended)
        self._take(WorkItem(journey, event, walk=self._regions.plan.resumed(step, event, chunk)))

    # --- steps that have several calls under way ---

    def _conduct(self, plan: Plan, regions: Regions, item: WorkItem, *, is_walked: bool) -> None:
        if self._loop is None:
            self._loop = loop.responsive()
        journey = item.journey
        ticket = EventState(item.event, lambda ticket: journey.land(ticket, ticket.error))
        if is_walked:
            ticket.stops = self._stops(plan, regions, item)
            ticket.walk = ticket.stops.walk
        else:
            journey.begin(plan)
        self._loop.submit(self._admit(plan, ticket)).result()

    async def _admit(self, plan: Plan, ticket: EventState) -> None:
        """Let the event enter beside those under way, as soon as there is room."""
        if self._conductor is None or self._conductor[0] is not plan:
            self._conductor = (plan, Scheduler(plan, asyncio.Event()))
            self._conducting.append(loop.background(_conducted(self._conductor[1])))
        conductor = self._conductor[1]
        while not conductor.has_room():
            await conductor.room()
        await conductor.begin(ticket)


async def _conducted(conductor: Scheduler) -> None:
    try:
        while True:
            await conductor.progress()
    finally:
        conductor.close()


def _settle(future: Future[Any], work: Callable[[], Any]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)


def _told(graph: str, future: Future[Any]) -> None:
    """Nobody waits for what a step lets go: the error stream and the log know of its errors."""
    error = future.exception()
    if error is not None:
        _logger.error('What a step of graph "%s" let go came to an error', graph, exc_info=error)
