"""Reduce and MapWithState."""

from __future__ import annotations

import copy
import operator
from typing import Any

from nbgraph import Event, Graph, steps
from tests.steps.both import both_ways


def test_reduce_gives_its_one_value_at_the_end() -> None:
    assert both_ways(steps.Reduce(10, operator.add), [1, 2]) == [13]
    assert both_ways(steps.Reduce(1, "state * event"), [2, 3]) == [6]
    assert both_ways(steps.Reduce(0, operator.add), []) == [0]


def test_reduce_begins_anew_with_every_stream() -> None:
    def collect(words: list[str], word: str) -> list[str]:
        words.append(word)
        return words

    graph = Graph("g")
    graph.to(steps.Reduce([], collect)).to(len)
    assert [*graph.stream(["a", "b"]), *graph.stream(["c"])] == [2, 1]


def test_reduce_lets_its_state_be_kept_and_put_back() -> None:
    step = steps.Reduce([], lambda state, body: [*state, body])
    step.do(1)
    kept = copy.deepcopy(step.state)
    step.do(2)
    step.state = kept
    assert step.release() == [[1]]


def count(body: str, seen: int) -> tuple[tuple[str, int], int]:
    return (body, seen), seen + 1


def test_map_with_state() -> None:
    assert both_ways(steps.MapWithState(0, count), ["a", "b", "a"]) == [("a", 0), ("b", 1), ("a", 2)]


def test_map_with_state_by_key() -> None:
    step = steps.MapWithState(0, count, group_by_key=True)
    assert both_ways(step, ["a", "b", "a"], key=str) == [("a", 0), ("b", 0), ("a", 1)]


def test_map_with_state_in_a_table() -> None:
    def remember(body: int, state: dict[str, int]) -> Any:
        total = state.get("total", 0) + body
        return total, {"total": total}

    table = steps.Table()
    graph = Graph("g")
    graph.to(steps.MapWithState(table, remember, group_by_key=True))
    events = [Event(1, key="a"), Event(5, key="b"), Event(2, key="a")]
    assert (list(graph.stream(events)), dict(table)) == ([1, 5, 3], {"a": {"total": 3}, "b": {"total": 5}})
