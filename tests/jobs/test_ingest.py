"""Jobs of feature sets: what a job stores is what `ingest` stores, and it is seen when all of it is there."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nbgraph import Graph, JobError
from nbgraph.features import FeatureSet, FeatureStore
from nbgraph.steps import FieldAggregator, SlidingWindows

MOOD = FieldAggregator("mood", "mood", ["avg", "count"], SlidingWindows(["30d"], "1d"))
REVIEWS = [{"author": f"a{at % 5}", "written": f"2026-01-{1 + at % 28:02}", "n": at} for at in range(600)]
KILLER, BROKEN, ODD = 77, 17, 18  # rows that end their process, fail, and do not fit

Row = dict[str, Any]


def scored(row: Row) -> Row:
    if row["n"] == BROKEN:
        raise ValueError("no text")
    return {**row, "mood": "good" if row["n"] == ODD else row["n"] % 5}


def dying(row: Row) -> Row:
    if row["n"] == KILLER:
        os.kill(os.getpid(), signal.SIGKILL)
    return scored(row)


def authors(path: Path, step: Any = scored) -> FeatureSet:
    graph = Graph("authors")
    graph.to("Filter", fn="event['n'] % 3 != 1").to(step, "scored")
    store = FeatureStore(path)
    return store.add(FeatureSet(graph, key="author", time="written", aggregates=[MOOD]))


def test_a_job_stores_what_an_ingest_stores(tmp_path: Path) -> None:
    by_job, by_ingest = authors(tmp_path / "a"), authors(tmp_path / "b")
    job = by_job.job(REVIEWS, 2, "thread", part_rows=100, progress=False).wait(60)
    done = by_ingest.ingest(REVIEWS, on_error="skip")
    pd.testing.assert_frame_equal(by_job.frame(), by_ingest.frame())
    assert (job.written, job.failed) == (done.written, done.failed) == (398, 2)
    assert [(each.step, each.row, each.part) for each in job.failures()] == [("scored", 17, 0), ("authors", None, 0)]
    assert by_job.store.online_version(by_job) == by_job.offline.version() == 0


def test_the_same_rows_again_change_nothing_however_they_come(tmp_path: Path) -> None:
    cards = authors(tmp_path / "store")
    cards.job(REVIEWS, 2, "thread", progress=False).wait(60)
    again = cards.job(REVIEWS, 2, "thread", progress=False).wait(60)
    assert (again.state, again.failed, cards.ingest(REVIEWS).skipped) == ("done", 2, True)
    assert (cards.job(REVIEWS[:30], 1, "thread", id="x", progress=False).wait(60).written, len(cards.frame())) == (
        18, 416,
    )  # fmt: skip
    assert cards.job(REVIEWS[30:60], 1, "thread", id="x", progress=False).wait(60).rows == 30
    assert (cards.offline.version(), len(list((tmp_path / "store" / "jobs").rglob("*.rows")))) == (1, 0)


def test_too_many_failures_leave_the_set_as_it_was(tmp_path: Path) -> None:
    cards = authors(tmp_path / "store")
    job = cards.job(REVIEWS, 2, "thread", max_failures=1, progress=False)
    with pytest.raises(JobError, match="2 rows failed, more than max_failures=1"):
        job.wait(60)
    assert (cards.offline.version(), cards.columns[-2:]) == (None, ["mood_avg_30d", "mood_count_30d"])


def test_a_row_that_kills_is_a_failure_and_a_set_without_steps_has_jobs_too(tmp_path: Path) -> None:
    dead = authors(tmp_path / "store", dying)
    job = dead.job(REVIEWS[KILLER - 1 : KILLER + 1], 1, retries=0, progress=False).wait(120)
    assert [(each.row, "signal 9" in each.error) for each in job.failures()] == [(1, True)]
    plain = dead.store.add(FeatureSet("plain", key="author", time="written"))
    frame = pd.DataFrame(REVIEWS)
    plain.job(frame, 1, "thread", progress=False).wait(60)
    assert (len(plain.frame()), plain.ingest(REVIEWS).skipped) == (600, True)


def test_a_stopped_job_goes_on_where_it_was(tmp_path: Path) -> None:
    cards = authors(tmp_path / "store")
    job = cards.job(REVIEWS, 1, "thread", part_rows=10, progress=False)
    job.stop()
    assert (job.state in ("stopped", "done"), cards.offline.version() in (None, 0)) == (True, True)
    assert cards.job(REVIEWS, 1, "thread", part_rows=10, progress=False).wait(60).state == "done"
    assert len(cards.frame()) == 398
