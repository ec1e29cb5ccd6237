"""GraphWindow: a graph as a whole in a short time: what entered, the calls of its steps, what waits in its queues."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Self

import msgspec

Buckets = tuple[int, ...]


class GraphWindow(msgspec.Struct, frozen=True, array_like=True):
    """What a graph did in a time; those of several workers add up, and each tells of the same queues.

    `calls` has for each step how many took up to 1 µs, 2 µs, 4 µs and so on; `backlog` for each queue what waits in it.

    >>> one = GraphWindow(0.0, 1.0, 3, 1, {"score": (1, 2)}, {"queue": 7})
    >>> one + one
    GraphWindow(start=0.0, end=1.0, events=6, errors=2, calls={'score': (2, 4)}, backlog={'queue': 7})
    """

    start: float
    end: float
    events: int = 0
    errors: int = 0
    calls: dict[str, Buckets] = {}
    backlog: dict[str, int] = {}

    def __add__(self, other: Self) -> GraphWindow:
        return GraphWindow(
            min(self.start, other.start),
            max(self.end, other.end),
            self.events + other.events,
            self.errors + other.errors,
            calls_of((self, other)),
            {queue: max(self.backlog.get(queue, 0), other.backlog.get(queue, 0)) for queue in _names(self, other)},
        )


def measures_of(windows: Sequence[GraphWindow]) -> dict[str, float]:
    """What expressions of rules may name, over windows in their order; NaN where nothing tells.

    >>> windows = [GraphWindow(0.0, 1.0, 3, 1, {"score": (0, 2)}, {"queue": 7}), GraphWindow(1.0, 2.0)]
    >>> measures_of(windows)
    {'event_rate': 1.5, 'error_rate': 0.5, 'latency_p95': 2e-06, 'backlog': 0.0}
    """
    seconds = sum(window.end - window.start for window in windows)
    calls = calls_of(windows)
    count = sum(map(sum, calls.values()))
    return {
        "event_rate": sum(window.events for window in windows) / seconds if seconds else math.nan,
        "error_rate": sum(window.errors for window in windows) / count if count else math.nan,
        "latency_p95": max((quantile(buckets, 0.95) for buckets in calls.values()), default=math.nan),
        "backlog": float(max(windows[-1].backlog.values(), default=0)) if windows else math.nan,
    }


def calls_of(windows: Sequence[GraphWindow]) -> dict[str, Buckets]:
    """The calls of each step in all windows."""
    found: dict[str, Buckets] = {}
    for window in windows:
        for step, buckets in window.calls.items():
            before = found.get(step)
            found[step] = buckets if before is None else tuple(map(sum, zip(before, buckets, strict=True)))
    return found


def since(now: Mapping[str, Buckets], before: Mapping[str, Buckets]) -> dict[str, Buckets]:
    """The calls that came since there were those of `before`; steps without any are left out."""
    found = {
        step: tuple(one - other for one, other in zip(buckets, before.get(step, (0,) * len(buckets)), strict=True))
        for step, buckets in now.items()
    }
    return {step: buckets for step, buckets in found.items() if any(buckets)}


def quantile(buckets: Sequence[int], share: float) -> float:
    """The least bound that so many of the calls did not take longer than, in seconds.

    >>> quantile((0, 90, 0, 10), 0.95)
    8e-06
    """
    below = 0
    for place, count in enumerate(buckets):
        below += count
        if below >= share * sum(buckets):
            return float(2**place) / 1e6
    return 0.0


def _names(first: GraphWindow, second: GraphWindow) -> dict[str, None]:
    return dict.fromkeys([*first.backlog, *second.backlog])
