"""The kit for users' own tests."""

import pytest

from nbgraph import Graph
from nbgraph.steps import Batch
from nbgraph.testing import FakeClock, ListTarget, assert_same, events


def test_events_have_ids_and_keys():
    assert [(event.id, event.key, event.body) for event in events({"a": 1}, {"a": 2}, key="a")] == [
        ("event-0", 1, {"a": 1}), ("event-1", 2, {"a": 2}),
    ]  # fmt: skip


def test_a_target_keeps_what_it_gets_and_lets_it_pass():
    bodies = []
    graph = Graph("g")
    graph.to(str.upper).to(ListTarget(bodies)).to(len)
    assert (list(graph.stream(["a", "bc"])), bodies) == ([1, 2], ["A", "BC"])


def test_assert_same_tells_answers_and_errors_and_finds_a_graph_that_differs():
    graph = Graph("g")
    graph.to("(10 / event)", "divide")
    outcomes = assert_same(graph, [5, 0])
    assert (outcomes[0].answers, "division by zero" in outcomes[1].error) == ((2.0,), True)
    calls = []

    def forgetful(body):
        calls.append(body)
        return len(calls)

    other = Graph("g")
    other.to(forgetful)
    with pytest.raises(AssertionError, match="differs for 1"):
        assert_same(other, [1])


def test_a_clock_that_is_moved_by_hand():
    clock = FakeClock(5)
    clock.move(1.5)
    assert (clock(), clock()) == (6.5, 6.5)


def test_a_graph_under_test_shares_nothing_it_remembers():
    graph = Graph("g")
    graph.to(Batch(2))
    assert [outcome.answers for outcome in assert_same(graph, [1, 2, 3])] == [(), ([1, 2],), ()]
