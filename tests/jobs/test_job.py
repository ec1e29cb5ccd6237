"""Jobs: what a job writes is what the graph answers, whatever is killed meanwhile."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nbgraph import Event, Graph, Job, JobError

Row = dict[str, Any]


def rows_of(number: int) -> list[Row]:
    return [{"x": at, "name": f"n{at % 7}"} for at in range(number)]


def chain(middle: Callable[[Row], Any] = lambda row: {**row, "y": row["x"] / 2}) -> Graph:
    graph = Graph("chain")
    graph.to(lambda row: {**row, "x": row["x"] + 1}, "more").to("Filter", "some", fn="event['x'] % 3").to(
        middle, "last"
    )
    return graph


def outcome(job: Job) -> dict[str, Any]:
    return {"state": job.state, "done": job.done, "rows": job.rows, "written": job.written, "failed": job.failed}


def test_the_parts_in_order_hold_what_stream_answers(tmp_path: Path) -> None:
    graph, rows = chain(), rows_of(2_500)
    job = graph.job(rows, tmp_path / "out", workers=2, part_rows=250, progress=False).wait(60)
    pd.testing.assert_frame_equal(job.result(), pd.DataFrame(graph.stream(rows)))
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert files == ["_SUCCESS", "_job", *(f"part-{n:05}.parquet" for n in range(10))]


@pytest.mark.parametrize("target", ["out", "out.csv", "out.jsonl"])
def test_each_form_of_target_reads_as_it_was(tmp_path: Path, target: str) -> None:
    graph, rows = chain(), rows_of(100)
    job = graph.job(rows, tmp_path / target, engine="thread", workers=2, part_rows=30, progress=False).wait(60)
    pd.testing.assert_frame_equal(job.result(), pd.DataFrame(graph.stream(rows)))


def test_frames_generators_events_and_single_values(tmp_path: Path) -> None:
    def numbers() -> Iterator[int]:
        yield from range(100)

    frame = pd.DataFrame({"x": range(100), "at": pd.date_range("2013-01-01", periods=100, tz="UTC")}).set_index("x")
    sources: list[tuple[Any, Any]] = [
        (frame, lambda row: row),
        (numbers(), lambda body: body * 1.5),
        ([Event((at, [at]), key=at) for at in range(100)], lambda body: body),
    ]
    for number, (source, handler) in enumerate(sources):
        graph = Graph("g")
        graph.to(handler, "step")
        kept = list(source) if isinstance(source, Iterator) else source
        given = iter(kept) if isinstance(source, Iterator) else source
        folder = tmp_path / str(number)
        job = graph.job(given, folder, engine="thread", workers=2, part_rows=30, progress=False).wait(60)
        pd.testing.assert_frame_equal(job.result(), pd.DataFrame(graph.stream(kept)))


def test_a_row_that_fails_is_put_aside_and_can_be_stepped(tmp_path: Path) -> None:
    graph = Graph("inverse")
    graph.to(lambda row: {**row, "y": row["x"] - 17}, "less").to(lambda row: {**row, "z": 1 / row["y"]}, "inverse")
    job = graph.job(rows_of(1_000), tmp_path / "other", workers=2, part_rows=100, progress=False).wait(60)
    failure = job.failures()[0]
    debugger = graph.debug(failure)
    assert (outcome(job), failure.row, failure.part, failure.step, failure.error, failure.event.body) == (
        {"state": "done", "done": 10, "rows": 1000, "written": 999, "failed": 1},
        17, 0, "inverse", "ZeroDivisionError: division by zero", {"x": 17, "name": "n3"},
    )  # fmt: skip
    assert debugger.current is not None
    assert (debugger.current.step, debugger.current.input) == ("inverse", {"x": 17, "name": "n3", "y": 0})


def test_more_failures_than_allowed_end_the_job_and_name_the_error(tmp_path: Path) -> None:
    graph = Graph("g")
    graph.to(lambda row: 1 / (row["x"] % 400), "inverse")
    for allowed, told in ((2, "max_failures=2"), ("0.2%", "max_failures=0.2%")):
        with pytest.raises(JobError, match=rf"3 rows failed, more than {told}; .* 3 times: ZeroDivisionError"):
            graph.job(
                rows_of(1_000), tmp_path / str(allowed), engine="thread", max_failures=allowed, progress=False
            ).wait(60)


def test_a_row_that_kills_its_process_is_found_and_named(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    pids.mkdir()

    def deadly(row: Row) -> Row:
        (pids / str(os.getpid())).touch()
        if row["x"] == 777:
            os.kill(os.getpid(), signal.SIGKILL)
        return row

    graph = Graph("g")
    graph.to(lambda row: row, "first").to(deadly, "deadly")
    job = graph.job(rows_of(1_000), tmp_path / "out", workers=2, part_rows=200, progress=False).wait(120)
    failure = job.failures()[0]
    assert job.result()["x"].tolist() == [at for at in range(1_000) if at != 777]
    assert (failure.row, failure.step, failure.error) == (777, "deadly", "killed the worker (signal 9)")
    assert len(list(pids.iterdir())) <= 2 + 2 * 8 + 2  # workers, halvings of 200 rows, retries


def test_what_remembers_is_cut_by_key_or_not_at_all(tmp_path: Path) -> None:
    graph = Graph("g")
    graph.to("MapWithState", "count", initial_state=0, fn="({**event, 'n': state + 1}, state + 1)", group_by_key=True)
    rows = rows_of(1_000)
    with pytest.raises(JobError, match=r'Step "count" remembers by the key of the events.*workers=1'):
        graph.job(rows, tmp_path / "out", progress=False)
    job = graph.job(rows, tmp_path / "out", key="name", workers=2, part_rows=300, progress=False).wait(60)
    expected = pd.DataFrame(graph.stream(rows, key="name"))
    for name, group in job.result().groupby("name"):
        told = expected[expected["name"] == name]
        pd.testing.assert_frame_equal(group.reset_index(drop=True), told.reset_index(drop=True))
    whole = Graph("sum")
    whole.to("Reduce", initial_value=0, fn="state + event['x']")
    with pytest.raises(JobError, match=r'Step "Reduce" remembers over all events.*workers=1'):
        whole.job(rows, tmp_path / "sum", progress=False)
    job = whole.job(rows, tmp_path / "sum", workers=1, part_rows=300, progress=False).wait(60)
    assert job.result()[0].tolist() == [sum(range(1_000))]


def test_resume_runs_what_is_missing_and_refuses_what_has_changed(tmp_path: Path) -> None:
    rows = rows_of(1_000)
    mark = tmp_path / "ran"

    def noted(row: Row) -> Row:
        if row["x"] % 100 == 1:
            with mark.open("a") as file:
                file.write("x")
        return row

    graph = Graph("noted")
    graph.to(noted, "noted")
    job = graph.job(rows, tmp_path / "out", engine="thread", part_rows=100, progress=False).wait(60)
    whole = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("part-*")}
    (tmp_path / "out" / "part-00003.parquet").unlink()
    (tmp_path / "out" / "_SUCCESS").unlink()
    job = graph.job(rows, tmp_path / "out", engine="thread", part_rows=100, progress=False).wait(60)
    again = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("part-*")}
    assert (outcome(job)["done"], len(mark.read_text()), again == whole) == (10, 11, True)
    with pytest.raises(JobError, match="The source has changed: part 9 of it"):
        graph.job([*rows[:-1], {"x": 0, "name": ""}], tmp_path / "out", engine="thread", part_rows=100,
                  progress=False).wait(60)  # fmt: skip
    other = Graph("noted")
    other.to(lambda row: row, "noted")
    with pytest.raises(JobError, match=r'Graph "noted" has changed \(step "noted"\)'):
        other.job(rows, tmp_path / "out", engine="thread", part_rows=100, progress=False)
    job = other.job(rows[:5], tmp_path / "out", engine="thread", resume=False, progress=False).wait(60)
    assert (len(job.result()), sorted(path.name for path in tmp_path.iterdir())) == (5, ["home", "out", "ran"])


def test_a_job_is_found_by_its_folder_and_by_its_name(tmp_path: Path) -> None:
    graph, rows = chain(), rows_of(100)
    job = graph.job(rows, tmp_path / "out.csv", engine="thread", part_rows=30, progress=False).wait(60)
    others = [Job.attach(tmp_path / "out.csv"), Job.attach("chain"), Job.attach(job.folder)]
    assert [outcome(other) for other in others] == [outcome(job)] * 3
    assert others[0].result().equals(job.result())
    with pytest.raises(JobError, match='There is no job in "nothing"'):
        Job.attach("nothing")


def test_events_are_counted_by_step(tmp_path: Path) -> None:
    graph = Graph("g")
    graph.to("Filter", "even", fn="event % 2 == 0").to(lambda x: 1 / x, "inverse").to(
        "FlatMap", "twice", fn="[event] * 2"
    )
    job = graph.job(range(100), tmp_path / "out", engine="thread", workers=2, part_rows=30, progress=False).wait(60)
    assert job.pulse()["steps"] == {"even": (100, 0), "inverse": (50, 1), "twice": (49, 0)}
    assert (Job.attach(tmp_path / "out").pulse()["steps"], job.written) == (job.pulse()["steps"], 98)


def test_queues_are_passed_over_and_functions_run_in_the_worker(tmp_path: Path) -> None:
    graph = Graph("g")
    graph.to(lambda x: x + 1, "more").to("Queue", "between").to(lambda x: x * 2, "twice", function="other")
    job = graph.job(range(100), tmp_path / "out", workers=2, part_rows=30, progress=False).wait(60)
    assert job.result()[0].tolist() == list(graph.stream(range(100)))
