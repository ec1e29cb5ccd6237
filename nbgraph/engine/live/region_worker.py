"""RegionWorker: the thread that works on one region of a long-lived run, event by event."""

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
from nbgraph.engine.live.pushed_event import PushedEvent, RegionParking, WorkItem
from nbgraph.engine.live.regions import Regions
from nbgraph.engine.live.run_state import Flush, RunState
from nbgraph.engine.plan import Plan, PlanStep
from nbgraph.engine.schedule.scheduler import ScheduledEvent, Scheduler
from nbgraph.engine.schedule.stream import stream
from nbgraph.errors import NbgraphError, StepError
from nbgraph.event import Event

_logger = logging.getLogger("nbgraph.run")


class RegionTurns:
    """Locks for steps shared by several workers: no step handles two events at once."""

    def __init__(self) -> None:
        self._locks: dict[str, threading.Lock] = {}
        self._async: dict[str, asyncio.Lock] = {}

    def at(self, step: str, plan: Plan) -> AbstractAsyncContextManager[Any]:
        """Async workers share one thread, which must not block."""
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
    """See the module's docstring. `needs` starts the worker behind a queue, unless it runs."""

    def __init__(self, state: RunState, region: str, turns: RegionTurns, needs: Callable[[str], None]) -> None:
        self._state, self._region, self._turns, self._needs = state, region, turns, needs
        self._regions: Regions | None = None  # of the plan of the last event
        self._scheduler: tuple[Plan, Scheduler] | None = None
        self._loop: loop.LoopThread | None = None  # where concurrent steps are scheduled; created lazily
        self._scheduling: list[asyncio.Task[Any]] = []
        name = f"nbgraph-{state.graph.name}-{region}".rstrip("-")
        self._thread = threading.Thread(target=self._serve, daemon=True, name=name)
        self._thread.start()

    def join(self) -> None:
        """Wait until it has ended, after the state was closed."""
        self._thread.join()
        for task in self._scheduling:
            task.get_loop().call_soon_threadsafe(task.cancel)
        if self._loop is not None:
            loop.release(self._loop)

    def _serve(self) -> None:
        state = self._state
        while True:
            item = state.take(self._region, self._due())
            if item is None and state.is_closed:
                return
            if item is None:
                self._release()
            elif isinstance(item, Flush):
                _set_result(item.released, lambda: list(stream(state.plan(), ())))
            elif item.has_begun or item.pushed.future.set_running_or_notify_cancel():
                self._take(item)
            else:
                item.pushed.cancel()

    def _take(self, item: WorkItem) -> None:
        pushed = item.pushed
        if pushed.error is not None:  # another branch has failed: nothing more runs
            pushed.land()
            return
        try:
            plan = self._state.plan()
            regions = self._regions = self._state.regions(plan)
            if plan.routing is not None and not item.has_begun:
                plan.routing.admit(item.event)
            if item.step is not None and item.step not in plan.steps:
                raise NbgraphError(f'Step "{item.step}" was removed from the graph while an event waited before it.')
        except Exception as error:  # the changed graph can't run
            pushed.land(error=error)
            return
        may_wait = bool(regions.queues or self._state.held or item.has_begun)
        if plan.is_staged:
            self._schedule(plan, regions, item, is_walked=may_wait or bool(plan.observers))
        elif may_wait:
            self._interpret(plan, regions, item)
        else:
            self._run(plan, pushed)

    def _run(self, plan: Plan, pushed: PushedEvent) -> None:
        """Run an event that never waits from begin to end."""
        if self._state.watcher is not None:
            plan = self._state.watcher.drawn(plan)
        try:
            answer = loop.complete(plan.ahandle(pushed.event)) if plan.is_async else plan.answer_to(pushed.event)
        except BaseException as error:
            pushed.land(error=error)
        else:
            pushed.answer(answer)

    def _interpret(self, plan: Plan, regions: Regions, item: WorkItem) -> None:
        """Run the event step by step until it waits or ends."""
        parking = self._parking(plan, regions, item)
        try:
            moves = self._moves(plan, regions, parking)
            if plan.is_async:
                loop.complete(moves)
            else:
                loop.without_waiting(moves)
        except StepError as error:
            item.pushed.land(plan.reported(error, parking.interpreter.answers), parking.interpreter.answers)
        except BaseException as error:
            item.pushed.land(error, parking.interpreter.answers)
        else:
            item.pushed.land(answers=parking.interpreter.answers)

    async def _moves(self, plan: Plan, regions: Regions, parking: RegionParking) -> None:
        interpreter = parking.interpreter
        try:
            while interpreter.waiting or (parking.is_last and interpreter.has_more()):
                if parking.has_parked():
                    continue
                if interpreter.waiting[-1].step in regions.shared:
                    async with self._turns.at(interpreter.waiting[-1].step, plan):
                        await interpreter.advance()
                else:
                    await interpreter.advance()
        finally:
            await interpreter.leave()

    def _parking(self, plan: Plan, regions: Regions, item: WorkItem) -> RegionParking:
        if not item.has_begun:
            item.pushed.begin(plan)
        interpreter, first = item.interpreter_of(plan)
        return RegionParking(interpreter, item.pushed, first, partial(self._parked, regions))

    def _parked(self, regions: Regions, item: WorkItem) -> bool:
        """Whether the event has to wait here: in a queue, or before a held step."""
        step = item.step or ""
        if step not in regions.queues:
            return self._state.park(self._region, item)
        if regions.plan.copier is not None:  # a copy: while it waits, its giver may change the body
            item.event = item.event.with_body(regions.plan.copier(item.event.body))
        self._needs(step)
        self._state.put(step, item)
        return True

    # --- releases by time ---

    def _holders(self) -> list[PlanStep]:
        """The steps here that release by time, in the plan of the last event."""
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
                    self._run_released(step.name, chunk)

    def _run_released(self, step: str, chunk: Any) -> None:
        assert self._regions is not None
        event = chunk if isinstance(chunk, Event) else Event(chunk)
        future: Future[Any] = Future()
        future.add_done_callback(partial(_log_error, self._state.graph.name))
        with self._state.changed:
            self._state.under_way += 1
        pushed = PushedEvent(event, future, self._state.ended)
        self._take(WorkItem(pushed, event, interpreter=self._regions.plan.resumed(step, event, chunk)))

    # --- concurrent steps ---

    def _schedule(self, plan: Plan, regions: Regions, item: WorkItem, *, is_walked: bool) -> None:
        if self._loop is None:
            self._loop = loop.responsive()
        pushed = item.pushed
        run = ScheduledEvent(item.event, lambda run: pushed.land(run.error, run.answers))
        if is_walked:
            run.parking = parking = self._parking(plan, regions, item)
            run.interpret(parking.interpreter)
        else:
            pushed.begin(plan)
        self._loop.submit(self._admit(plan, run)).result()

    async def _admit(self, plan: Plan, run: ScheduledEvent) -> None:
        """Let the event enter beside those in flight, as soon as there is room."""
        if self._scheduler is None or self._scheduler[0] is not plan:
            self._scheduler = (plan, Scheduler(plan, asyncio.Event()))
            self._scheduling.append(loop.background(_progressing(self._scheduler[1])))
        scheduler = self._scheduler[1]
        while not scheduler.has_room():
            await scheduler.room()
        await scheduler.begin(run)


async def _progressing(scheduler: Scheduler) -> None:
    try:
        while True:
            await scheduler.progress()
    finally:
        scheduler.close()


def _set_result(future: Future[Any], work: Callable[[], Any]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)


def _log_error(graph: str, future: Future[Any]) -> None:
    """Errors of released events have no future: they go to the error stream and the log."""
    error = future.exception()
    if error is not None:
        _logger.error('What a step of graph "%s" released failed', graph, exc_info=error)
