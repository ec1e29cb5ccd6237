"""Batch and SampleWindow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from nbgraph import Event, Graph, GraphError, steps
from tests.steps.both import both_ways


@dataclass
class HandClock:
    """A clock that stands until it is moved, in the place of a step's surroundings."""

    now: float = 0.0
    clock: Any = field(init=False)

    def __post_init__(self) -> None:
        self.clock = lambda: self.now


def test_the_last_batch_may_be_shorter() -> None:
    assert both_ways(steps.Batch(2), [1, 2, 3]) == [[1, 2], [3]]


def test_no_size_is_one_batch() -> None:
    assert both_ways(steps.Batch(), [1, 2, 3]) == [[1, 2, 3]]


def test_by_key_each_batch_has_its_own() -> None:
    rows = [{"card": "a", "n": 1}, {"card": "b", "n": 2}, {"card": "a", "n": 3}]
    assert both_ways(steps.Batch(2, key="card"), rows) == [[rows[0], rows[2]], [rows[1]]]
    assert both_ways(steps.Batch(2, key="$key"), [1, 2, 3], key=lambda n: n % 2) == [[1, 3], [2]]
    assert both_ways(steps.Batch(2, key=lambda n: n % 2), [1, 2, 3]) == [[1, 3], [2]]


def test_the_event_of_a_batch_has_the_batchs_key() -> None:
    graph = Graph("g")
    graph.to(steps.Batch(2, key="card")).to(steps.Map(lambda rows: {"n": len(rows)})).to(steps.ReifyMetadata(["key"]))
    rows = [{"card": "a"}, {"card": "b"}, {"card": "a"}]
    assert list(graph.stream(rows)) == [{"n": 2, "key": "a"}, {"n": 1, "key": "b"}]


def test_a_parked_event_has_no_answer() -> None:
    graph = Graph("g")
    graph.to(steps.Batch(2))
    assert [graph.run(1), graph.run(2), graph.run(3)] == [None, [1, 2], None]


def test_a_batch_that_waited_long_enough_goes_before_it_is_full() -> None:
    surroundings = HandClock()
    batch = steps.Batch(10, flush_after_seconds=5, key="card", context=surroundings)
    assert batch.due() is None
    given = [*batch.do(_event("a", 1))]
    surroundings.now = 3
    given += batch.do(_event("b", 2))
    assert (given, batch.due()) == ([], 5)
    surroundings.now = 6
    assert [(event.key, event.body) for event in batch.overdue()] == [("a", [{"card": "a", "n": 1}])]
    assert batch.due() == 8
    surroundings.now = 9
    assert [event.key for event in batch.do(_event("c", 3))] == ["b"]


def test_a_size_that_can_not_be() -> None:
    with pytest.raises(GraphError, match="Batch got max_events=0"):
        steps.Batch(0)


def test_sample_the_first_and_the_last() -> None:
    assert both_ways(steps.SampleWindow(3), range(7)) == [0, 3, 6]
    assert both_ways(steps.SampleWindow(3, "last"), range(7)) == [2, 5]


def test_sample_gives_the_last_event_at_the_end() -> None:
    assert both_ways(steps.SampleWindow(3, emit_before_termination=True), range(7)) == [0, 3, 6]
    assert both_ways(steps.SampleWindow(3, emit_before_termination=True), range(8)) == [0, 3, 6, 7]
    assert both_ways(steps.SampleWindow(3, "last", emit_before_termination=True), range(7)) == [2, 5, 6]


def test_sample_by_key() -> None:
    assert both_ways(steps.SampleWindow(2, key="$key"), [1, 2, 3, 4, 5], key=lambda n: n % 2) == [1, 2, 5]


def test_sample_of_a_period_that_is_none() -> None:
    with pytest.raises(GraphError, match='expected "first" or "last"'):
        steps.SampleWindow(2, "middle")


def _event(card: str, number: int) -> Event:
    return Event({"card": card, "n": number})
