"""A monitor is a part of the graph's spec: every text of the graph carries it, and the cell says it."""

from __future__ import annotations

import pandas as pd
import pytest

from nbgraph import Graph, GraphError
from nbgraph.monitor import Baseline, Drift, Monitor, Quality, Rule

BASELINE = Baseline.of(pd.DataFrame({"amount": [1.0, 2.0, 3.0]}), at="score")
CELL = """%%graph fraud --monitor baseline
clean -> score
score -> retrain if event["field"] == "amount" on alert
* -> page on alert
score -> respond
"""


def same(body: object) -> object:
    return body


NAMES = {"baseline": BASELINE, **dict.fromkeys(("clean", "score", "retrain", "page"), same)}


def test_a_cell_names_its_baseline_and_who_handles_alerts() -> None:
    graph = Graph.parse(CELL, namespace=NAMES)
    assert (graph.source(), graph.watched, graph.check(), graph.run(1)) == (CELL, Monitor(BASELINE), [], 1)


@pytest.mark.parametrize(
    "watched",
    [Monitor(), Monitor(BASELINE), Monitor(every="5m", rules=[Drift(0.2), Quality("auc", below=0.8)], at=["score"])],
)
def test_every_text_carries_it(watched: Monitor) -> None:
    graph = Graph.parse(CELL, namespace=NAMES)
    graph.watch(watched)
    again = [
        Graph.from_dict(graph.to_dict(), namespace=NAMES),
        Graph.from_yaml(graph.to_yaml(), namespace=NAMES),
        Graph.parse(graph.source(), namespace=NAMES),
    ]
    assert [one == graph and one.watched == watched for one in again] == [True] * 3


def test_it_is_set_and_taken_away() -> None:
    graph = Graph("fraud")
    graph.to(same)
    found = graph.monitor(BASELINE, every=500)
    assert (found, graph.watched, graph.monitor(None), graph.watched) == (
        Monitor(BASELINE, every=500),
        Monitor(BASELINE, every=500),
        None,
        None,
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"every": 0}, "every=0 of the monitor; expected a whole number of at least 1"),
        ({"every": "soon"}, "every='soon' of the monitor"),
        ({"share": 2}, "expected a share above 0 and at most 1"),
        ({"rules": ["drift"]}, "expected rules such as Drift"),
        ({"baseline": 3}, "is no Baseline; expected what graph.profile"),
    ],
)
def test_what_can_not_be_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        Graph("fraud").monitor(**given)


def test_an_edge_that_is_not_there_is_named() -> None:
    graph = Graph("fraud")
    graph.to(same, "score")
    graph.monitor(at="scroe")
    with pytest.raises(GraphError, match='"scroe", which is no step and no edge'):
        graph.start()


def test_a_cell_that_names_something_else_is_refused() -> None:
    with pytest.raises(GraphError, match="names int; expected a Baseline"):
        Graph.parse("%%graph g --monitor baseline\nclean -> score", namespace={**NAMES, "baseline": 3})


def test_a_rule_is_an_expression_of_measures() -> None:
    with pytest.raises(GraphError, match="can't use"):
        Rule("__import__('os')")
    assert Rule("event_rate < 1 and backlog > 10").of_measures({"event_rate": 0.5, "backlog": 3}) is None


def test_a_rule_names_measures_that_there_are() -> None:
    with pytest.raises(
        GraphError, match=r'names "event_rat", which is no measure\. Did you mean "event_rate".* backlog'
    ):
        Rule("event_rat < 1")
