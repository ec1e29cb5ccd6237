"""Schedule: events that the clock gives, in the kernel and deployed, each tick once."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nbgraph import Event, Graph, GraphError
from nbgraph.steps import Schedule

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
EACH_SECOND = "* * * * * *"


def ticks(found: list[Event]) -> list[tuple[str, int]]:
    return [(event.body["scheduled"][11:16], event.body["missed"]) for event in found]


@pytest.mark.parametrize(
    ("misfire", "right"),
    [
        ("last", [("12:05", 4)]),
        ("skip", [("12:05", 4)]),
        ("all", [("12:01", 0), ("12:02", 0), ("12:03", 0), ("12:04", 0), ("12:05", 0)]),
    ],
)
def test_ticks_that_nobody_was_there_for(misfire: str, right: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    found = Schedule("* * * * *", misfire=misfire).ticks(NOON, NOON + timedelta(minutes=5, seconds=1))
    assert (ticks(found), "missed 4 ticks" in caplog.text) == (right, misfire != "all")


def test_all_were_missed() -> None:
    late = NOON + timedelta(hours=3)
    found = [Schedule("1 12 * * *", misfire=misfire).ticks(NOON, late) for misfire in ("last", "skip")]
    assert [ticks(events) for events in found] == [[("12:01", 0)], []]


def test_hours_are_those_of_the_zone() -> None:
    schedule = Schedule("30 6 * * *", timezone="Asia/Kolkata")
    assert schedule.next_after(NOON) == datetime(2026, 1, 2, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cron": "61 * * * *"}, "expected a cron expression of five fields"),
        ({"cron": "* * * * *", "timezone": "Mars/Olympus"}, "expected an IANA name"),
        ({"cron": "* * * * *", "misfire": "never"}, 'expected one of "last", "skip", "all"'),
    ],
)
def test_what_no_schedule_is(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        Schedule(**arguments)


def test_a_stream_of_ticks_and_a_run_that_is_up() -> None:
    seen: list[str] = []
    graph = Graph("clock")
    graph.to(lambda body: seen.append(body["scheduled"]) or body["scheduled"], "note")
    streamed = list(itertools.islice(graph.stream(Schedule(EACH_SECOND)), 2))
    scheduled = Graph("scheduled")
    scheduled.to("Schedule", cron=EACH_SECOND).to(lambda body: seen.append(body["scheduled"]), "note")
    with scheduled.start():
        time.sleep(2.3)
    of_run = seen[2:]
    assert (len(set(streamed)), len(of_run) >= 2, len(set(of_run)) == len(of_run)) == (2, True, True)


def test_a_schedule_stands_where_events_enter() -> None:
    behind, beside = Graph("behind"), Graph("beside")
    behind.to(str.strip).to("Schedule", cron="@daily")
    beside.to("Schedule", cron="@daily").to(len)
    beside.to(str.strip, "other")
    assert [text for text in [*behind.check(), *beside.check()] if "Schedule" in text[:20]] == [
        'Step "Schedule" is a Schedule behind other steps; put it first, since events begin there.',
        'Step "Schedule" is a Schedule, and events enter by "other" too; give each its own graph.',
    ]


def append(body: dict[str, Any], path: str) -> None:
    with Path(path).open("a") as lines:
        lines.write(body["scheduled"] + "\n")


class Append:
    def __init__(self, path: str) -> None:
        self.path = path

    def do(self, body: dict[str, Any]) -> None:
        append(body, self.path)


def test_each_tick_runs_once_however_many_workers_there_are(tmp_path: Path) -> None:
    path = tmp_path / "ticks.txt"
    graph = Graph("deployed-clock")
    graph.to("Schedule", cron=EACH_SECOND).to(Append, "append", path=str(path))
    deployment = graph.deploy("process", workers=2, progress=False)
    try:
        deadline = time.monotonic() + 30
        while (not path.exists() or len(path.read_text().splitlines()) < 4) and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        deployment.stop()
    lines = [datetime.fromisoformat(line) for line in path.read_text().splitlines()]
    steps = {after - before for before, after in itertools.pairwise(sorted(lines))}
    assert (len(lines) >= 4, steps) == (True, {timedelta(seconds=1)})
