"""Limits: how far from its baseline a field may be, learnt from the baseline's own windows; and the verdict.

A field has drifted where its distance is above its limit and the difference is no chance. Real streams are not
independent draws: a test that takes them for such rings in half of the baseline's own windows. So the limit is what
these windows show, mean and three deviations of their distances; where there are too few of them, what chance alone
would do.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nbgraph.monitor.statistics.bins import Cells
from nbgraph.monitor.statistics.distance import Counts, freedom, g_statistic, jsd, p_value

FLOOR = 0.1  # a distance that nobody minds
DEVIATIONS = 3
LEAST_EVENTS = 200  # a window with fewer waits for the next one
LEAST_WINDOWS = 20  # of a baseline, to learn a limit from
CHANCE = 0.001  # over all fields that are watched
IN_A_ROW = 2
INSIDE = 3  # windows that an alert takes to be resolved
SPREAD = 8 * math.log(2)  # a squared distance is χ² by chance, divided by this


class Limit(NamedTuple):
    """The greatest distance of a field that is no drift; `is_learnt` tells that the baseline's own windows gave it."""

    value: float
    is_learnt: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """A field in a window: `noise` is the distance that chance alone gives, `p` how probable this one is by chance."""

    count: int
    distance: float
    noise: float
    limit: float
    p: float
    drifted: bool
    is_learnt: bool


def noise_of(cells: int, now: float, base: float) -> float:
    """The distance (JSD, base 2) that so many values have by chance from so many of the same kind.

    >>> round(noise_of(10, 1000, 1000), 6)
    0.056974
    """
    return math.sqrt((cells - 1) * (1 / now + 1 / base) / SPREAD) if now and base and cells > 1 else 0.0


def limit_of(base: Cells, windows: Sequence[Cells], floor: float = FLOOR) -> Limit:
    """The limit of a field whose baseline has such counts, and had them in such windows."""
    used = [window for window in windows if window.sum() >= LEAST_EVENTS]
    if len(used) >= LEAST_WINDOWS:
        rows = np.array(used, dtype=float)
        distances = jsd(rows, np.broadcast_to(base.astype(float), rows.shape))
        return Limit(max(floor, float(distances.mean() + DEVIATIONS * distances.std(ddof=1))), is_learnt=True)
    return Limit(floor, is_learnt=False)


def limit_by_chance(cells: int, now: float, base: float, floor: float = FLOOR) -> float:
    """The limit of a window where the baseline has too few to learn one from."""
    if not (now and base):
        return floor
    deviation = math.sqrt((1 / now + 1 / base) / SPREAD / 2)  # the root of a χ² has a variance of about a half
    return max(floor, noise_of(cells, now, base) + DEVIATIONS * deviation)


def verdicts(
    now: Sequence[Cells], base: Sequence[Cells], limits: Sequence[Limit], fields: int, floor: float = FLOOR
) -> list[Verdict | None]:
    """The verdict of each field of a window; None where it has too few values. `fields` are watched in all.

    >>> base, now = np.array([500, 500]), np.array([100, 300])
    >>> found = verdicts([now], [base], [Limit(0.1, True)], fields=1)[0]
    >>> round(found.distance, 3), found.p < 1e-12, found.drifted
    (0.221, True, True)
    """
    if not now:
        return []
    ours, theirs = _padded(now), _padded(base)
    counts, sizes = ours.sum(axis=1), theirs.sum(axis=1)
    distances, statistics, degrees = jsd(ours, theirs), g_statistic(ours, theirs), freedom(ours, theirs)
    found: list[Verdict | None] = []
    for row, limit in enumerate(limits):
        count, size, cells = float(counts[row]), float(sizes[row]), int(degrees[row]) + 1
        if count < LEAST_EVENTS or not size:
            found.append(None)
            continue
        most = limit.value if limit.is_learnt else limit_by_chance(cells, count, size, floor)
        distance = float(distances[row])
        is_beyond = distance > most
        p = p_value(float(statistics[row]), cells - 1)
        noise = noise_of(cells, count, size)
        drifted = is_beyond and p < CHANCE / max(fields, 1)
        found.append(Verdict(int(count), distance, noise, most, p, drifted, limit.is_learnt))
    return found


def _padded(rows: Iterable[Cells]) -> Counts:
    """Rows of several lengths as one table; an empty cell changes no distance and no test."""
    rows = list(rows)
    table = np.zeros((len(rows), max(map(len, rows))))
    for place, row in enumerate(rows):
        table[place, : len(row)] = row
    return table
