"""Jobs in containers of a real Docker daemon: the same answers whatever is killed, and nothing is left behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from nbgraph import Graph, Job, JobError
from tests.lab import needs

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

pytestmark = [
    needs.needs_docker(), pytest.mark.timeout(400),
    pytest.mark.filterwarnings("ignore:unclosed <StreamWriter:ResourceWarning"),  # of a client whose server was killed
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]  # fmt: skip
Row = dict[str, Any]


def worked(row: Row) -> Row:
    import os
    import time

    time.sleep(row.get("pause", 0))
    if row["x"] == row.get("deadly"):
        os.kill(os.getpid(), 9)
    return {**row, "inverse": 1 / row["x"]}


class Signed:
    """Asks for a secret, and keeps to itself what has come."""

    def __init__(self, context: Any) -> None:
        self.secret = context.secret("job_salt")

    def do(self, row: Row) -> Row:
        return {**row, "signed": f"{row['x']}{self.secret}"}


def graph() -> Graph:
    """One for all stories, so that there is one image."""
    made = Graph("Jobs of tests")
    made.to(worked, "worked").to(Signed, "signed").to("Filter", "third", fn="event['x'] % 3")
    return made


@pytest.fixture(autouse=True)
def salt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("job_salt", "pepper")


@pytest.fixture
def daemon() -> Iterator[DockerClient]:
    import docker

    client = docker.from_env()
    yield client
    client.close()


def containers(daemon: DockerClient) -> list[Container]:
    return list(daemon.containers.list(all=True, filters={"label": "nbgraph.graph=Jobs of tests"}, ignore_removed=True))


def until(condition: Any, seconds: float = 200) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.1)


def test_what_kills_costs_a_part_and_the_answers_are_those_of_stream(tmp_path: Path, daemon: DockerClient) -> None:
    rows = [{"x": at, "pause": 0.01, "deadly": 77} for at in range(160)]
    rows[150]["x"] = 0
    job = graph().job(rows, tmp_path / "out", engine="docker", workers=2, part_rows=10, retries=1, progress=False)
    until(lambda: job.done > 1 or job.state != "running")
    for word in ("job-worker", "broker"):
        next(one for one in containers(daemon) if one.labels["nbgraph.function"] == word).kill()
    job.wait(120)
    expected = pd.DataFrame(graph().stream([row for row in rows if row["x"] not in (0, 77)]))
    pd.testing.assert_frame_equal(job.result(), expected)
    assert [(one.row, one.step, one.error) for one in job.failures()] == [
        (0, "worked", "ZeroDivisionError: division by zero"),
        (77, "worked", "killed the worker (signal 9)"),
        (150, "worked", "ZeroDivisionError: division by zero"),
    ]
    assert (containers(daemon), job.written) == ([], len(expected))


SCRIPT = """
    import sys
    from pathlib import Path
    sys.path.insert(0, {root!r})
    from tests.jobs.test_docker import SLOW, graph
    job = graph().job(SLOW, {folder!r}, engine="docker", workers=1, part_rows=20, progress=False)
    job.wait()
"""
SLOW = [{"x": at + 1, "pause": 0.02} for at in range(200)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_a_job_whose_process_ends(tmp_path: Path, daemon: DockerClient, number: int) -> None:
    script, out = tmp_path / "script.py", tmp_path / "out"
    script.write_text(textwrap.dedent(SCRIPT).format(root=str(Path(__file__).parents[2]), folder=str(out)))
    with subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL) as process:
        until(lambda: list(out.glob("part-*")) or process.poll() is not None)
        process.send_signal(number)
        process.wait(20)
    until(lambda: containers(daemon) == [], 40 if number == signal.SIGKILL else 1)
    before = len(list(out.glob("part-*")))
    state = Job.attach(out).state
    job = graph().job(SLOW, out, engine="thread", workers=8, part_rows=20, progress=False).wait(60)
    found = job.result()[["x", "signed"]].itertuples(index=False, name=None)
    expected = [(row["x"], f"{row['x']}pepper") for row in SLOW if row["x"] % 3]
    assert (state, 0 < before < 10, list(found)) == ("stopped", True, expected)


def test_what_an_image_has_not_is_refused_before_it_is_made(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="name a field as the key"):
        graph().job([{"x": 1}], tmp_path / "out", engine="docker", key=lambda row: row["x"], progress=False)
