"""The live widget without a browser: what it sends, how often, and that closing frees what it held."""

import gc
import json
import weakref

import pandas
import pytest

from nbgraph import Graph, StepError
from nbgraph.widgets.graph import GraphWidget
from tests.widgets.views import double, fail, watched


def refuse(text):
    raise ValueError(f"no {text}")


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
