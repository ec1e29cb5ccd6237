"""Any rows, any questions: offline, online and replayed against what plain Python works out by looking at every row."""

from __future__ import annotations

import math
import statistics
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbgraph.features import FeatureSet, FeatureStore, FeatureVector
from nbgraph.features.parity import is_equal
from nbgraph.steps import FieldAggregator, FixedWindows, SlidingWindows
from nbgraph.steps.windows.spec import OPERATIONS

LISBON = ZoneInfo("Europe/Lisbon")
START = datetime(2026, 3, 28, 20, tzinfo=UTC)  # five hours before the clocks of Lisbon go forward
TTL = 90
AGGREGATES = [
    FieldAggregator("s", "x", OPERATIONS, SlidingWindows(["30m", "2h"], "10m")),
    FieldAggregator("f", "x", ["count", "sum", "last"], FixedWindows(["1h", "1d"])),
    FieldAggregator("odd", "x", ["count", "max"], SlidingWindows(["1h"], "30m"), "event['x'] % 2 == 1", 50),
    FieldAggregator("all", None, ["count"], SlidingWindows(["1h"], "30m")),
]
OF_VALUES: dict[str, Any] = {
    "count": len,
    "sum": sum,
    "sqr": lambda x: sum(value * value for value in x),
    "avg": lambda x: statistics.fmean(x) if x else None,
    "min": lambda x: min(x, default=None),
    "max": lambda x: max(x, default=None),
    "first": lambda x: x[0] if x else None,
    "last": lambda x: x[-1] if x else None,
    "stddev": lambda x: statistics.stdev(x) if len(x) > 1 else None,
    "stdvar": lambda x: statistics.variance(x) if len(x) > 1 else None,
}


@dataclass(frozen=True)
class Seen:
    """A row as it is told to the store, and to the oracle in minutes since START."""

    key: str
    minute: int
    value: int | None
    delay: int

    def body(self, form: int) -> dict[str, Any]:
        came = START + timedelta(minutes=self.minute + self.delay)
        return {"k": self.key, "t": told(self.minute, form), "x": self.value, "came": came}


def told(minute: int, form: int) -> Any:
    """A moment in one of the forms that people write it in."""
    moment = START + timedelta(minutes=minute)
    naive = moment.replace(tzinfo=None)
    return [moment, moment.astimezone(LISBON), moment.astimezone(LISBON).isoformat(), naive, naive.isoformat(),
            moment.timestamp()][form]  # fmt: skip


def known(rows: list[Seen], key: str, minute: int, before: bool, as_known: bool) -> list[Seen]:
    """The rows that count at a moment, oldest first; of equal times, the one written first."""
    found = [
        row
        for row in rows
        if row.key == key
        and (row.minute < minute if before else row.minute <= minute)
        and (not as_known or row.minute + row.delay <= minute)
    ]
    return sorted(found, key=lambda row: row.minute)


def expected(rows: list[Seen], key: str, minute: int, before: bool, as_known: bool) -> dict[str, Any]:
    counting = known(rows, key, minute, before, as_known)
    is_held = bool(counting) and minute - counting[-1].minute <= TTL
    found = {"x": counting[-1].value if is_held else None}
    for each in AGGREGATES:
        for spans in each.spans():
            for window, buckets in spans.windows:
                last = seconds(minute) // spans.period
                inside = [row for row in counting if last - buckets < seconds(row.minute) // spans.period]
                values = [row.value for row in inside if row.value is not None]
                if each.field is None:
                    values = [1] * len(inside)
                if each.aggr_filter is not None:
                    values = [value for value in values if value % 2 == 1]
                for operation in each.aggr:
                    value = OF_VALUES[operation](values)
                    if each.max_value is not None and value is not None and value > each.max_value:
                        value = each.max_value
                    found[f"{each.name}_{operation}_{window}"] = value
    return found


def seconds(minute: int) -> int:
    return int(START.timestamp()) + 60 * minute


def differing(found: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    names = {name for name in wanted if not is_equal(found[name], wanted[name])}
    close = {name for name in names if "std" in name and _is_near(found[name], wanted[name])}
    return {name: (found[name], wanted[name]) for name in names - close}


def _is_near(one: Any, other: Any) -> bool:
    return one is not None and other is not None and math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-6)


minutes = st.integers(0, 26 * 60).map(lambda minute: minute // 7 * 7) | st.integers(0, 120)
seen = st.builds(
    Seen, st.sampled_from("ab"), minutes, st.none() | st.integers(-3, 90), st.sampled_from([0, 0, 0, 5, 45, 200])
)
questions = st.lists(st.tuples(st.sampled_from("abz"), minutes, st.integers(0, 5)), min_size=1, max_size=12)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.lists(seen, min_size=1, max_size=14), min_size=1, max_size=3), questions, st.booleans(), st.booleans()
)
def test_any_question_has_the_answer_that_every_row_was_looked_at_for(
    ingests: list[list[Seen]], asked: list[tuple[str, int, int]], before: bool, as_known: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore(folder)
        made = FeatureSet("s", "k", "t", ttl=f"{TTL}m", aggregates=AGGREGATES, features=["x"], arrival="came")
        events = store.add(made)
        for number, rows in enumerate(ingests):
            form = number if number != 5 else 0
            events.ingest([row.body(form) for row in rows], id=f"{number}")
        vector = store.add(FeatureVector("v", [events]))
        every = [row for rows in ingests for row in rows]
        given_rows = [{"k": key, "time": told(minute, form)} for key, minute, form in asked]
        wanted = [expected(every, key, minute, before, as_known) for key, minute, _ in asked]
        found = vector.offline(given_rows, before=before, as_known=as_known)
        assert [differing(*each) for each in zip(found, wanted, strict=True)] == [{}] * len(asked)
        if not as_known:
            parity = vector.parity(given_rows, before=before)
            assert parity[~parity["equal"]].to_dict("records") == []
        for key in "ab":
            newest = max((row.minute for row in every if row.key == key), default=0)
            for later in (0, 1, 9, 61, 1500):
                online = vector.online({"k": key}, time=told(newest + later, 0), before=before and later > 0)
                now = expected(every, key, newest + later, before and later > 0, False)
                assert differing(online, now) == {}
