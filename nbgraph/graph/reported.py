"""Reported: the numbers that steps report of their own, kept where the graph runs and read by whoever asks."""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import accumulate
from threading import Lock
from typing import Any

from nbgraph.errors import NbgraphError

# Up to a million, in steps of 1, 2 and 5; what is negative is among the first. (Prometheus has no sum beside negative
# bounds.)
BOUNDS = (0.0, *(float(f"{digit}e{power}") for power in range(-3, 6) for digit in (1, 2, 5)), 1e6)
Name = tuple[str, str]  # of a step, and of its number


class Distribution:
    """How many of the values were at most each bound, and their sum.

    >>> seen = Distribution()
    >>> for value in (0.3, 7, 7):
    ...     seen.add(value)
    >>> seen.count, seen.sum, [row for row in seen.rows() if row[0] in ("0.5", "10.0")]
    (3, 14.3, [('0.5', 1), ('10.0', 3)])
    """

    __slots__ = ("buckets", "sum")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.sum = 0.0

    @property
    def count(self) -> int:
        return sum(self.buckets)

    def add(self, value: float) -> None:
        self.buckets[bisect_left(BOUNDS, value)] += 1
        self.sum += value

    def rows(self) -> list[tuple[str, float]]:
        """How many were at most that much, for each bound."""
        return list(zip([*map(str, BOUNDS), "+Inf"], accumulate(self.buckets), strict=True))


class Reported:
    """Gauges, counts and distributions by step and name; several threads may report at once.

    >>> reported = Reported()
    >>> reported.count("score", "refused")
    >>> reported.count("score", "refused", 2)
    >>> reported.metric("score", "drift", 0.5)
    >>> reported.observe("score", "amount", 9.5)
    >>> reported.to_dict()
    {'score': {'drift': 0.5, 'refused': 3.0, 'amount': {'count': 1, 'sum': 9.5}}}
    """

    def __init__(self) -> None:
        self.gauges: dict[Name, float] = {}
        self.counts: dict[Name, float] = {}
        self.distributions: dict[Name, Distribution] = {}
        self._turn = Lock()

    def metric(self, step: str, name: str, value: float) -> None:
        """A number of which the last one counts."""
        self.gauges[step, _named(name)] = _number(name, value)

    def count(self, step: str, name: str, n: float = 1) -> None:
        """So many more."""
        more = _number(name, n)
        if not 0 <= more < math.inf:
            raise NbgraphError(f'The count "{name}" got {n!r}; a count only grows: give 0 or more, or use metric().')
        with self._turn:
            self.counts[step, _named(name)] = self.counts.get((step, name), 0.0) + more

    def observe(self, step: str, name: str, value: float) -> None:
        """One value of many, whose distribution is told."""
        seen = _number(name, value)
        if math.isnan(seen):
            raise NbgraphError(f'The distribution "{name}" got NaN, which is no value; leave missing ones out.')
        with self._turn:
            self.distributions.setdefault((step, _named(name)), Distribution()).add(seen)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """All of them as plain data, by step and name."""
        found: dict[str, dict[str, Any]] = {}
        for (step, name), value in [*self.gauges.items(), *self.counts.items()]:
            found.setdefault(step, {})[name] = value
        for (step, name), seen in list(self.distributions.items()):
            found.setdefault(step, {})[name] = {"count": seen.count, "sum": seen.sum}
        return found


def _named(name: str) -> str:
    if not isinstance(name, str) or not name:
        raise NbgraphError(f'A number\'s name is {name!r}; expected a text such as "refused".')
    return name


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise NbgraphError(f'"{name}" got {value!r}; expected a number.') from None
