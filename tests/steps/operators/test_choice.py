"""Choice, ChoiceByField, Partition."""

from __future__ import annotations

from typing import Any

import pytest

from nbgraph import Graph, GraphError, StepError, steps
from tests.steps.both import both_ways, graphs_both_ways


def graph_of(choice: Any) -> Graph:
    graph = Graph("choosing")
    start = graph.to(choice, "choice")
    start.to(lambda body: ("small", body), "small")
    start.to(lambda body: ("big", body), "big")
    return graph


def test_choice_of_one_or_many() -> None:
    def choose(body: int) -> Any:
        return {1: "small", 2: ["big", "small"], 3: []}[body]

    answers = graphs_both_ways(lambda: graph_of(steps.Choice(choose)), [1, 2, 3])
    assert answers == [("small", 1), ("small", 2), ("big", 2)]


def test_choice_by_subclass() -> None:
    class BySize(steps.Choice):  # type: ignore[misc]
        def select_outlets(self, body: int) -> str:
            return "big" if body > 9 else "small"

    assert graphs_both_ways(lambda: graph_of(BySize()), [10]) == [("big", 10)]


def test_choice_without_a_function() -> None:
    with pytest.raises(GraphError, match="Choice needs a function of the body"):
        steps.Choice()


def test_choice_by_field() -> None:
    body = {"size": "big"}
    assert graphs_both_ways(lambda: graph_of(steps.ChoiceByField("size")), [body]) == [("big", body)]


def test_choice_by_a_field_that_is_missing() -> None:
    with pytest.raises(StepError, match='the body has no field "size" to choose by; it has: colour'):
        list(graph_of(steps.ChoiceByField("size")).stream([{"colour": "red"}]))


def test_choice_of_an_unknown_step() -> None:
    with pytest.raises(StepError, match=r'"huge".*Allowed: small, big'):
        list(graph_of(steps.Choice(lambda body: "huge")).stream([1]))


def test_partition() -> None:
    assert both_ways(steps.Partition("event > 1"), [1, 2]) == [(None, 1), (2, None)]
