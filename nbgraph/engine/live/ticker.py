"""Ticker: the thread that pushes the events of schedules into a long-lived run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime

from nbgraph.engine.plan import Plan
from nbgraph.event import Event
from nbgraph.steps.sources.schedule import Schedule


def schedules_of(plan: Plan) -> dict[str, Schedule]:
    """The schedules at the start of a plan, by the names of their steps."""
    found = {name: plan.steps[name].call.target for name in plan.starts}
    return {name: target for name, target in found.items() if isinstance(target, Schedule)}


class Ticker:
    """Pushes each tick of a schedule from now on, until it is closed."""

    def __init__(self, schedule: Schedule, push: Callable[[Event], object]) -> None:
        self._schedule, self._push = schedule, push
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="nbgraph-schedule", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        last = datetime.now(UTC)
        while not self._closed.wait(self._schedule.seconds_until_next(last)):
            now = datetime.now(UTC)
            for event in self._schedule.ticks(last, now):
                if self._closed.is_set():
                    return
                self._push(event)
            last = now

    def close(self) -> None:
        """Stop ticking."""
        self._closed.set()
        self._thread.join()
