"""Pulse: how each function of a deployment is doing now, read from the numbers that its workers keep anyway."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import httpx

from nbgraph.contract import Metric
from nbgraph.deploy.backend import Backend, FunctionState
from nbgraph.types import Clock

FRESH = 0.2  # seconds for which a reading serves everyone who asks
WINDOW = 5.0  # seconds over which a rate is taken
ANSWERS, PROCESSED, FAILED, DEAD = (
    f"{counter}_total" for counter in (Metric.REQUESTS, Metric.PROCESSED, Metric.FAILED, Metric.DEAD)
)
BUCKET, SUM = f"{Metric.STEP_SECONDS}_bucket", f"{Metric.STEP_SECONDS}_sum"
READ = (
    ANSWERS,
    PROCESSED,
    FAILED,
    DEAD,
    BUCKET,
    SUM,
    Metric.BACKLOG,
    Metric.CAPACITY,
    Metric.AGE,
    Metric.IN_FLIGHT,
    Metric.MESSAGES_IN_FLIGHT,
)


@dataclass(frozen=True, slots=True)
class FunctionMetrics:
    """A function at one moment.

    `replicas` of its workers run, `wanted` shall run; `state` is "running", "starting", "failing" or "stopped".
    `events`, `errors` and `dead` count since the deployment is looked at; `rate` is events a second. `backlog` counts
    messages that wait or are worked on, `age` is the seconds that the oldest has waited. `p95`: in 95 of 100 calls the
    slowest step takes no longer. `busy`: by step, the part of its workers' time that calls of it take; `fill`: by queue
    that it reads, which part of the room is taken, so that 1 holds back whoever fills it.
    """

    function: str
    replicas: int
    wanted: int
    state: str
    events: int = 0
    rate: float = 0.0
    errors: int = 0
    dead: int = 0
    backlog: int = 0
    in_flight: int = 0
    age: float | None = None
    p95: float | None = None
    busy: dict[str, float] = field(default_factory=dict)
    fill: dict[str, float] = field(default_factory=dict)


@dataclass
class WorkerMetrics:
    """What one worker tells."""

    events: float = 0
    errors: float = 0
    dead: float = 0
    in_flight: float = 0
    age: float | None = None
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))  # in each step
    backlogs: dict[str, float] = field(default_factory=dict)  # by queue
    rooms: dict[str, float] = field(default_factory=dict)
    buckets: dict[str, dict[float, float]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(float)))

    def add(self, name: str, labels: Mapping[str, str], value: float) -> None:
        if name == ANSWERS:
            self.events += value
            self.errors += value if labels["status"] >= "500" else 0
        elif name in (PROCESSED, FAILED):
            self.events += value
            self.errors += value if name == FAILED else 0
        elif name == DEAD:
            self.dead += value
        elif name == Metric.BACKLOG:
            self.backlogs[labels["queue"]] = value
        elif name == Metric.CAPACITY:
            self.rooms[labels["queue"]] = value
        elif name in (Metric.IN_FLIGHT, Metric.MESSAGES_IN_FLIGHT):
            self.in_flight += value
        elif name == Metric.AGE:
            self.age = max(self.age or 0.0, value)
        elif name == SUM:
            self.seconds[labels["step"]] += value
        elif name == BUCKET:
            self.buckets[labels["step"]][float(labels["le"])] += value

    @property
    def backlog(self) -> float:
        """Messages in all queues that it reads."""
        return sum(self.backlogs.values())


def numbers_of(text: str) -> WorkerMetrics:
    """The numbers that matter here, of all that Prometheus would read.

    >>> text = 'nbgraph_requests_total{graph="g",status="200"} 3.0\\nnbgraph_requests_total{graph="g",status="500"} 1.0'
    >>> found = numbers_of(text)
    >>> found.events, found.errors
    (4.0, 1.0)
    """
    from prometheus_client.parser import text_string_to_metric_families

    found = WorkerMetrics()
    # A parser that knows escapes is slow; what nobody asks for is left out before it.
    chosen = "\n".join(line for line in text.splitlines() if line.startswith(READ))
    for family in text_string_to_metric_families(chosen + "\n"):
        for sample in family.samples:
            found.add(sample.name, sample.labels, sample.value)
    return found


def quantile(buckets: Mapping[float, float], share: float = 0.95) -> float | None:
    """The bound below which that share of the calls stays, between bounds in proportion; None without calls.

    >>> quantile({0.1: 90, 0.5: 100, math.inf: 100}), quantile({})
    (0.3, None)
    """
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0
    if not total:
        return None
    below, count = 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= share * total:
            if math.isinf(bound):
                return below
            return round(below + (bound - below) * (share * total - count) / (buckets[bound] - count), 6)
        below, count = bound, buckets[bound]
    return below


class MetricsReader:
    """Reads the workers of a deployment, from any thread; several who ask at once share one reading."""

    def __init__(self, hosted: Backend, clock: Clock = time.monotonic) -> None:
        self._hosted, self._clock = hosted, clock
        self._caller = httpx.Client(trust_env=False, timeout=2)
        self._lock = threading.Lock()
        self._seen: dict[str, WorkerMetrics] = {}  # by URL, since a worker that starts anew counts from 0
        self._totals: dict[str, WorkerMetrics] = defaultdict(WorkerMetrics)
        self._past: dict[str, deque[tuple[float, float, dict[str, float]]]] = defaultdict(deque)
        self._read_at = -math.inf
        self._latest: dict[str, FunctionMetrics] = {}

    def read(self) -> dict[str, FunctionMetrics]:
        """Each function's pulse, by its name."""
        with self._lock:
            now = self._clock()
            if now - self._read_at >= FRESH:
                self._latest, self._read_at = self._look(now), now
            return dict(self._latest)

    def close(self) -> None:
        self._caller.close()

    def _look(self, now: float) -> dict[str, FunctionMetrics]:
        found: dict[str, list[WorkerMetrics]] = {name: [] for name in self._hosted.functions}
        for function, url in self._hosted.sources():
            with contextlib.suppress(httpx.HTTPError):  # it has just ended, or is not up yet
                numbers = numbers_of(self._caller.get(url).raise_for_status().text)
                self._count(function, self._seen.get(url, WorkerMetrics()), numbers)
                self._seen[url] = numbers
                found[function].append(numbers)
        states = self._hosted.states()
        return {name: self._pulse(name, those, states, now) for name, those in found.items()}

    def _count(self, function: str, before: WorkerMetrics, now: WorkerMetrics) -> None:
        total = self._totals[function]
        total.events += _more(before.events, now.events)
        total.errors += _more(before.errors, now.errors)
        total.dead += _more(before.dead, now.dead)
        for step, seconds in now.seconds.items():
            total.seconds[step] += _more(before.seconds.get(step, 0.0), seconds)

    def _pulse(
        self, function: str, told: list[WorkerMetrics], states: Iterable[FunctionState], now: float
    ) -> FunctionMetrics:
        wanted, total = self._hosted.replicas(function), self._totals[function]
        running = [state for state in states if state.function == function and state.state == "running"]
        kept = [state.state for state in states if state.function == function]
        rate, busy = self._rates(function, now, len(running))
        ages = [numbers.age for numbers in told if numbers.age is not None]
        return FunctionMetrics(
            function, len(running), wanted, _state(kept, wanted), int(total.events), rate,
            int(total.errors), int(total.dead),
            int(max((numbers.backlog for numbers in told), default=0)),  # all of them tell of the same queues
            int(sum(numbers.in_flight for numbers in told)), max(ages, default=None), _slowest(told),
            busy, _fills(told),
        )  # fmt: skip

    def _rates(self, function: str, now: float, workers: int) -> tuple[float, dict[str, float]]:
        """Events a second, and by step the part of the workers' time."""
        past, total = self._past[function], self._totals[function]
        past.append((now, total.events, dict(total.seconds)))
        while len(past) > 2 and now - past[1][0] >= WINDOW:
            past.popleft()
        then, before, seconds = past[0]
        passed = now - then
        if not passed:
            return 0.0, {}
        whole = passed * max(workers, 1)
        busy = {step: round((spent - seconds.get(step, 0.0)) / whole, 3) for step, spent in total.seconds.items()}
        return round((total.events - before) / passed, 3), busy


def _more(before: float, now: float) -> float:
    return now - before if now >= before else now


def _fills(told: Iterable[WorkerMetrics]) -> dict[str, float]:
    """Of each queue the part that is taken; all workers tell the same, or what they knew last."""
    found: dict[str, float] = {}
    for numbers in told:
        for queue, room in numbers.rooms.items():
            fill = numbers.backlogs.get(queue, 0.0) / room if room else 0.0
            found[queue] = round(max(found.get(queue, 0.0), fill), 3)
    return found


def _slowest(told: Iterable[WorkerMetrics]) -> float | None:
    together: dict[str, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    for numbers in told:
        for step, buckets in numbers.buckets.items():
            for bound, count in buckets.items():
                together[step][bound] += count
    return max((found for found in map(quantile, together.values()) if found is not None), default=None)


def _state(states: list[str], wanted: int) -> str:
    """One word for all workers of a function.

    >>> _state(["running", "running"], 2), _state(["running", "exited"], 2), _state([], 1)
    ('running', 'failing', 'stopped')
    """
    if not states:
        return "stopped"
    if any(state not in ("running", "created", "starting") for state in states):
        return "failing"
    return "running" if states.count("running") >= wanted else "starting"
