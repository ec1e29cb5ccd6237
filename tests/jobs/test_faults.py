"""Faults: real kills of workers and of the job's own process, two at once, Ctrl-C, a full disk."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nbgraph import Graph, Job, JobError

Row = dict[str, Any]
ROWS = [{"x": at} for at in range(1_000)]


def slow(folder: Path) -> Graph:
    """A graph that needs a hundredth of a second a row, tells in whose process, and waits for nobody."""
    graph = Graph("slow")

    def work(row: Row) -> Row:
        import os
        import time

        time.sleep(0.002)
        (folder / "pids" / str(os.getpid())).touch()
        return {**row, "y": row["x"] * 2}

    (folder / "pids").mkdir(exist_ok=True)
    graph.to(work, "work")
    return graph


def until(condition: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pids(folder: Path) -> list[int]:
    return [int(path.name) for path in (folder / "pids").iterdir()]


def parts(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("part-*")}


def test_a_worker_that_is_killed_costs_its_part_once_more(tmp_path: Path) -> None:
    graph = slow(tmp_path)
    job = graph.job(ROWS, tmp_path / "out", workers=2, part_rows=250, progress=False)
    until(lambda: pids(tmp_path))
    os.kill(pids(tmp_path)[0], signal.SIGKILL)
    job.wait(60)
    assert (job.result()["y"].tolist(), job.failed, job.status()["tries"].sum()) == (
        [at * 2 for at in range(1_000)], 0, 5,
    )  # fmt: skip


SCRIPT = """
    import sys
    from pathlib import Path
    sys.path.insert(0, {root!r})
    from tests.jobs.test_faults import ROWS, slow
    folder = Path({folder!r})
    if __name__ == "__main__":
        job = slow(folder).job(ROWS, folder / "out", workers=2, part_rows=50, progress=False)
        print("begun", flush=True)
        job.wait()
"""


@contextlib.contextmanager
def begun(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A script that runs the job in a process of its own."""
    script = folder / "script.py"
    script.write_text(textwrap.dedent(SCRIPT).format(root=str(Path(__file__).parents[2]), folder=str(folder)))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, str(script)], **pipes, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            yield process
        finally:
            process.kill()


def test_the_jobs_own_process_is_killed_and_another_goes_on(tmp_path: Path) -> None:
    graph = slow(tmp_path)
    with begun(tmp_path) as process:
        until(lambda: len(parts(tmp_path / "out")) > 2)
        with pytest.raises(JobError, match=f"is worked on by process {process.pid}"):
            graph.job(ROWS, tmp_path / "out", part_rows=50, progress=False)
        process.kill()
        process.wait()
    before = set(parts(tmp_path / "out"))
    states = [Job.attach(tmp_path / "out").state]
    job = graph.job(ROWS, tmp_path / "out", workers=2, part_rows=50, progress=False).wait(60)
    undisturbed = graph.job(ROWS, tmp_path / "other", engine="thread", workers=2, part_rows=50, progress=False).wait(60)
    until(lambda: not any(lives(pid) for pid in pids(tmp_path) if pid != os.getpid()), 5)
    assert (states, job.state, 2 < len(before) < 20) == (["stopped"], "done", True)
    assert parts(tmp_path / "out") == parts(undisturbed.folder)


def test_ctrl_c_ends_the_workers_and_leaves_a_job_that_can_be_resumed(tmp_path: Path) -> None:
    with begun(tmp_path) as process:
        until(lambda: len(parts(tmp_path / "out")) > 2)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.wait(10)
        seconds = time.monotonic() - began
    alive = [pid for pid in pids(tmp_path) if lives(pid)]
    state = Job.attach(tmp_path / "out").state
    job = slow(tmp_path).job(ROWS, tmp_path / "out", workers=2, part_rows=50, progress=False).wait(60)
    assert (seconds < 5, alive, state, len(job.result())) == (True, [], "stopped", 1_000)


def test_stop_and_resume(tmp_path: Path) -> None:
    job = slow(tmp_path).job(ROWS, tmp_path / "out", workers=2, part_rows=100, progress=False)
    until(lambda: job.done > 1)
    seen = {len(pd.read_parquet(path)) for path in (tmp_path / "out").glob("part-*")}
    job.stop()
    stopped = job.state, job.done < 10, seen, (tmp_path / "out" / "_SUCCESS").exists()
    assert (stopped, job.resume().wait(60).state, job.result()["x"].tolist()) == (
        ("stopped", True, {100}, False), "done", list(range(1_000)),
    )  # fmt: skip


def test_a_source_is_read_no_further_ahead_than_the_workers_are(tmp_path: Path) -> None:
    read: list[int] = []
    gate = threading.Event()

    def rows() -> Iterator[Row]:
        for at in range(300):
            read.append(at)
            yield {"x": at}

    graph = Graph("g")
    graph.to(lambda row: row if gate.wait(30) else None, "gated")
    job = graph.job(rows(), tmp_path / "out", engine="thread", workers=2, part_rows=10, progress=False)
    until(lambda: len(read) >= 40)
    time.sleep(0.3)
    ahead, spilled = len(read), len(list((tmp_path / "out" / "_job" / "spill").iterdir()))
    gate.set()
    job.wait(60)
    assert (ahead, spilled, job.written) == (40, 4, 300)  # two parts under way, and two that wait


def test_several_rows_that_kill_and_one_that_ends_its_process_politely(tmp_path: Path) -> None:
    def deadly(row: Row) -> Row:
        if row["x"] in (3, 4, 13):
            os._exit(3) if row["x"] == 13 else os.kill(os.getpid(), signal.SIGSEGV)
        return row

    graph = Graph("g")
    graph.to(deadly, "deadly")
    job = graph.job(ROWS[:16], tmp_path / "out", workers=1, part_rows=16, retries=0, progress=False).wait(120)
    found = [(one.row, one.error) for one in job.failures()]
    segment, politely = "killed the worker (signal 11)", "killed the worker (exit status 3)"
    assert (found, len(job.result())) == ([(3, segment), (4, segment), (13, politely)], 13)


def test_the_old_result_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    graph = slow(tmp_path)
    graph.job(ROWS[:100], tmp_path / "out", engine="thread", progress=False).wait(60)
    job = graph.job(ROWS, tmp_path / "out", engine="thread", workers=2, part_rows=100, resume=False, progress=False)
    until(lambda: job.done > 1)
    meanwhile = len(pd.read_parquet(tmp_path / "out"))
    job.wait(60)
    assert (meanwhile, len(pd.read_parquet(tmp_path / "out")), sorted(path.name for path in tmp_path.iterdir())) == (
        100, 1_000, ["home", "out", "pids"],
    )  # fmt: skip


def test_a_module_that_is_newer_on_disk_than_here_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "own_steps_of_jobs.py"
    module.write_text("def double(row):\n    return {'x': row['x'] * 2}\n")
    graph = Graph("g")
    graph.to(importlib.import_module("own_steps_of_jobs").double, "double")
    first = graph.job(ROWS[:10], tmp_path / "out", workers=1, progress=False).wait(60)
    module.write_text("def double(row):\n    return {'x': row['x'] * 20000}\n")
    with pytest.raises(JobError, match='step "double" uses a module whose file is not what'):
        graph.job(ROWS[:10], tmp_path / "other", workers=1, progress=False).wait(60)
    assert first.result()["x"].tolist() == [at * 2 for at in range(10)]


def test_a_full_disk_fails_the_job_and_keeps_what_is_done(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"a small disk can't be mounted here: {mounted.stderr.decode().strip()}")
    try:
        graph = Graph("g")
        graph.to(lambda row: {**row, "noise": os.urandom(500).hex()}, "noise")
        job = graph.job(ROWS, disk / "out", workers=1, part_rows=100, progress=False)
        with pytest.raises(JobError, match=f"No space left on device: {disk}.*Parts that are done stay"):
            job.wait(60)
        assert (job.state, len(job.result()), len(parts(disk / "out"))) == ("failed", job.done * 100, job.done)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_step_that_can_not_travel_is_named(tmp_path: Path) -> None:
    lock = __import__("threading").Lock()
    graph = Graph("g")
    graph.to(lambda row: row, "first").to(lambda row: lock and row, "locked")
    with pytest.raises(JobError, match=r'step "locked" can\'t go to another process.*engine="thread"'):
        graph.job(ROWS, tmp_path / "out", progress=False)
    assert graph.job(ROWS, tmp_path / "out", engine="thread", progress=False).wait(60).written == 1_000
