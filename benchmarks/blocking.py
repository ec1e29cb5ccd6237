"""When each of those is answered who come at once to a step that blocks, behind a queue and with one worker."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmarks.contender import Contender

CALLERS, ROUNDS = 16, 5
SECONDS = 0.1  # of the step
AT_MOST = 1.1  # of the ideal


def measure() -> list[list[float]]:
    """Seconds until the k-th answer, for each round."""
    contender = Contender("blocking.py")
    try:
        return [contender.ask("blocking", CALLERS).result for _ in range(ROUNDS)]
    finally:
        contender.end()


def ideal() -> list[float]:
    """The k-th answer after k steps."""
    return [SECONDS * (number + 1) for number in range(CALLERS)]


def part(seconds: Sequence[float], share: float) -> float:
    """The time in which that share of all is answered.

    >>> part([1.0, 2.0, 3.0, 4.0], 0.5)
    2.0
    """
    ordered = sorted(seconds)
    return ordered[max(math.ceil(len(ordered) * share), 1) - 1]
