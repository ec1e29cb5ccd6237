"""The view of a job without a browser: what it shows, what it does, that it ends."""

import json
import time

import pytest

from nbgraph import Graph
from nbgraph.widgets.job import JobView
from tests.widgets.test_protocol import faults


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.setenv("NBGRAPH_JOBS", str(tmp_path / "home"))
    graph = Graph("inverse")
    graph.to(lambda body: time.sleep(0.002) or 1 / body, "inverse")
    rows = [*range(-150, 150)]
    return graph.job(rows, tmp_path / "out", engine="thread", workers=1, part_rows=50, progress=False)


@pytest.fixture
def view(job):
    view = job.view()
    view.sent = []
    view.send = lambda content, buffers=None: view.sent.append(json.loads(json.dumps(content)))
    yield view
    view.close()


def told(view, kind, state=""):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = [one for one in view.sent if one["kind"] == kind and (not state or one["state"] == state)]
        if found:
            return found[-1]
        time.sleep(0.02)
    raise TimeoutError(f"no {kind} in {view.sent}")


def test_it_looks_four_times_a_second_and_ends_with_the_job(view, job):
    began = time.monotonic()
    view.receive({"kind": "opened"})
    last = told(view, "job", "done")
    view._thread.join(5)
    most = (time.monotonic() - began) / 0.25 + 2
    shown = (last["parts"], last["of"], last["failed"], last["problem"], last["steps"])
    assert (shown, len(view.sent) <= most) == (("dddxdd", 6, 1, "", [["inverse", 300, 1]]), True)
    assert [fault for one in view.sent for fault in faults(one, "JobStatus", "job")] == []
    assert view.told == last


def test_a_failed_row_opens_in_the_debugger(view, job):
    job.wait(30)
    view.receive({"kind": "failures"})
    listed = told(view, "failures")
    view.receive({"kind": "debug", "index": 0})
    assert told(view, "child")["model"] == view._debugger.model_id
    assert ([(row["id"], row["step"], row["error"]) for row in listed["rows"]], view._debugger.debugger.at) == (
        [("150", "inverse", "ZeroDivisionError: division by zero")], "inverse",
    )  # fmt: skip


def test_stop_and_resume(view, job):
    view.receive({"kind": "opened"})
    view.receive({"kind": "stop"})
    assert told(view, "job", "stopped")["parts"].count("d") < 6
    view.receive({"kind": "resume"})
    assert told(view, "job", "done")["parts"] == "dddxdd"
    view.receive({"kind": "left"})


def test_what_stays_in_the_notebook(job):
    job.wait(30)
    view = JobView(job)
    assert view.told["words"].startswith("inverse: 6 of 6 parts, 300 rows, ")
    view.close()
