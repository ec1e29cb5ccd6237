"""What a step reports goes where the graph's host wants it."""

import math

import pytest

from nbgraph import Graph, StepError
from nbgraph.engine.context import Context
from nbgraph.errors import NbgraphError


class Counted:
    def __init__(self, context):
        self.context = context

    def do(self, body):
        self.context.metric("size", len(body))
        self.context.count("rows", len(body))
        self.context.observe("row", body[0])
        return body


def test_metrics_of_a_step_reach_whoever_collects_them():
    graph = Graph("counted")
    graph.to(Counted, "count")
    for body in ([1, 2, 3], [4]):
        graph.run(body)
    assert graph.reported.to_dict() == {"count": {"size": 1, "rows": 4, "row": {"count": 2, "sum": 5}}}


def test_what_is_no_number_is_refused_by_its_name():
    context = Context("g", "score")
    wrong = [
        lambda: context.metric("size", "many"),
        lambda: context.count("rows", -1),
        lambda: context.observe("row", math.nan),
        lambda: context.count(""),
    ]
    messages = []
    for report in wrong:
        with pytest.raises(NbgraphError) as caught:
            report()
        messages.append(str(caught.value)[:28])
    assert messages == [
        "\"size\" got 'many'; expected ",
        'The count "rows" got -1; a c',
        'The distribution "row" got N',
        "A number's name is ''; expec",
    ]


def count(body, context):
    context.visits = getattr(context, "visits", 0) + 1
    return body


def seen(body, context):
    return body, context.visits, context.project, context.get_param("limit", 3), context.get_secret("NOWHERE")


def test_what_a_step_puts_on_the_context_the_others_see():
    graph = Graph("kept")
    graph.to(count).to(count, "again").to(seen)
    assert [graph.run("a"), graph.run("b"), Graph.parse(graph.source()).kept] == [
        ("a", 2, "kept", 3, None),
        ("b", 4, "kept", 3, None),
        {},
    ]


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda context: context.models, 'A context has no "models", and nothing was put on it so far.'),
        (lambda context: setattr(context, "graph", "x"), '"graph" of a context is set by the graph; use another name'),
        (lambda context: setattr(context, "logger", 1), '"logger" of a context is set by the graph; use another name'),
    ],
)
def test_what_a_context_does_not_have(read, message):
    graph = Graph("kept")
    graph.to(lambda body, context: read(context), "read")
    with pytest.raises(StepError) as caught:
        graph.run(1)
    assert message in str(caught.value)


def test_an_error_that_is_pushed_goes_to_the_error_stream_and_the_event_goes_on(caplog):
    def judge(event, context):
        context.push_error(event, "too old", source="judge")
        return event

    records = []
    graph = Graph("g", error_stream=records.append)
    graph.to(judge, full_event=True)
    assert (graph.run({"a": 1}), [(one["step"], one["message"], one["event"]["body"]) for one in records]) == (
        {"a": 1},
        [("judge", "too old", {"a": 1})],
    )
    assert [record.getMessage() for record in caplog.records] == ["too old"]
