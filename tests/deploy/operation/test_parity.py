"""Parity: values of every kind, here and deployed."""

import datetime
import math

import httpx
import numpy
import pandas
import pytest

from nbgraph import Event, Graph
from nbgraph.debug.difference import difference
from nbgraph.errors import DeployError
from nbgraph.steps import Queue

VALUES = {
    "nothing": None,
    "not a number": [math.nan, math.inf, -math.inf, -0.0],
    "large": [2**63 - 1, 1e300, 5e-324],
    "array": numpy.arange(6).reshape(2, 3),
    "table": pandas.DataFrame({"a": [1, 2], "at": pandas.to_datetime(["2013-01-01", "2013-01-02"])}),
    "time": datetime.datetime(2013, 1, 1, 12, tzinfo=datetime.UTC),
    "bytes": b"\x00\xff",
    "nested": {"a": [{"b": (1, 2)}, {3: "x"}]},
    "text": "ü\u202e\u0000",
}


def valued(name):
    return VALUES[name]


def same(body):
    return body


@pytest.fixture(scope="module")
def deployment():
    graph = Graph("valued")
    graph.to(valued).to(Queue("values")).to(same, function="far").respond()
    with graph.deploy("process", progress=False) as running:
        yield running


def test_values_of_every_kind_are_the_same_behind_a_queue(deployment):
    found = deployment.parity([*VALUES, "unknown", Event("array", path="/some/where")])
    assert (found.attrs["differences"], found["equal"].all()) == ({}, True)
    assert found["deployed"].iloc[-2] == {"error": "Step \"valued\" failed: KeyError: 'unknown'"}
    assert list(found.columns) == ["event", "local", "deployed", "equal"]


KINDS = [
    {"x": math.nan}, [math.inf, None], (1, (2, 3)), {"at": datetime.date(2013, 1, 1)}, {1: "a"}, {1, 2}, 10**30,
    numpy.arange(3), {"p": numpy.float64(0.5)}, pandas.Timestamp("2013-01-01"), datetime.timedelta(1), "text", b"\xff",
]  # fmt: skip


def kind_of(value):
    if isinstance(value, dict):
        return {name: type(item).__name__ for name, item in value.items()}
    return type(value).__name__


@pytest.fixture(scope="module")
def kinds():
    graph = Graph("kinds")
    graph.to(same).to(Queue("values")).to(kind_of, function="far").respond()
    with graph.deploy("process", progress=False) as running:
        yield running


def test_what_is_sent_is_what_a_step_of_any_function_gets(kinds):
    found = kinds.parity(KINDS)
    assert (found.attrs["differences"], found["deployed"].tolist()) == ({}, [kind_of(value) for value in KINDS])


def test_the_rows_of_a_table_are_events_and_one_body_is_one_event(kinds):
    table = pandas.DataFrame({"a": [1, 2], "b": [0.5, None]})
    found = [kinds.parity(events)["deployed"].tolist() for events in (table, {"a": 1}, iter([1, "x"]))]
    assert found == [[{"a": "int", "b": "float"}] * 2, [{"a": "int"}], ["int", "str"]]


def test_an_answer_that_can_not_be_told_is_a_row_and_no_error(kinds):
    kinds.graph, there = Graph("kinds"), kinds.graph
    kinds.graph.to(lambda body: same).respond()
    try:
        found = kinds.parity([1])
    finally:
        kinds.graph = there
    assert ("builtins.function in it" in found["local"][0]["error"], found["equal"].tolist()) == (True, [False])


def test_answers_are_the_notebooks_to_a_notebook_and_json_to_others():
    graph = Graph("answers")
    graph.to(lambda body: {"p": math.nan, "at": (datetime.date(2013, 1, 1), 1), 2: body}).respond()
    with graph.deploy("process", progress=False) as running:
        found = running.invoke(0)
        plain = httpx.post(running.url, json=0).json()
        bad = httpx.post(running.url, content=b"\xc1", headers={"content-type": "application/vnd.nbgraph.values"})
    assert (math.isnan(found.pop("p")), found) == (True, {"at": (datetime.date(2013, 1, 1), 1), 2: 0})
    assert plain == {"p": None, "at": ["2013-01-01", 1], "2": 0}
    assert (bad.status_code, "is not" in bad.json()["error"]) == (400, True)


def test_a_failure_of_the_first_function_has_the_event_as_it_was_sent():
    graph = Graph("failing")
    graph.to("(event['no'])", "look").respond()
    with graph.deploy("process", progress=False) as running:
        with pytest.raises(DeployError):
            running.invoke({"at": (datetime.date(2013, 1, 1), 1)})
        failure = running.failures()[0]
        current = graph.debug(failure).current
    assert (failure.event.body, current.step, current.input) == (failure.event.body, "look", failure.event.body)
    assert failure.event.body == {"at": (datetime.date(2013, 1, 1), 1)}


def test_a_difference_is_named_by_its_place(deployment):
    here = Graph("valued")
    here.to(lambda name: {"a": [1, 2, {"b": name}]}).respond()
    deployment.graph, there = here, deployment.graph
    try:
        found = deployment.parity(["nested"])
    finally:
        deployment.graph = there
    differences = found.attrs["differences"]
    assert (found["equal"].tolist(), differences) == ([False], {0: "a: 3 items in the notebook, 2 deployed"})


DIFFERENCES = [
    (1, 1.0, None),
    (0.1 + 0.2, 0.3, None),
    (1, True, "1 in the notebook, true deployed"),
    (1, 2, "1 in the notebook, 2 deployed"),
    (2**60, 2**60 + 1, f"{2**60} in the notebook, {2**60 + 1} deployed"),
    (math.nan, math.nan, None),
    ({"a": 1}, {"a": 1, "b": 2}, "b: only deployed"),
    ([{"x": b"1"}], [{"x": b"2"}], "[0].x: b'1' in the notebook, b'2' deployed"),
]


@pytest.mark.parametrize(("local", "deployed", "told"), DIFFERENCES)
def test_what_is_a_difference(local, deployed, told):
    assert difference(local, deployed) == told
