"""Counting: what the taps of a plan keep becomes windows of counts, on a thread that no event waits for.

Where it would take more than its share of the time, fewer events are looked at: of each event all edges, or none.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nbgraph.engine.compile.plan_copy import with_taps
from nbgraph.engine.plan import Plan
from nbgraph.monitor.baseline import Baseline, EdgeRecord, visible
from nbgraph.monitor.counting.edges import Ends, edges_of, ends_of, fields_at, name_of, watched_edges
from nbgraph.monitor.counting.graph_tally import GraphTally
from nbgraph.monitor.counting.graph_window import GraphWindow
from nbgraph.monitor.counting.segment import SegmentTally
from nbgraph.monitor.counting.step_tally import StepTally
from nbgraph.monitor.counting.tally import EdgeCounts, EdgeTally, Kept
from nbgraph.monitor.counting.tap import TapBuffer
from nbgraph.monitor.monitor import Monitor
from nbgraph.monitor.profile import Profile
from nbgraph.steps.windows.spec import duration

FIRST, LONGEST = 0.02, 0.25  # seconds between two looks
LEARNED_WINDOWS = 25  # of a baseline that the first events become
PER_EVENT = 4e-7  # seconds that an event's own thread takes for an edge
LEAST_RATE = 0.001
BUSY = 0.2  # a process that works for less of the time is not held up by counting, but by whom it waits for
Looked = Callable[[str, Sequence[Kept]], None]  # who else looks at what went along an edge


class Counting:
    """The windows of a graph's edges, as they close; `closed` gets them, `looked` gets all bodies.

    `is_shared`: other processes watch the same graph. Then windows of so many events are known by the time at which
    they close, and `agree` makes one baseline of those that each has learned (None: is there one already?). `measured`
    gets windows of the whole graph, where a rule looks at them.
    """

    def __init__(
        self,
        monitor: Monitor,
        closed: Callable[[list[EdgeCounts]], None],
        looked: Looked,
        redacted: frozenset[str] = frozenset(),
        agree: Callable[[Baseline | None], Baseline | None] = lambda found: found,
        measured: Callable[[list[GraphWindow]], None] = lambda windows: None,
        is_shared: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._monitor, self._closed, self._looked = monitor, closed, looked
        self._redacted, self._clock = redacted, clock
        self._agree, self._is_shared = agree, is_shared
        self._every = duration(monitor.every) if isinstance(monitor.every, str) else None
        self._longest = LONGEST if self._every is None else min(LONGEST, self._every / 4)
        self._lock = threading.RLock()
        self._buffers: dict[Ends, TapBuffer] = {}
        self._twin: tuple[Plan, Plan] | None = None
        self._early: dict[str, list[Kept]] = {}  # what waits for the baseline to be made of it
        self.tallies: dict[str, EdgeTally] = {}
        self._segments: dict[str, SegmentTally] = {}
        self._seen: dict[str, int] = {}  # events that closed windows of an edge had
        self._steps = StepTally()
        self._has_steps = any(rule.has_steps for rule in monitor.watched_rules)
        self._measured = measured
        self._graph = GraphTally(self._steps, monitor.beat, clock()) if monitor.measured_rules else None
        self._start = self._window()
        self.baseline = monitor.baseline
        self.rate = float(monitor.sample)
        self.passed = self._drawn = 0
        self._before = (0, 0)
        self._used = 0.0  # seconds that the last look took
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True, name="nbgraph-monitor")
        self._thread.start()

    # --- on the event's thread ---

    def twin(self, plan: Plan) -> Plan:
        """The plan with a tap at each watched edge; the same one as long as the plan is."""
        known = self._twin
        if known is None or known[0] is not plan:
            with self._lock:
                edges = watched_edges(plan, self._monitor)
                taps = {ends: self._buffers.setdefault(ends, TapBuffer()).tap for ends in edges}
                if self._graph is not None and plan.starts:
                    entry = ("", plan.starts[0])  # an event enters at all of them
                    taps[entry] = self._graph.entering(taps.get(entry))
                watched = self._steps.watching(plan, steps_of(edges_of(plan))) if self._has_steps else plan
                known = self._twin = (plan, with_taps(watched, taps))
        return known[1]

    def drawn(self, twin: Plan) -> Plan:
        """The twin, or the plan that it was made of, where the next event is left out."""
        self.passed += 1
        if self.rate >= 1 or random.random() < self.rate or self._twin is None:
            self._drawn += 1
            return twin
        return self._twin[0]

    # --- on the counting thread ---

    def flush(self) -> None:
        """Count all that went along so far; windows whose time is over close."""
        with self._lock:
            began, events = time.thread_time(), 0
            start = self._window()
            if self.baseline is None and self._is_shared:
                self.baseline = self._agree(None)
            for ends in list(self._buffers):
                block = self._buffers[ends].take()
                events += len(block)
                self._look(name_of(ends), ends, block)
            if start != self._start:
                self._close_all()
                self._start = start
            self._used = time.thread_time() - began + events * PER_EVENT

    def close(self) -> None:
        """The end: what is open is counted and closes, where it goes by the clock."""
        self._ended.set()
        self._thread.join()
        self.flush()
        with self._lock:
            if self._every is not None:
                self._close_all()

    def _work(self) -> None:
        wait, before, worked = FIRST, time.monotonic(), time.process_time()
        while not self._ended.wait(wait):
            self.flush()
            self._measure()
            now, work = time.monotonic(), time.process_time()
            passed = work - worked if work - worked > BUSY * (now - before) else now - before
            self._adjust(self._used / max(passed, 1e-6))
            wait, before, worked = min(wait * 1.5, self._longest), now, work

    def _measure(self) -> None:
        if self._graph is not None:
            windows = list(self._graph.windows(self._clock(), self.passed - self._drawn))
            if windows:
                self._measured(windows)

    def _adjust(self, busy: float) -> None:
        """Look at fewer events where counting takes more than its share of the time, at more where there is room."""
        share, most = self._monitor.share, float(self._monitor.sample)
        if share >= 1:
            return
        if busy > share:
            self.rate = max(self.rate * max(share / busy, 0.05), LEAST_RATE)
        elif busy < share / 2:
            self.rate = min(self.rate * 1.2, most)
        if self._is_shared:
            for buffer in self._buffers.values():
                buffer.rate = self.rate

    def _look(self, edge: str, ends: Ends, block: list[Kept]) -> None:
        if not block:
            return
        self._looked(edge, block)
        if self.baseline is None:
            self._warm_up(edge, ends, block)
        elif edge in self.tallies or self._begin(edge, ends):
            self._count(edge, block)

    def _count(self, edge: str, block: list[Kept]) -> None:
        tally, segments = self.tallies[edge], self._segments[edge]
        if self._every is not None:
            tally.add(block)
            segments.add(block)
            return
        size = self._monitor.every
        assert isinstance(size, int)
        while block:
            part, block = block[: size - tally.events], block[size - tally.events :]
            tally.add(part)
            segments.add(part)
            if tally.events == size:
                ends = self._numbers(edge, size)
                steps = [] if edge_has_source(edge) else self._steps.close(*ends)
                self._closed([tally.close(*ends), *segments.close(*ends), *steps])

    def _numbers(self, edge: str, size: int) -> tuple[float, float]:
        """Where a window of so many events begins and ends."""
        if self._is_shared:
            now = self._clock()
            return now, now
        start = float(self._seen.get(edge, 0))
        self._seen[edge] = self._seen.get(edge, 0) + size
        return start, start + size

    def _close_all(self) -> None:
        every = self._every or 1.0
        share = self._share_drawn()
        closed = [
            tally.close(self._start, self._start + every, round(tally.events / share), self._dropped(edge))
            for edge, tally in self.tallies.items()
            if tally.events
        ]
        steps = self._steps.close(self._start, self._start + every)
        apart = [one for tally in self._segments.values() for one in tally.close(self._start, self._start + every)]
        if closed or steps:
            self._closed([*closed, *apart, *steps])

    def _share_drawn(self) -> float:
        passed, drawn = self.passed - self._before[0], self._drawn - self._before[1]
        self._before = (self.passed, self._drawn)
        return drawn / passed if passed and drawn else 1.0

    def _dropped(self, edge: str) -> int:
        buffer = next(found for ends, found in self._buffers.items() if name_of(ends) == edge)
        dropped, buffer.dropped = buffer.dropped, 0
        return dropped

    def _begin(self, edge: str, ends: Ends) -> bool:
        """Whether the edge has a baseline, whose fields are counted from now on."""
        assert self.baseline is not None
        base = self.baseline.find(edge)
        if base is None:
            return False
        wanted = fields_at(self._monitor, ends)
        names = visible(base if wanted is None else [name for name in wanted if name in base], self._redacted)
        profile = Profile(edge, {name: base[name] for name in names}, base.events)
        self.tallies[edge] = EdgeTally(profile)
        self._segments[edge] = SegmentTally(profile, self._monitor.segments)
        return True

    # --- without a baseline ---

    def _warm_up(self, edge: str, ends: Ends, block: list[Kept]) -> None:
        self._early.setdefault(edge, []).extend(block)
        if ends[0] or len(self._early[edge]) < self._monitor.warm_up:
            return
        self.baseline = self._agree(self._learned())
        waiting, self._early = self._early, {}
        for name, kept in waiting.items():
            rest = kept[self._monitor.warm_up :]
            if rest and (name in self.tallies or self._begin(name, ends_named(self._buffers, name))):
                self._count(name, rest)

    def _learned(self) -> Baseline:
        """The baseline of the first events."""
        most = self._monitor.warm_up
        size = max(most // LEARNED_WINDOWS, 1)
        records: dict[str, EdgeRecord] = {}
        for edge, kept in self._early.items():
            wanted = fields_at(self._monitor, ends_named(self._buffers, edge))
            record = records[edge] = EdgeRecord(edge, wanted, self._redacted)
            bodies = [body for body, _ in kept[:most]]
            for begin in range(0, len(bodies), size):
                record.add(float(begin), bodies[begin : begin + size])
        profiles = {edge: record.profile() for edge, record in records.items()}
        return Baseline(profiles, {edge: records[edge].windows(one) for edge, one in profiles.items()}, size)

    def _window(self) -> float:
        if self._every is None:
            return 0.0
        now = self._clock()
        return now - now % self._every


def steps_of(edges: Sequence[Ends]) -> set[str]:
    """The steps that events of callers come to; those that handle alerts are none of them."""
    return {name for ends in edges for name in ends} - {""}


def edge_has_source(edge: str) -> bool:
    """Whether it is none by which events enter."""
    return bool(ends_of(edge)[0])


def ends_named(buffers: Mapping[Ends, Any], edge: str) -> Ends:
    """The ends of an edge, by its name."""
    return next(ends for ends in buffers if name_of(ends) == edge)
