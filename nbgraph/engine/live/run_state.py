"""RunState: the state shared by the workers of a long-lived run: waiting events, held steps, events in flight."""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from nbgraph.engine.event_run import EventRun
from nbgraph.engine.live.pushed_event import WorkItem
from nbgraph.engine.live.regions import ENTRY, Regions
from nbgraph.engine.live.watcher import Watcher
from nbgraph.engine.plan import Plan
from nbgraph.graph.graph import Graph

WAITING = 1000  # events that may wait to enter before `push` blocks


@dataclass(eq=False)
class HeldStep:
    """A held step: the items that wait before it, and the region each came from."""

    parked: list[tuple[str, WorkItem]] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Flush:
    """Not an event: once none is in flight, steps release what they hold."""

    released: Future[list[Any]]


class RunState:
    """All attributes are read and changed under the condition `changed`, which is notified of every change."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.watcher: Watcher | None = None
        self.changed = threading.Condition()
        self.inboxes: dict[str, deque[WorkItem | Flush]] = {ENTRY: deque()}
        self.held: dict[str, HeldStep] = {}
        self.under_way = 0  # pushed events that are not settled
        self.is_paused = False
        self.is_closed = False
        self.is_left = False  # the caller has left: events that would wait are cancelled
        self._regions: Regions | None = None

    def plan(self) -> Plan:
        """The plan of the graph as it is now; the one that is watched, where somebody does."""
        plan = self.graph.plan()
        return plan if self.watcher is None else self.watcher.twin(plan)

    def regions(self, plan: Plan) -> Regions:
        """The regions of the plan; cached for as long as the plan is current."""
        if self._regions is None or self._regions.plan is not plan:
            self._regions = Regions(plan)
        return self._regions

    def open(self, region: str) -> None:
        """Create the inbox of a region."""
        with self.changed:
            self.inboxes.setdefault(region, deque())

    def close(self) -> None:
        """End all workers: nothing comes any more, and nothing waits."""
        with self.changed:
            self.is_closed = True
            self.changed.notify_all()

    def leave(self) -> None:
        """Cancel waiting events, now and from now on; return when events in hand have ended."""
        with self.changed:
            self.is_left = True
            waiting = [item for inbox in self.inboxes.values() for item in inbox]
            waiting += [item for held in self.held.values() for _, item in held.parked]
            for inbox in self.inboxes.values():
                inbox.clear()
            self.held.clear()
            self.changed.notify_all()
        for item in waiting:
            item.released.set_result([]) if isinstance(item, Flush) else item.cancel()
        with self.changed:
            self.changed.wait_for(lambda: not self.under_way)

    def pause(self, *, is_paused: bool) -> None:
        """Whether pushed events wait instead of entering."""
        with self.changed:
            self.is_paused = is_paused
            self.changed.notify_all()

    def drained(self) -> bool:
        """Wait until no event is in flight; False if events wait for `resume` or `release`."""
        with self.changed:
            self.changed.wait_for(lambda: not self.under_way or self._is_stuck())
            return not self.under_way

    def put(self, region: str, item: WorkItem | Flush) -> None:
        """Put an item into an inbox; the producer has checked for room before it took its event."""
        with self.changed:
            if not self.is_left:
                self._append(self.inboxes[region], item)
                return
        item.released.set_result([]) if isinstance(item, Flush) else item.cancel()

    def push(self, item: WorkItem) -> None:
        """Let an event enter as soon as there is room."""
        with self.changed:
            inbox = self.inboxes[ENTRY]
            if len(inbox) >= WAITING:
                self.changed.wait_for(lambda: len(inbox) < WAITING)
            self.under_way += 1
        self.put(ENTRY, item)

    def ended(self, _: EventRun) -> None:
        """Count an event that has ended."""
        with self.changed:
            self.under_way -= 1
            if self.under_way <= len(self.inboxes[ENTRY]):  # else nobody waits for this change
                self.changed.notify_all()

    def take(self, region: str, due: float | None) -> WorkItem | Flush | None:
        """The next item of a region; None when the run is closed, or at the time `due`, whichever comes first."""
        with self.changed:
            while not self._may_take(region):
                left = None if due is None else due - time.monotonic()
                if self.is_closed or (left is not None and left <= 0):
                    return None
                self.changed.wait(left)
            inbox = self.inboxes[region]
            item = inbox.popleft()
            self._notify_of_room(region, len(inbox))
            return item

    def park(self, region: str, item: WorkItem) -> bool:
        """Make an item wait before its step, if that is held."""
        with self.changed:
            held = self.held.get(item.step or "")
            if held is not None:
                held.parked.append((region, item))
                self.changed.notify_all()
            return held is not None

    def hold(self, step: str) -> None:
        with self.changed:
            self.held.setdefault(step, HeldStep())

    def release(self, step: str) -> None:
        """Let the items that wait before the step go on, ahead of later ones."""
        with self.changed:
            held = self.held.pop(step, HeldStep())
            for region, item in reversed(held.parked):
                self.inboxes[region].appendleft(item)
            self.changed.notify_all()

    def waiting(self) -> dict[str, int]:
        """How many events wait: in each queue, and before each step that is held."""
        with self.changed:
            queued = {region: len(inbox) for region, inbox in self.inboxes.items() if region != ENTRY}
            return queued | {step: len(held.parked) + queued.get(step, 0) for step, held in self.held.items()}

    def _is_stuck(self) -> bool:
        """Whether events wait that only `resume` or `release` can let go on."""
        parked = any(held.parked or self.inboxes.get(step) for step, held in self.held.items())
        return parked or (self.is_paused and bool(self.inboxes[ENTRY]))

    def _notify_of_room(self, region: str, left: int) -> None:
        """Wake threads that wait for room: at a queue as soon as it is not full, at the entry when it is half empty.

        Else `push` and the entry's worker would wake each other for every single event.
        """
        if left == WAITING // 2 if region == ENTRY else left + 1 >= self._size(region):
            self.changed.notify_all()

    def _append(self, inbox: deque[WorkItem | Flush], item: WorkItem | Flush) -> None:
        inbox.append(item)
        if len(inbox) == 1:  # else the worker has work, or waits for something else
            self.changed.notify_all()

    def _size(self, region: str) -> int:
        return WAITING if region == ENTRY or self._regions is None else self._regions.queues.get(region, WAITING)

    def _may_take(self, region: str) -> bool:
        inbox = self.inboxes[region]
        if not inbox:
            return False
        if isinstance(inbox[0], Flush):
            return self.under_way == sum(not isinstance(item, Flush) for item in inbox)
        if inbox[0].step not in (None, region):  # it was held and has been released
            return True
        return not self._is_stopped(region) and self._has_room_behind(region)

    def _is_stopped(self, region: str) -> bool:
        """Whether a region is paused or held; before a later held step one event waits, the others in the queue."""
        if region == ENTRY and self.is_paused:
            return True
        return bool(self.held) and (region in self.held or self._parked(region) >= (WAITING if region == ENTRY else 1))

    def _parked(self, region: str) -> int:
        return sum(one == region for held in self.held.values() for one, _ in held.parked)

    def _has_room_behind(self, region: str) -> bool:
        behind = self._regions.behind.get(region, ()) if self._regions is not None else ()
        return not behind or all(len(self.inboxes.get(queue, ())) < self._size(queue) for queue in behind)
