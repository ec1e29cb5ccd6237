"""Specs that MLRun 1.12.1 itself wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nbgraph import Graph, GraphError
from nbgraph.graph import Edge
from nbgraph.graph.yaml import read_yaml
from nbgraph.types import EdgeKind

DATA = Path(__file__).parent / "data"


def spec(name: str) -> str:
    return (DATA / f"mlrun_{name}.yaml").read_text()


def test_a_flow_keeps_its_steps_handlers_queue_and_responder() -> None:
    graph = Graph.from_mlrun(spec("flow"), allow=["json"])
    assert graph.source() == (
        "%%graph graph\n"
        'enrich = step(Enrich(factor=10), input_path="data", result_path="data")\n'
        "enrich_catch = step(catcher, full_event=True)\n"
        "global_catch = step(catcher, full_event=True)\n"
        'ensemble = step(VotingEnsemble(vote_type="regression", routes={"m1": M(model_path="store://m1"), '
        '"m2": M(model_path="store://m2")}), input_path="data")\n'
        "flt = Filter(fn=\"(event['id'] is not None)\")\n"
        "final = step(json.dumps)\n"
        "-> [enrich, enrich_catch, global_catch]\n"
        "enrich -> enrich_catch on error\n"
        'enrich -> Queue("q1") -> ensemble@child -> flt@child -> final@child\n'
        "* -> global_catch on error\n"
        "final -> respond\n"
    )


def test_a_cycle_goes_round_until_its_choice_leaves_it() -> None:
    class Pick:
        def do(self, body: int) -> int:
            return body

        def select_outlets(self, body: int) -> list[str]:
            return ["big" if body > 3 else "small"]

    handlers = {"inc": lambda body: body + 1, "big": lambda body: f"big {body}", "small": lambda body: body}
    graph = Graph.from_mlrun(spec("cycle"), namespace={**handlers, "Pick": Pick})
    assert (graph.run(0), graph.max_iterations) == ("big 4", 20)
    assert Edge("small", "inc", kind=EdgeKind.CYCLE) in graph.edges


def test_a_router_becomes_the_one_step_of_a_graph() -> None:
    graph = Graph.from_mlrun(spec("router"))
    routes = graph.spec("router").arguments["routes"]
    assert (graph.responder, {name: route.handler for name, route in routes.items()}) == (
        "router",
        {"m1": "M", "m2": "M", "far": "RemoteStep"},
    )
    assert routes["m2"].arguments == {"ratio": 2, "model_path": "."}


def test_a_synchronous_chain_keeps_expressions_and_remote_steps() -> None:
    graph = Graph.from_mlrun(spec("sync"))
    assert [(step.name, step.handler) for step in graph.steps] == [
        ("one", "(event + 1)"),
        ("call", "RemoteStep"),
        ("two", "two"),
    ]


def test_branches_error_handlers_with_before_and_storeys_steps() -> None:
    graph = Graph.from_mlrun(spec("branches"))
    assert ("rescue", "bt") in [(edge.source, edge.target) for edge in graph.edges]
    assert [step.handler for step in graph.steps][:6] == ["Map", "Extend", "FlatMap", "Merge", "Batch", "Flatten"]


@pytest.mark.parametrize("name", ["flow", "cycle", "router", "sync", "branches"])
def test_what_was_read_goes_through_our_own_texts(name: str) -> None:
    graph = Graph.from_mlrun(spec(name), allow=["json"])
    assert Graph.from_yaml(graph.to_yaml(), allow=["json"]) == graph == Graph.parse(graph.source(), allow=["json"])


def test_a_deployed_function_is_read_by_its_name() -> None:
    document = {"function_name": "fraud", "version": "v2", "graph": read_yaml(spec("sync"))}
    assert Graph.from_mlrun(document).name == "fraud"


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ({"a": {"kind": "model_runner"}}, 'steps.a.kind: "model_runner" has no counterpart'),
        ({"a": {"class_name": "storey.Assert"}}, 'steps.a.class_name: "storey.Assert" has no counterpart'),
        ({"a": {"class_name": "hub://x"}}, 'steps.a.class_name: "hub://x" has no counterpart'),
        ({"a": {"class_name": "M", "handler": "run_it"}}, 'steps.a.handler: the method "run_it" of "M" is called'),
        ({"a": {"handler": "a", "after": ["b"]}}, "steps.a.after: found 'b', which is not in the graph"),
        ({"a": {"handler": "a", "retrys": 1}}, "steps.a.retrys: unknown field"),
        ({"a": {"handler": "os.system"}}, 'steps.a.handler: "os.system" is in module "os"'),
        ({"a": {"class_name": "storey.Map", "class_args": {"_fn": "open('x')"}}}, "steps.a.class_args.fn: "),
        ({"a": {"handler": "(__import__('os'))"}}, "steps.a.handler:"),
        ({"a": {}}, "steps.a: has neither a class_name nor a handler"),
    ],
)
def test_what_has_no_counterpart_is_told_with_its_path(steps: dict[str, Any], words: str) -> None:
    with pytest.raises(GraphError) as caught:
        Graph.from_mlrun({"steps": steps})
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("queue", "expected"),
    [
        ("path: '', shards: 2", {}),
        ("path: '', options: {shards: 4}", {}),
        ("path: '', shards: 2, sharding_func: card", {"key": "card", "shards": 2}),
        ("path: '', shards: 1, sharding_func: card", {"key": "card"}),
    ],
)
def test_a_queue_has_shards_where_it_has_a_key(queue: str, expected: dict[str, object]) -> None:
    graph = Graph.from_mlrun(
        "steps:\n  a: {kind: task, handler: (event)}\n"
        f"  q: {{kind: queue, {queue}, after: [a]}}\n"
        "  b: {kind: task, handler: double, after: [q], responder: true}\n",
        namespace={"double": lambda body: body["card"] * 2},
    )
    assert (graph.check(), dict(graph.spec("q").arguments), graph.run({"card": 2})) == ([], expected, 4)
