"""What has a state that goes from one event to the next is known, whatever sets it."""

from __future__ import annotations

from typing import Any

import pytest

from nbgraph import Graph
from nbgraph.engine.step_facts import remembers


class OfTheConstructor:
    def __init__(self) -> None:
        self.state = 0

    def do(self, body: Any) -> Any:
        self.state += 1
        return self.state


class ByAHelper(OfTheConstructor):
    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.state = 0


class WhenItIsReady(OfTheConstructor):
    def __init__(self) -> None:
        pass

    def post_init(self) -> None:
        self.state = 0


def begin(one: Any) -> None:
    one.state = {}


class ByAFunction:
    def __init__(self) -> None:
        begin(self)

    def do(self, body: Any) -> Any:
        self.state[body] = body
        return len(self.state)


class ByItsName(OfTheConstructor):
    def __init__(self) -> None:
        setattr(self, "state", [])  # noqa: B010


class ByAnother:
    def __init__(self) -> None:
        self.state = 0

    def do(self, body: Any) -> Any:
        count(self)
        return self.state


def count(one: Any) -> None:
    one.state += 1


class OfItsParts:
    def __init__(self, state: str = "NY") -> None:
        self.state = state

    def do(self, body: Any) -> Any:
        return self.state, body


class Heavy:
    built = 0

    def __init__(self) -> None:
        Heavy.built += 1

    def do(self, body: Any) -> Any:
        return body


@pytest.mark.parametrize(
    ("handler", "right"),
    [
        (OfTheConstructor, True), (ByAHelper, True), (WhenItIsReady, True), (ByAFunction, True), (ByItsName, True),
        (ByAnother, True), (OfItsParts, False), (ByAHelper(), True), (OfItsParts(), False), (len, False),
    ],
)  # fmt: skip
def test_one_predicate_says_whether_a_step_remembers(handler: Any, right: bool) -> None:
    graph = Graph("g")
    graph.to(handler, "it").respond()
    assert (remembers(graph, graph.steps[0]), graph.plan().steps["it"].call.remembers) == (right, right)


def test_what_can_have_no_state_is_not_built_to_know() -> None:
    graph = Graph("g")
    graph.to(Heavy, "it").respond()
    assert (remembers(graph, graph.steps[0]), Heavy.built) == (False, 0)
