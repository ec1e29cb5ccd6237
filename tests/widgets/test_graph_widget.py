"""The live widget without a browser: what it sends, how often, and that closing frees what it held."""

import gc
import json
import threading
import time
import weakref

import pandas
import pytest

from nbgraph import Graph, StepError
from nbgraph.steps import Queue
from nbgraph.widgets.graph import GraphWidget
from nbgraph.widgets.live.monitor import Monitor
from nbgraph.widgets.values.preview import shown


def double(body):
    return body * 2


def fail(body):
    raise ValueError("no luck\nsecond line")


def watched(graph: Graph) -> tuple[GraphWidget, list]:
    widget = GraphWidget(graph)
    sent: list = []
    widget.send = lambda content, buffers=None: sent.append(json.loads(json.dumps(content)))
    return widget, sent


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


def test_an_error_stands_on_its_step_with_its_first_line():
    graph = Graph("bad")
    graph.to(double).to(fail)
    widget, sent = watched(graph)
    with pytest.raises(StepError):
        graph.run(1)
    widget.monitor.flush()
    assert widget.monitor.states() == {"double": "done", "fail": "failed"}
    assert sent[-1]["steps"]["n1"][6] == "ValueError: no luck"
    widget.close()


def test_a_step_shows_what_went_in_though_it_was_changed_later():
    graph = Graph("mutating")
    graph.to(lambda body: body.update(a=2) or body, "change")
    widget, sent = watched(graph)
    graph.run({"a": 1})
    widget.receive({"kind": "inspect", "step": "n0"})
    found = sent[-1]
    assert (found["input"]["items"], found["output"]["items"]) == (
        [["'a'", {"kind": "number", "text": "1"}]],
        [["'a'", {"kind": "number", "text": "2"}]],
    )
    widget.close()


def test_a_changed_graph_is_drawn_anew_in_every_view():
    graph = Graph("grows")
    graph.to(double)
    one, two = GraphWidget(graph), GraphWidget(graph)
    other = Graph("grows")
    other.to(double).to(str, "text")
    graph.become(other)
    one.monitor.flush()
    assert [[step["name"] for step in view.picture["steps"]] for view in (one, two)] == [["double", "text"]] * 2
    one.close()
    two.close()


def test_breakpoints_are_kept_by_name_and_shared_by_views():
    graph = Graph("stops")
    graph.to(double)
    one, two = GraphWidget(graph), GraphWidget(graph)
    one.receive({"kind": "break", "step": "n0", "on": True})
    one.monitor.flush()
    assert (one.breakpoints, two.breakpoints) == (["double"], ["double"])
    one.close()
    two.close()


def test_a_closed_view_leaves_nothing_on_the_graph():
    graph = Graph("free")
    graph.to(double)
    widget = GraphWidget(graph)
    assert len(graph.observers) == 1
    widget.close()
    assert (graph.observers, graph._listeners) == ([], [])
    gone = weakref.ref(widget)
    del widget
    gc.collect()
    assert gone() is None


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
    assert Monitor.on(graph).record("double").count == 800
    widget.close()


def test_the_module_is_small():
    assert len(GraphWidget._esm.encode()) <= 60_000


class Odd:
    def __repr__(self):
        raise RuntimeError("no words")

    def __len__(self):
        return -1


def test_any_value_is_shown_in_bounds():
    loop: list = []
    loop.append(loop)
    values = [
        loop, Odd(), "x" * 10**6, list(range(10**5)), {"a": "y" * 10**6}, b"\xff" * 10**6, 10**5000, "\ud800",
        (n for n in range(3)), {f"k{n}": ["v" * 3000] * 50 for n in range(200)}, float("nan"), object, threading.Lock(),
    ]  # fmt: skip
    assert max(len(json.dumps(shown(value))) for value in values) <= 100_000


def test_steps_of_an_inner_graph_are_followed():
    inner = Graph("inner")
    inner.to(double).to(str, "text")
    graph = Graph("outer")
    graph.to(double).to(inner, "tidy").to(len)
    widget, sent = watched(graph)
    graph.run(5)
    widget.monitor.flush()
    widget.receive({"kind": "hello"})
    widget.receive({"kind": "inspect", "step": "n1_n1"})
    assert {id: line[0] for id, line in sent[-2]["steps"].items()} == dict.fromkeys(
        ["n0", "n1", "n1_n0", "n1_n1", "n2"], "done"
    )
    assert (sent[-2]["lines"], sent[-1]["output"]["text"]) == ({"e0": 1, "n1_e0": 1, "e1": 1}, "20")
    widget.close()


def test_a_view_that_no_browser_shows_lets_the_graph_go_until_it_is_shown_again():
    graph = Graph("shown")
    graph.to(double)
    widget, sent = watched(graph)
    watchers = [len(graph.observers)]
    for kind in ("opened", "opened", "left", "left", "opened"):
        widget.receive({"kind": kind})
        watchers.append(len(graph.observers))
    graph.run(1)
    widget.monitor.flush()
    assert (watchers, sent[-1]["steps"]["n0"][0]) == ([1, 1, 1, 1, 0, 1], "done")
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
        "double": ("", 0), "later": ("full: 2 wait, and what fills it waits", 1.0), "text": ("held: 1 waits", 0),
    }  # fmt: skip
    assert answers == ["0", "2", "4", "6"]
    widget.close()


def wait_until(holds) -> None:
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_is_redacted_is_in_no_message():
    graph = Graph("secret")
    graph.to(lambda body: f"card {body['card']}", "words").to(refuse)
    graph.redacted = {"card"}
    widget, sent = watched(graph)
    with pytest.raises(StepError):
        graph.run({"card": "4111-1111", "table": pandas.DataFrame({"card": ["4111-1111"] * 80})}, id="one")
    widget.monitor.flush()
    for step in ("n0", "n1"):
        widget.receive({"kind": "inspect", "step": step})
    table = next(item for key, item in sent[-2]["input"]["items"] if key == "'table'")
    widget.receive({"kind": "rows", "ref": table["ref"], "page": 1, "text": ""})
    widget.receive({"kind": "part", "token": "1", "of": {"step": "n0", "side": "output"}, "path": [], "from": 0})
    widget.receive({"kind": "events"})
    widget.receive({"kind": "event", "id": "one"})
    assert (len(sent[-4]["rows"]), "4111-1111" in json.dumps(sent), "•••" in json.dumps(sent, ensure_ascii=False)) == (
        30, False, True,
    )  # fmt: skip
    widget.close()


def refuse(text):
    raise ValueError(f"no {text}")
