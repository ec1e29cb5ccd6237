"""RunActivity: the one observer behind all live views of a graph; it counts on the run's thread, sends on its own."""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from nbgraph.debug.breakpoint import Breakpoint
from nbgraph.debug.console import STREAMS, Console
from nbgraph.debug.redact import Redaction
from nbgraph.engine.interpret.observer import Observer, StepRun
from nbgraph.errors import NbgraphError, StepError
from nbgraph.event import Event
from nbgraph.graph.graph import Graph
from nbgraph.handler import OnExit
from nbgraph.widgets.live.event_history import EventHistory
from nbgraph.widgets.live.queues import QueueStatus, StreamProgress, hold, lines
from nbgraph.widgets.live.rate_limit import Throttle, TimeBudget
from nbgraph.widgets.live.step_record import NOBODY, InnerCall, StepRecord, first_line
from nbgraph.widgets.values.preview import BYTES, Shown, shown

PERIOD = 0.04  # seconds between two messages: 25 a second
PAUSE = 0.5  # seconds without an event after which the next one begins a new picture
RUNNING_BYTES = 16_000  # bytes of a preview that is made while a graph runs
STILL = 0.7  # seconds without a step after which nothing runs, whatever is under way
LOOK = 0.2  # seconds between two readings of queues


@dataclass(slots=True)
class ActivityChange:
    """What is new since the last message: records of steps, counts of lines, whether events are under way."""

    steps: dict[str, StepRecord] = field(default_factory=dict)
    lines: dict[tuple[str, str], int] = field(default_factory=dict)
    is_running: bool = False
    is_redrawn: bool = False


_monitors: WeakKeyDictionary[Graph, RunActivity] = WeakKeyDictionary()  # a graph is plain data and can't hold its own
Subscriber = Callable[[ActivityChange], None]


class RunActivity(Observer):
    """All views of a graph share one; it leaves the graph when the last of them goes.

    >>> graph = Graph("shout")
    >>> _ = graph.to(str.upper)
    >>> leave = RunActivity.on(graph).subscribe(lambda change: None)
    >>> _ = graph.run("a")
    >>> RunActivity.on(graph).states()
    {'upper': 'done'}
    >>> leave()
    >>> graph.observers
    []
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = weakref.ref(graph)
        self.records: dict[str, StepRecord] = {}
        self.lines: dict[tuple[str, str], int] = {}
        self.breakpoints: dict[str, Breakpoint] = {}
        self.history = EventHistory()
        self._subscribers: list[Subscriber] = []
        self._followers: deque[Subscriber] = deque(maxlen=4)
        self._lock = threading.Lock()
        self._change = ActivityChange()
        self.pins: dict[str, Any] = {}
        self.progress = StreamProgress()
        self.redaction = Redaction(graph)
        self._consoles: dict[int, Console] = {}  # of the calls under way, by their runs' ids
        self._under_way = 0
        self._moved = 0.0
        self._budget = TimeBudget()
        self._throttle = Throttle(self._publish, PERIOD)
        self._end_listening: Callable[[], None] | None = None

    @classmethod
    def on(cls, graph: Graph) -> RunActivity:
        """The one monitor of the graph; it observes while it has subscribers, and keeps breakpoints without."""
        monitor = _monitors.get(graph)
        if monitor is None:
            monitor = _monitors[graph] = cls(graph)
        return monitor

    @property
    def graph(self) -> Graph:
        graph = self._graph()
        if graph is None:
            raise ReferenceError("The graph that was monitored is gone.")
        return graph

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Have changes sent, on another thread, up to 25 times a second; returns what ends that."""
        with self._lock:
            self._subscribers.append(subscriber)
            if self._end_listening is None:
                self._end_listening = self.graph.on_change(self._redraw)
                self.graph.observers.append(self)
        return lambda: self._unsubscribe(subscriber)

    def follow(self, follower: Subscriber) -> None:
        """Have changes sent while somebody subscribes; the oldest followers (pictures of old cells) are dropped."""
        with self._lock:
            self._followers.append(follower)

    def _unsubscribe(self, subscriber: Subscriber) -> None:
        with self._lock:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)
            if not self._subscribers and self._end_listening is not None:
                self._end_listening()
                self._end_listening = None
                graph = self._graph()
                if graph is not None:
                    graph.observers.remove(self)

    def states(self) -> dict[str, str]:
        """The state of every step that has one."""
        with self._lock:
            return {name: record.now().state for name, record in self.records.items()}

    def record(self, step: str) -> StepRecord | None:
        return self.records.get(step)

    def events(self, text: str, *, only_failed: bool, slower: float) -> list[dict[str, Any]]:
        """The last events that fit, the newest first."""
        with self._lock:
            return self.history.find(text, only_failed=only_failed, slower=slower)

    def path(self, id: str) -> list[dict[str, Any]]:
        """The steps of one event."""
        with self._lock:
            return self.history.path(id)

    def on_line(self, is_line: Callable[[str, str], bool]) -> list[dict[str, Any]]:
        """The last events on an arrow."""
        with self._lock:
            return self.history.on_line(is_line)

    def mark(self, steps: Iterable[str], state: str, note: str = "") -> None:
        """Give steps a state that no run gave them: changed, pinned, paused."""
        with self._lock:
            for name in steps:
                record = self._record(name)
                record.state, record.note = state, note
        self._throttle.request()

    def break_at(self, step: str, breakpoint: Breakpoint | None) -> None:
        """Set or clear the breakpoint of a step; kept by name, so it outlives a new cell and a new view."""
        if breakpoint is not None:
            self.breakpoints[step] = breakpoint
        else:
            self.breakpoints.pop(step, None)
        self._throttle.request()

    def flush(self) -> bool:
        """Wait until all subscribers have every change."""
        return self._throttle.flush()

    def reading(self, total: int | None) -> None:
        with self._lock:
            self.progress.begin(total)

    def started(self, event: Event) -> None:
        with self._lock:
            if not self._is_moving(PAUSE):
                self._forget_states()
                self._budget.fill()  # all values of an event that comes alone are kept
            if not self._under_way:
                STREAMS.listen()
            self._under_way += 1
            self.progress.enter()
            self._moved = time.monotonic()
            self.history.begin(event.id)
        self._throttle.request()

    def before(self, move: StepRun) -> None:
        self.redaction.learn(move.input)
        input = self._preview((move.step, "input"), move.input)
        with self._lock:
            record = self._record(move.step)
            record.begin(move, input)
            inside = record.inside
        move.listen(lambda name, given: _record_call(inside, name, given))
        console = self._consoles[id(move)] = Console(self)
        console.begin()
        self._throttle.request()

    def after(self, move: StepRun) -> None:
        self.redaction.learn(move.output)
        output = self._preview((move.step, "output"), move.output) if move.error is None else None
        error, printed = self.error_line(move.error), self._printed(move)
        with self._lock:
            self._moved = time.monotonic()
            record = self._record(move.step)
            record.end(move, output, error, printed)
            self.history.add_stop(move, record.input, output, error, printed)
            for target in move.edges:
                line = (move.step, target)
                self._change.lines[line] = self.lines[line] = self.lines.get(line, 0) + 1
        self._throttle.request()

    def finished(self, event: Event, answers: Sequence[Any], error: StepError | None) -> None:
        with self._lock:
            if self._under_way == 1:
                STREAMS.leave()
                self._consoles.clear()
            self._under_way = max(0, self._under_way - 1)
            self.history.end(event.id, self.error_line(error))
            self.progress.done()
            self._moved = time.monotonic()
            if self._under_way == 0:
                for record in self.records.values():
                    record.active = 0
        self._throttle.request()

    def hold(self, step: str, *, is_held: bool) -> None:
        """Let events wait before one step of the graph's runs while the others go on; or release them."""
        hold(self.graph, step, is_held=is_held)
        self._throttle.request()

    def everything(self) -> ActivityChange:
        """All that is known, for a view that has just opened."""
        with self._lock:
            return ActivityChange(dict(self.records), dict(self.lines), self._is_running())

    def _record(self, step: str) -> StepRecord:
        record = self.records.get(step)
        if record is None:
            record = self.records[step] = StepRecord()
        self._change.steps[step] = record
        return record

    def _forget_states(self) -> None:
        """Reset the states that the last events left; counts stay."""
        for name, record in self.records.items():
            if record.state != "changed":  # that stays until the step has run as it is now
                record.state, record.note = "idle", ""
                self._change.steps[name] = record

    def _printed(self, move: StepRun) -> str:
        """What the call printed; of a step that goes on giving results, its first one."""
        console = self._consoles.pop(id(move), None)
        if console is None:
            return ""
        console.end()
        return self.redaction.text(console.take())

    def _preview(self, of: tuple[str, str], value: Any) -> Shown | None:
        return self._budget.spend_on(of, lambda: self.shown(value, RUNNING_BYTES))

    def shown(self, value: Any, limit: int = BYTES) -> Shown:
        """The value for a view, with dots for the fields that the graph redacts."""
        return shown(value, limit, self.redaction)

    def error_line(self, error: BaseException | None) -> str:
        """An error in one line; empty where there is none."""
        return self.redaction.text(first_line(error)) if error is not None else ""

    def _redraw(self) -> None:
        with self._lock:
            self._change.is_redrawn = True
        self._throttle.request()

    def _publish(self) -> float | None:
        graph = self._graph()
        if graph is None:  # it was freed while the throttle waited
            return None
        queued = self._lines(graph)
        with self._lock:
            for name in {*queued, *(name for name, record in self.records.items() if record.line != NOBODY)}:
                line = queued.get(name, NOBODY)
                if name not in self.records or self.records[name].line != line:
                    self._record(name).line = line
            change, self._change = self._change, ActivityChange()
            change.is_running = self._is_running()
            subscribers = [*self._subscribers, *self._followers]
            if change.is_redrawn:
                names = {step.name for step in graph.steps}
                self.records = {name: one for name, one in self.records.items() if {name, name.split("/")[0]} & names}
        for subscriber in subscribers:
            subscriber(change)
        return LOOK if self._subscribers and (queued or change.is_running) else None

    def _lines(self, graph: Graph) -> dict[str, QueueStatus]:
        try:
            return lines(graph)
        except NbgraphError:  # it was changed to a graph that can't run
            return {}

    def _is_running(self) -> bool:
        """Events are under way, and move: one that a debugger stands with does not."""
        return self._under_way > 0 and self._is_moving(STILL)

    def _is_moving(self, seconds: float) -> bool:
        if time.monotonic() - self._moved < seconds:
            return True
        return any(record.active for record in self.records.values())


def _record_call(inside: list[InnerCall], name: str, given: Any) -> OnExit:
    """A call that a step makes itself, as a router one of its routes."""
    inner, began = InnerCall(name, given), time.perf_counter()
    inside.append(inner)

    def on_leave(output: Any, error: BaseException | None) -> None:
        inner.output, inner.error = output, error
        inner.milliseconds = round((time.perf_counter() - began) * 1000, 3)

    return on_leave
