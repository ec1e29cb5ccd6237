"""Autoscaling: as many workers as the backlog of a function's queues asks for."""

from __future__ import annotations

import logging
import math
import operator
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from nbgraph.errors import DeployError
from nbgraph.types import Clock

EVERY = 1.0  # seconds between two looks
COOL_DOWN = 30.0  # seconds of little work before a worker is let go
log = logging.getLogger("nbgraph.deploy")


class Scalable(Protocol):
    """What can be scaled: a fleet of processes, containers, services."""

    def backlog(self, function: str) -> int: ...
    def replicas(self, function: str) -> int: ...
    def scale(self, function: str, n: int) -> None: ...


@dataclass(slots=True)
class ScalingRule:
    """Between `least` and `most` replicas, each with about `target` messages before it.

    >>> rule = ScalingRule(1, 8, 100)
    >>> rule.wanted(0), rule.wanted(250), rule.wanted(10_000)
    (1, 3, 8)
    """

    least: int
    most: int
    target: float
    quiet_since: float | None = field(default=None)

    def wanted(self, backlog: int) -> int:
        return min(self.most, max(self.least, math.ceil(backlog / self.target)))

    def next(self, backlog: int, replicas: int, now: float) -> int:
        """How many there should be now: more at once, fewer only after a while of little work."""
        wanted = self.wanted(backlog)
        if wanted >= replicas:
            self.quiet_since = None
            return wanted
        if self.quiet_since is None:
            self.quiet_since = now
        return wanted if now - self.quiet_since >= COOL_DOWN else replicas


def rules_of(autoscale: Mapping[str, tuple[int, int, float]], functions: Sequence[str]) -> dict[str, ScalingRule]:
    """The rules that `autoscale={"score": (1, 8, 100)}` means for functions that can be scaled."""
    if not isinstance(autoscale, Mapping):
        raise DeployError(f'autoscale={autoscale!r} is no rule; expected {{"score": (1, 8, 100)}}.')
    rules = {}
    for name, given in autoscale.items():
        if name not in functions:
            raise DeployError(
                f'autoscale names "{name}"; functions that can be scaled: {", ".join(functions) or "none"}.'
            )
        if not _is_rule(given):
            raise DeployError(f'autoscale["{name}"] is {given!r}; expected (least, most, messages a worker).')
        rules[name] = ScalingRule(*given)
    return rules


def _is_rule(given: Any) -> bool:
    try:
        least, most, target = given
        return bool(1 <= operator.index(least) <= operator.index(most) and target > 0)
    except (TypeError, ValueError):
        return False


class Autoscaler:
    """Looks at the backlogs every second, on a thread of its own."""

    def __init__(self, fleet: Scalable, rules: Mapping[str, ScalingRule], clock: Clock = time.monotonic) -> None:
        self._fleet, self._rules, self._clock = fleet, rules, clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="nbgraph-autoscale")
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)

    def keep(self, functions: Sequence[str]) -> None:
        """Forget the rules of functions that are no more."""
        self._rules = {name: rule for name, rule in self._rules.items() if name in functions}

    def look(self) -> None:
        """Scale each function as its rule says; a backlog that can't be read changes nothing."""
        for function, rule in self._rules.items():
            replicas = self._fleet.replicas(function)
            wanted = rule.next(self._fleet.backlog(function), replicas, self._clock())
            if wanted != replicas:
                log.info("scaling", extra={"function": function, "before": replicas, "now": wanted})
                self._fleet.scale(function, wanted)

    def _watch(self) -> None:
        while not self._stop.wait(EVERY):
            try:
                self.look()
            except Exception:
                log.exception("The backlog could not be read; nothing was scaled")
