"""Parity: values of every kind, here and deployed."""

import datetime
import math

import numpy
import pandas
import pytest

from nbgraph import Event, Graph
from nbgraph.debug.difference import difference
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
    assert found[~found["equal"]][["event", "difference"]].values.tolist() == []
    assert found["deployed"].iloc[-2] == {"error": "Step \"valued\" failed: KeyError: 'unknown'"}
    assert list(found.columns) == ["event", "local", "deployed", "equal", "difference"]


def test_a_difference_is_named_by_its_place(deployment):
    here = Graph("valued")
    here.to(lambda name: {"a": [1, 2, {"b": name}]}).respond()
    deployment.graph, there = here, deployment.graph
    try:
        (row,) = deployment.parity(["nested"]).to_dict("records")
    finally:
        deployment.graph = there
    assert (row["equal"], row["difference"]) == (False, "a: 3 items in the notebook, 2 deployed")


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
