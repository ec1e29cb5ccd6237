"""Values in steps: a number, a time, a key is what it means, in events and in frames alike."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nbgraph import Graph, StepError
from nbgraph.steps import AggregateByKey, DateExtractor, FieldAggregator, FixedWindows

Body = dict[str, Any]
Run = Callable[[Any, list[Body]], list[Body]]


def by_events(step: Any, rows: list[Body]) -> list[Body]:
    graph = Graph("events")
    graph.to(step)
    return list(graph.stream(rows))


def by_pandas(step: Any, rows: list[Body]) -> list[Body]:
    graph = Graph("frame")
    graph.to(step)
    return graph.run(pd.DataFrame(rows)).to_dict("records")  # type: ignore[no-any-return]


def hour(*operations: str, **more: Any) -> AggregateByKey:
    values = FieldAggregator("x", "v", operations, FixedWindows(["1h"]))
    return AggregateByKey([values], key="k", time_field="t", **more)


MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = [
    date(2026, 1, 1), "2026-01-01", "2026-01-01T00:00:00Z", datetime(2026, 1, 1), MIDNIGHT, MIDNIGHT.timestamp(),
    int(MIDNIGHT.timestamp()), Decimal(int(MIDNIGHT.timestamp())), np.int64(MIDNIGHT.timestamp()),
    pd.Timestamp("2026-01-01"), pd.Timestamp("2026-01-01T01:00", tz="Europe/Berlin"), np.datetime64("2026-01-01"),
    np.datetime64("2026-01-01T00", "ns"),
]  # fmt: skip


@pytest.mark.parametrize("run", [by_events, by_pandas])
def test_a_day_is_its_midnight_wherever_a_time_is_read(run: Run) -> None:
    rows = [{"k": 1, "t": time, "v": 1} for time in DAYS]
    assert [row["x_sum_1h"] for row in run(hour("sum"), rows)] == list(range(1, len(DAYS) + 1))
    step = DateExtractor(["year", "month", "day"], "t")
    parts = [(row["t_year"], row["t_month"], row["t_day"]) for row in run(step, rows)]
    assert parts == [(2026, 1, 1)] * len(DAYS)


@pytest.mark.parametrize("run", [by_events, by_pandas])
@pytest.mark.parametrize("time", [None, math.nan, pd.NaT, pd.NA, Decimal("NaN"), math.inf, "", "soon", True, [1]])
def test_a_time_that_is_none_is_named(run: Run, time: Any) -> None:
    with pytest.raises(StepError, match=r'The time "t" is .*; expected a datetime, a date'):
        run(hour("sum"), [{"k": 1, "t": time, "v": 1}])


def test_the_end_of_all_months() -> None:
    step = DateExtractor(["is_month_end", "is_year_end", "is_quarter_end"], "t")
    assert list(by_events(step, [{"t": date(9999, 12, 31)}])[0].values())[1:] == [True] * 3
