"""Map, Filter, FlatMap, Flatten, ForEach, Extend, Rename, DropColumns, ReifyMetadata."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from nbgraph import Event, Graph, GraphError, steps
from tests.steps.both import both_ways


def test_map() -> None:
    assert both_ways(steps.Map(lambda body: body + 1), [1, 2]) == [2, 3]


def test_an_object_and_a_class_with_arguments_are_one_spec() -> None:
    def double(body: int) -> int:
        return body * 2

    one, other = Graph("g"), Graph("g")
    one.to(steps.Map(double))
    other.to(steps.Map, fn=double)
    assert one == other


def test_an_expression_that_is_none() -> None:
    graph = Graph("g")
    with pytest.raises(GraphError, match="Map got 'event \\+', which is not an expression"):
        graph.to(steps.Map("event +"))


def test_filter_keeps_the_part_out_of_the_body() -> None:
    source = [{"a": {"b": 1}}, {"a": {"b": 5}}]
    assert both_ways(steps.Filter("event > 3"), source, input_path="a.b") == [{"a": {"b": 5}}]


def test_flat_map_and_flatten() -> None:
    assert both_ways(steps.FlatMap(lambda body: [body, -body]), [1, 2]) == [1, -1, 2, -2]
    assert both_ways(steps.Flatten(), [[1, 2], [], [3]]) == [1, 2, 3]


def test_for_each_passes_the_body_on() -> None:
    seen: list[int] = []
    assert both_ways(steps.ForEach(seen.append), [1, 2]) == [1, 2]
    assert seen == [1, 2, 1, 2]


def test_async_functions() -> None:
    async def later(body: int) -> int:
        await asyncio.sleep(0)
        return body + 1

    async def is_even(body: int) -> bool:
        await asyncio.sleep(0)
        return body % 2 == 0

    async def fields(body: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"b": body["a"] + 1}

    assert both_ways(steps.Map(later), [1, 2]) == [2, 3]
    assert both_ways(steps.Filter(is_even), [1, 2]) == [2]
    assert both_ways(steps.Extend(fields), [{"a": 1}]) == [{"a": 1, "b": 2}]


def test_extend_leaves_the_body_of_other_branches_alone() -> None:
    body = {"a": 1}
    assert both_ways(steps.Extend(lambda body: {"a": 2, "b": 3}), [body]) == [{"a": 2, "b": 3}]
    assert body == {"a": 1}


def test_rename_and_drop() -> None:
    row = {"a": 1, "b": 2, "c": 3}
    assert both_ways(steps.Rename({"a": "x", "z": "y"}), [row]) == [{"x": 1, "b": 2, "c": 3}]
    assert both_ways(steps.DropColumns("a"), [row]) == [{"b": 2, "c": 3}]
    assert both_ways(steps.DropColumns(["a", "c", "z"]), [row]) == [{"b": 2}]


def test_reify_metadata() -> None:
    event = Event({"a": 1}, key="k", id="7", time=datetime(2026, 1, 2, tzinfo=UTC))
    expected = {"a": 1, "key": "k", "id": "7", "time": datetime(2026, 1, 2, tzinfo=UTC)}
    assert both_ways(steps.ReifyMetadata(["key", "id", "time"]), [event]) == [expected]


def test_reify_metadata_that_does_not_exist() -> None:
    with pytest.raises(GraphError, match="ReifyMetadata got 'user'; an event has: key, id, path"):
        steps.ReifyMetadata({"user": "user"})
