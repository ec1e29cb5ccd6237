"""Defects that were reproduced in MLRun 1.12's serving graphs: here each is as one would expect."""

import warnings

import pytest

from nbgraph import Graph, GraphError, StepError
from nbgraph.steps import Batch, Filter, MapWithState, ModelRouter, ParallelRun, VotingEnsemble

pytestmark = pytest.mark.timeout(20)


def test_a_dropped_and_a_held_event_do_not_hang():
    dropped = Graph("g")
    dropped.to(Filter("False")).to("(event)", "end").respond()
    held = Graph("g")
    held.to(Batch(2)).to("(event)", "end").respond()
    assert (dropped.run(1), held.run(1)) == (None, None)


async def wait(body):
    return body + 1


def test_a_responder_that_is_not_the_last_answers_in_async_too():
    graph = Graph("g")
    graph.to(wait).respond().to("(event * 100)", "rest")
    assert graph.run(1) == 2


def test_a_name_twice_is_refused_at_once_and_replaces_nothing():
    graph = Graph("g")
    graph.to(str, "s1")
    for act in (lambda: graph.step("s1").to(int, "s1"), lambda: graph.add_step(int, "s1", after="s1")):
        with pytest.raises(GraphError, match='a step "s1" already'):
            act()
    assert graph.step("s1").spec.handler is str


def test_an_event_has_the_same_error_in_sync_and_async_and_is_not_its_own_body():
    def fail(body):
        raise ValueError("x")

    async def afail(body):
        raise ValueError("x")

    def told(event):
        repr(event)
        event.body = (type(event.error), event.origin, event.body is event)

    found = []
    for handler in (fail, afail):
        graph = Graph("g")
        graph.to(handler, "f").error_handler(told, full_event=True)
        found.append(graph.run(1))
    assert found == [(ValueError, "f", False)] * 2


class Model:
    def __init__(self, value=None):
        self.value = value

    def do(self, body):
        if self.value is None:
            raise ValueError("broken")
        return {"outputs": [self.value]}


def test_a_parallel_runs_child_that_fails_is_an_error_and_not_dropped():
    graph = Graph("g")
    graph.to(ParallelRun, "p", routes={"good": Model(1), "bad": Model()})
    with pytest.raises(StepError, match="broken"):
        graph.run({})


def test_weights_of_an_ensemble_are_normalised():
    graph = Graph("g")
    graph.to(
        VotingEnsemble,
        "v",
        vote_type="regression",
        weights={"a": 0.1, "b": 0.3},
        routes={"a": Model(1.0), "b": Model(3.0)},
    )
    assert graph.run({"inputs": [[1]]})["outputs"] == [pytest.approx(2.5)]


def test_a_router_writes_nothing_into_the_body():
    body = {"inputs": [[1]], "model": "m"}
    graph = Graph("g")
    graph.to(ModelRouter, "r", routes={"m": Model(1)})
    graph.run(dict(body), path="/v2/models/m/infer")
    kept = dict(body)
    graph.run(kept, path="/v2/models/m/infer")
    assert kept == body


def test_a_missing_path_is_an_error_and_an_empty_body_is_kept():
    graph = Graph("g")
    graph.to(str, "x", input_path="a")
    with pytest.raises(StepError, match='finds no "a"'):
        graph.run({})
    empty = Graph("g")
    empty.to("(1)", "x", result_path="a.b")
    assert empty.run({}) == {"a": {"b": 1}}


def test_map_with_state_takes_a_plain_initial_state():
    graph = Graph("g")
    graph.to(MapWithState({"n": 0}, lambda body, state: ({**body, **state}, {"n": state["n"] + 1}), group_by_key=True))
    assert list(graph.stream([{"k": 1}, {"k": 1}, {"k": 2}], key="k")) == [
        {"k": 1, "n": 0}, {"k": 1, "n": 1}, {"k": 2, "n": 0},
    ]  # fmt: skip


def test_the_graphs_handler_is_drawn_and_warnings_are_few():
    graph = Graph("g")
    graph.to(str, "a")
    graph.error_handler(str, "catcher")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ("catcher" in graph.dot().source, graph.to_yaml() == graph.to_yaml()) == (True, True)
