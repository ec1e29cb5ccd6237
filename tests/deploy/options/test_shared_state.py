"""State that is not by key, behind a queue of several shards: refused, since its answers would be others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nbgraph import Graph
from nbgraph.errors import DeployError
from nbgraph.steps import Batch, MapWithState, Queue, Reduce


class Counter:
    def __init__(self) -> None:
        self.state = {"n": 10}

    def do(self, body: Any) -> int:
        self.state["n"] += 1
        return self.state["n"]


class LateCounter(Counter):
    def __init__(self) -> None:
        self.state: dict[str, int] = {}

    def do(self, body: Any) -> int:
        self.state["n"] = self.state.get("n", 10) + 1
        return self.state["n"]


class Seen:
    def __init__(self) -> None:
        self.state: list[Any] = []

    def do(self, body: Any) -> int:
        self.state.append(body)
        return len(self.state)


class ByCard:
    def __init__(self) -> None:
        self.state: dict[str, int] = {}

    def do(self, body: Any) -> int:
        card = body["card"]
        self.state[card] = self.state.get(card, 0) + 1
        return self.state[card]


class ByCardWithin(ByCard):
    def __init__(self) -> None:
        self.state: Any = {"seen": {}}

    def do(self, body: Any) -> int:
        seen = self.state["seen"]
        seen[body["card"]] = seen.get(body["card"], 0) + 1
        return seen[body["card"]]


def add(body: Any, state: Any) -> tuple[Any, Any]:
    return body, (state or 0) + 1


def behind(step: Any, *, shards: int = 4, key: str | None = "card") -> Graph:
    graph = Graph("kept")
    graph.to("(event)", "first").to(Queue("q", key=key, shards=shards)).to(step, "step", function="tail").respond()
    return graph


SHARED = {
    "a number": (Counter, "self.state[key]"),
    "a number that comes late": (LateCounter, "self.state[key]"),
    "a list": (Seen, "self.state[key]"),
    "a batch of all": (Batch(2), 'key="$key"'),
    "a batch by something else": (Batch(2, key="user"), 'key="$key"'),
    "a fold": (Reduce(0, add), "self.state[key]"),
    "a state of all": (MapWithState(0, add), "group_by_key=True"),
}


@pytest.mark.parametrize(("step", "advice"), SHARED.values(), ids=SHARED)
def test_one_state_for_all_events_is_refused_behind_several_shards(step: Any, advice: str, tmp_path: Path) -> None:
    said = (
        'Step "step" keeps one state for all events, and each of the 4 shards of the queue "q" before it would have '
        "one of its own, with other answers than in the notebook: give the queue one shard (shards=1), or keep the "
        f"state by the queue's key ({advice})."
    )
    for refusing in (
        lambda: behind(step).deploy("process", progress=False),
        lambda: behind(step).export(tmp_path / "x"),
    ):
        with pytest.raises(DeployError) as refused:
            refusing()
        assert str(refused.value) == said


KEYED = [ByCard, ByCardWithin, Batch(2, key="$key"), Batch(2, key="card"), MapWithState(0, add, group_by_key=True), len]


@pytest.mark.parametrize("step", KEYED)
def test_a_state_by_key_goes_along(step: Any, tmp_path: Path) -> None:
    assert behind(step).export(tmp_path / "x").files


def test_one_shard_and_a_queue_without_a_key_have_the_state_of_the_notebook(tmp_path: Path) -> None:
    assert behind(Counter, shards=1).export(tmp_path / "x").files
    assert behind(Counter, shards=1, key=None).export(tmp_path / "x").files
