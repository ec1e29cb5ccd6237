"""The monitor behind live views: few messages, many threads, the last events, queues."""

import threading
import time

import pytest

from nbgraph import Graph, StepError
from nbgraph.steps import Queue
from nbgraph.widgets.live.activity import RunActivity
from tests.widgets.views import double, fail, watched


def wait_until(holds) -> None:
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_run_is_told_in_few_messages():
    graph = Graph("twice")
    graph.to(double).to(str, "text")
    widget, sent = watched(graph)
    began = time.monotonic()
    for number in range(2000):
        graph.run(number)
    widget.monitor.flush()
    seconds = time.monotonic() - began
    last = {}
    for message in sent:
        last |= {**message["steps"], **message["lines"]}
    assert (last["n0"][:3], last["n1"][:3], last["e0"]) == (["done", 2000, 0], ["done", 2000, 0], 2000)
    assert len(sent) <= 30 * seconds + 3
    widget.close()


def test_many_threads_may_run_the_graph():
    graph = Graph("threads")
    graph.to(double)
    widget, _ = watched(graph)
    threads = [threading.Thread(target=lambda: [graph.run(1) for _ in range(200)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    widget.monitor.flush()
    assert RunActivity.on(graph).record("double").count == 800
    widget.close()


def test_the_last_events_are_found_and_opened():
    graph = Graph("events")
    graph.to(double).to(fail)
    widget, sent = watched(graph)
    for body in (1, 2):
        with pytest.raises(StepError):
            graph.run(body, id=f"event-{body}")
    widget.receive({"kind": "events", "text": "EVENT-2", "failed": True})
    widget.receive({"kind": "event", "id": "event-2"})
    widget.receive({"kind": "line", "line": "e0"})
    rows, stops, line = (message.get("rows") or message.get("stops") for message in sent[-3:])
    assert [(row["id"], row["steps"], row["error"]) for row in rows] == [
        ("event-2", 2, 'StepError: Step "fail" failed: ValueError: no luck')
    ]
    assert [(stop["step"], stop["input"]["text"], stop["error"]) for stop in stops] == [
        ("double", "2", ""), ("fail", "4", "ValueError: no luck"),
    ]  # fmt: skip
    assert [(row["id"], row["output"]["text"]) for row in line] == [("event-2", "4"), ("event-1", "2")]
    widget.close()


def test_a_step_is_held_and_the_queue_before_it_tells_how_full_it_is():
    graph = Graph("line")
    graph.to(double).to(Queue("later", max_size=2)).to(str, "text").respond()
    widget, sent = watched(graph)
    widget.receive({"kind": "hold", "step": "n2", "on": True})
    refused = sent[-1]["text"]
    with graph.start() as run:
        run.push(0).result(5)
        widget.receive({"kind": "hold", "step": "n2", "on": True})
        futures = [run.push(number) for number in range(4)]
        wait_until(lambda: widget.monitor.states() == {"double": "done", "later": "waiting", "text": "paused"})
        notes = {name: record.now()[6:] for name, record in widget.monitor.records.items()}
        widget.receive({"kind": "hold", "step": "n2", "on": False})
        answers = [future.result(5) for future in futures]
        wait_until(lambda: set(widget.monitor.states().values()) == {"done"})
    assert "graph.start() makes a run" in refused
    assert notes == {
        "double": ("", 0), "later": ("full: 2 wait, senders are blocked", 1.0), "text": ("held: 1 waits", 0),
    }  # fmt: skip
    assert answers == ["0", "2", "4", "6"]
    widget.close()


def test_what_steps_print_stands_beside_their_last_event_and_in_its_path():
    graph = Graph("loud")
    graph.to(lambda body: print("got", body) or body, "say").to(len)
    widget, sent = watched(graph)
    list(graph.stream(["a", "bc"]))
    widget.receive({"kind": "inspect", "step": "n0"})
    inspected = sent[-1]["printed"]
    id = widget.monitor.events("", only_failed=False, slower=0)[-1]["id"]
    path = [stop["printed"] for stop in widget.monitor.path(id)]
    widget.close()
    assert (inspected, path) == ("got bc\n", ["got a\n", ""])


def test_an_event_that_comes_alone_is_kept_whole_whatever_its_first_step_costs(monkeypatch):
    class Costly:
        def __repr__(self):
            deadline = time.thread_time() + 0.06
            while time.thread_time() < deadline:
                pass
            return "Costly"

    graph = Graph("g")
    graph.to(lambda body: Costly(), "make").to(lambda body: {"n": 1}, "name").to(str, "text")
    widget, sent = watched(graph)
    graph.run(1)
    graph.run(1)
    time.sleep(0.6)
    graph.run(1)
    for id in ("n0", "n1", "n2"):
        widget.receive({"kind": "inspect", "step": id})
    late = [message[side].get("late", False) for message in sent if message["kind"] == "inspected"
            for side in ("input", "output")]  # fmt: skip
    widget.close()
    assert late == [False] * 6
