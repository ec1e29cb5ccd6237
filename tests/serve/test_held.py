"""What steps hold back, and have open, when a worker stops."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nbgraph import Event, Graph
from nbgraph.serve.execution.plan_runner import PlanRunner
from nbgraph.serve.execution.timers import let_go
from nbgraph.steps import MapWithState, Table


class Journal(dict[str, Any]):
    """A state that knows whether it is closed."""

    def __init__(self, told: list[str], name: str = "journal") -> None:
        self.told, self.name = told, name

    def __deepcopy__(self, memo: Any) -> Journal:
        return Journal(self.told, f"copy of {self.name}")

    def close(self) -> None:
        self.told.append(f"{self.name} closed")
        if "broken" in self.name:
            raise OSError("no space left")


def noted(body: Any, state: Any) -> Any:
    return body, state


@pytest.mark.parametrize(
    ("name", "by_key", "expected"),
    [
        ("journal", False, ["journal closed"]),
        ("journal", True, ["copy of journal closed"] * 2),
        ("broken", False, ["broken closed"]),
    ],
)
def test_states_are_closed(name: str, by_key: bool, expected: list[str], caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    graph = Graph("g")
    graph.to(MapWithState(Journal(told, name), noted, group_by_key=by_key), "first")
    graph.to(MapWithState(Journal(told, "last"), noted), "second")
    for key in ("a", "b"):
        graph.run(Event(1, key=key))
    asyncio.run(let_go(PlanRunner(graph.plan()), None, print))
    assert told == [*expected, "last closed"]
    assert ("no space left" in caplog.text) == (name == "broken")


def test_a_timer_closes_nothing() -> None:
    told: list[str] = []
    graph = Graph("g")
    graph.to(MapWithState(Journal(told), noted), "first").to("Batch", max_events=2, flush_after_seconds=1)
    graph.run(1)
    asyncio.run(let_go(PlanRunner(graph.plan()), 1e12, print))
    assert told == []


def test_a_table_of_states_is_closed() -> None:
    told: list[str] = []
    graph, table = Graph("g"), Table({})
    table.close = lambda: told.append("closed")  # type: ignore[method-assign]
    graph.to(MapWithState(table, noted, group_by_key=True))
    graph.run(1, key="a")
    asyncio.run(let_go(PlanRunner(graph.plan()), None, print))
    assert told == ["closed"]
