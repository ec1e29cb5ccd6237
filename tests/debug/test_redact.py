"""Redacted fields: runs see them, frames, saved traces and views do not."""

import json
from dataclasses import dataclass

import pandas
import pytest

from nbgraph import Graph, NbgraphError, StepError
from nbgraph.debug.redact import redacted
from nbgraph.widgets.debugger import DebugWidget
from nbgraph.widgets.graph import GraphWidget

SECRET = "4111-1111"


def charge(body):
    return {**body, "charged": body["card"] == SECRET}


@pytest.fixture
def graph() -> Graph:
    graph = Graph("shop")
    graph.to(charge).to(lambda body: body, "save").respond()
    graph.redacted = {"card"}
    return graph


@dataclass(frozen=True)
class Payment:
    card: str
    amount: int


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"card": SECRET, "n": [{"card": SECRET}]}, {"card": "•••", "n": [{"card": "•••"}]}),
        ((1, {"a": {"card": SECRET}}), (1, {"a": {"card": "•••"}})),
        (Payment(SECRET, 3), Payment("•••", 3)),
        ({"payment": Payment(SECRET, 3)}, {"payment": Payment("•••", 3)}),
        ([SECRET, None, 1.5], [SECRET, None, 1.5]),
    ],
)
def test_fields_are_dotted_at_any_depth(value, expected):
    assert redacted(value, {"card"}) == expected


def test_columns_are_dotted_and_the_table_is_left_as_it_was():
    table = pandas.DataFrame({"card": [SECRET], "n": [1]})
    shown = redacted({"table": table}, {"card"})["table"]
    assert (shown.to_dict("list"), table["card"][0]) == ({"card": ["•••"], "n": [1]}, SECRET)


def test_a_saved_trace_does_not_tell_and_the_run_is_as_ever(graph, tmp_path):
    whole = graph.to_dict()
    trace = graph.trace({"card": SECRET})
    assert trace.frames[0].output == {"card": "•••", "charged": True}
    assert SECRET not in trace.save(tmp_path / "trace.json").read_text()
    assert (graph.run({"card": SECRET})["card"], "card" in json.dumps(whole)) == (SECRET, False)


def test_a_big_value_is_not_told_by_its_preview_either(graph):
    frame = graph.trace({"card": SECRET, "big": ["x" * 1000] * 3000}).frames[0]
    assert ("not kept" in repr(frame.input), SECRET in repr(frame)) == (True, False)


def test_a_changed_input_keeps_what_is_dotted(graph):
    debugger = graph.debug({"card": SECRET, "n": 1})
    debugger.set_input(debugger.current.input | {"n": 2})
    assert debugger.resume() == {"card": SECRET, "n": 2, "charged": True}
    assert SECRET not in repr((debugger.trace.frames, debugger.branches, debugger.trace.answer))


def test_dots_are_not_pinned(graph):
    debugger = graph.debug({"card": SECRET})
    with pytest.raises(NbgraphError, match='pin at "charge" has redacted fields'):
        debugger.pin("charge", debugger.next().output)


def test_views_show_dots(graph):
    widgets = GraphWidget(graph), DebugWidget(graph.debug({"card": SECRET}))
    sent = []
    for widget in widgets:
        widget.send = lambda content, buffers=None: sent.append(json.dumps(content))
    graph.run({"card": SECRET})
    for what in ("next", "continue"):
        widgets[1].session.do(what).result(10)
    for widget in widgets:
        widget.monitor.flush()
        for message in ({"kind": "inspect", "step": "n0"}, {"kind": "events"}, {"kind": "frame", "index": 0}):
            widget.receive(message)
        for row in widget.monitor.events("", only_failed=False, slower=0):
            widget.receive({"kind": "event", "id": row["id"]})
        widget.close()
    assert (SECRET in "".join(sent), "\\u2022" in "".join(sent)) == (False, True)


def test_errors_and_texts_do_not_tell_what_a_field_held(tmp_path):
    graph = Graph("shop")
    graph.to(lambda body: f"paying with {body['card']}", "words").to(refuse).respond()
    graph.redacted = {"card"}
    trace = graph.trace({"card": SECRET})
    assert [frame.output for frame in trace.frames] == ["paying with •••", None]
    assert str(trace.error) == 'StepError: Step "refuse" failed: ValueError: not paying with •••'
    assert SECRET not in trace.save(tmp_path / "trace.json").read_text() + repr(trace) + str(trace.frames[1].error)
    with pytest.raises(StepError, match=SECRET):
        graph.run({"card": SECRET})


def refuse(text):
    raise ValueError(f"not {text}")
