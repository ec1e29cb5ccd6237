"""Specs that MLRun 1.12.1 itself wrote."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from nbgraph import Graph, GraphError
from nbgraph.graph import Edge
from nbgraph.graph.documents.yaml import read_yaml
from nbgraph.graph.mlrun.spec import TASK, WIRES
from nbgraph.graph.naming import handler_text
from nbgraph.steps import Table
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
    assert (graph.responder, {name: handler_text(route) for name, route in routes.items()}) == (
        "router",
        {"m1": "M", "m2": "M", "far": "RemoteStep"},
    )
    assert routes["m2"].arguments == {"ratio": 2, "model_path": "."}


def test_a_synchronous_chain_keeps_expressions_and_remote_steps() -> None:
    graph = Graph.from_mlrun(spec("sync"))
    assert [(step.name, handler_text(step)) for step in graph.steps] == [
        ("one", "(event + 1)"),
        ("call", "RemoteStep"),
        ("two", "two"),
    ]


def test_branches_error_handlers_with_before_and_storeys_steps() -> None:
    graph = Graph.from_mlrun(spec("branches"))
    assert ("rescue", "bt") in [(edge.source, edge.target) for edge in graph.edges]
    assert [handler_text(step) for step in graph.steps][:6] == ["Map", "Extend", "FlatMap", "Merge", "Batch", "Flatten"]


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
        ({"a": {"class_name": "storey.Map", "class_args": {"_fn": "(open('x'))"}}}, "steps.a.class_args.fn: "),
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


def theirs(name: str, module: str = "mlrun.serving") -> type:
    """A class as `from mlrun.serving import Merge` leaves it in a notebook."""
    return type(name, (), {"__module__": module, "do": lambda self, event: "theirs"})


MERGED = {
    "steps": {
        "start": {"handler": "(event)"},
        "left": {"handler": "(event + 1)", "after": ["start"]},
        "right": {"handler": "(event + 2)", "after": ["start"]},
        "both": {"class_name": "mlrun.serving.merger.Merge", "after": ["left", "right"], "responder": True},
    }
}


def test_a_qualified_name_means_the_built_in_step_whatever_the_notebook_has_imported() -> None:
    there = {"Merge": theirs("Merge", "mlrun.serving.merger"), "RemoteStep": theirs("RemoteStep")}
    assert Graph.from_mlrun(MERGED, namespace=there).run(1) == [2, 3]


@pytest.mark.parametrize(("own", "answer"), [("mlrun.serving.merger", [2]), ("__main__", ["theirs"])])
def test_a_bare_name_means_the_users_class_unless_it_was_imported_from_mlrun(own: str, answer: object) -> None:
    steps = {"one": {"class_name": "Flatten", "responder": True}}
    graph = Graph.from_mlrun({"steps": steps}, namespace={"Flatten": theirs("Flatten", own)})
    assert list(graph.answers([2])) == answer


def test_classes_and_functions_that_the_spec_holds_are_taken_as_they_are() -> None:
    class Scale:
        def __init__(self, by: int) -> None:
            self.by = by

        def do(self, body: int) -> int:
            return body * self.by

    steps = {
        "half": {"handler": lambda body: body / 2},
        "scale": {"class_name": Scale, "class_args": {"by": 3}, "after": ["half"]},
        "kept": {"class_name": theirs("Filter", "storey.flow"), "class_args": {"_fn": "(event > 3)"}, "after": "scale"},
    }
    assert list(Graph.from_mlrun({"steps": steps}).stream([2, 4])) == [6.0]


class _Executor(StrEnum):
    thread = "thread"


ROUTED = {
    "m1": {"kind": "task", "handler": "(event['inputs'])"},
    "m2": {"kind": "task", "handler": "(event['inputs'])"},
}


@pytest.mark.parametrize(
    ("class_name", "answer"),
    [
        ("", [1]),
        ("mlrun.serving.ModelRouter", [1]),
        ("VotingEnsemble", [1]),
        ("*ParallelRun", {"m1": [1], "m2": [1]}),
    ],
)
def test_routers_in_a_flow_as_1_12_writes_them(class_name: str, answer: object) -> None:
    written = {"protocol": None, "url_prefix": None, "health_prefix": None, "executor_type": _Executor.thread}
    router = {"kind": "router", "class_name": class_name, "class_args": dict(written), "routes": ROUTED, "name": "r"}
    if "Router" in class_name or not class_name:
        del router["class_args"]["executor_type"]
    graph = Graph.from_mlrun({"steps": {"r": {**router, "responder": True}}})
    found = graph.run({"inputs": [1]}, path="/v2/models/m1/infer")
    assert (graph.check(), found, "executor" not in graph.source() or "thread" in graph.source()) == ([], answer, True)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (("storey.Filter", {"_fn": "(event>1)", "nonsense": 3}), '.nonsense: Filter(fn) has no argument "nonsense".'),
        (("storey.Flatten", {"nonsense": 3}), '.nonsense: Flatten() has no argument "nonsense".'),
        (("storey.Filter", {}), ': Filter(fn): nothing is given for "fn"'),
        (("storey.Filter", {"_fn": "event > 1"}), "._fn: found 'event > 1'; expected an expression in parentheses"),
        (("storey.Choice", {"choice_array": []}), '.choice_array: Choice(fn=None) has no argument "choice_array".'),
        (
            ("storey.Batch", {"key_field": len}),
            ".key_field: found <built-in function len>; expected the name of a field",
        ),
        (("storey.Batch", {"max_events": 2, "key": "k"}), '.key: "key" is called "key_field" in MLRun'),
        (("mlrun.serving.merger.Merge", {"key_path": "event['a']['b']"}), ".key_path: found"),
        (("storey.QueryByKey", {"features": ["a"], "table": "t"}), '.table: there is no table "t" here'),
        (("*VotingEnsemble", {"url_prefix": "/v1"}), ".url_prefix: VotingEnsemble("),
        (("Own", {"nonsense": 3}), '.nonsense: Own(limit) has no argument "nonsense".'),
        (("Own", {}), ': Own(limit): nothing is given for "limit"'),
    ],
)
def test_arguments_are_held_against_the_counterpart_at_once(step: tuple[str, dict[str, Any]], words: str) -> None:
    class Own:
        def __init__(self, limit: int) -> None: ...
        def do(self, body: int) -> int:
            return body

    class_name, arguments = step
    spec = {"steps": {"a": {"handler": "(event)"}, "b": {"handler": "(event)"},
                      "c": {"class_name": class_name, "class_args": arguments, "after": ["a", "b"]}}}  # fmt: skip
    with pytest.raises(GraphError) as caught:
        Graph.from_mlrun(spec, namespace={"Own": Own})
    assert f"steps.c.class_args{words}" in str(caught.value)


def test_all_that_has_no_counterpart_is_told_at_once_or_reported() -> None:
    steps = {
        "a": {"class_name": "storey.Recover", "class_args": {"exception_to_downstream": {}}},
        "b": {"class_name": "storey.NoSqlTarget", "class_args": {"table": "rows"}, "after": ["a", "nobody"]},
        "c": {"class_name": "storey.ReduceToDataFrame", "class_args": {"insert_key_column_as": "k"}, "retrys": 1},
    }
    graph, report = Graph.from_mlrun({"steps": steps}, tables={"rows": {}}, report=True)
    assert (graph, str(report)) == (
        None,
        "steps.b: storey.NoSqlTarget -> TableTarget; keys have types: 9 is not '9'\n"
        "steps.c: storey.ReduceToDataFrame -> the same\n"
        "Not translated:\n"
        'steps.a.class_name: "storey.Recover" has no counterpart in nbgraph; write an arrow for the errors of the step '
        "concerned: `step -> handler on error` instead.\n"
        "steps.c.retrys: unknown field; known fields: " + ", ".join(sorted(TASK | WIRES | {"max_iterations"})) + ".\n"
        "steps.b.after: found 'nobody', which is not in the graph. Known steps: a, b, c.",
    )
    with pytest.raises(GraphError) as caught:
        Graph.from_mlrun({"steps": steps}, tables={"rows": {}})
    assert str(caught.value).startswith("The spec has 3 places that can't be translated:\n  steps.a.class_name:")


@pytest.mark.parametrize("tables", [{"store://c": Table({7: {"land": "PT"}})}, {}])
def test_tables_are_handed_over_or_found_by_name(tables: dict[str, Any]) -> None:
    name = "store://c" if tables else "customers"
    arguments = {"table": name, "key_extractor": "card"}
    steps = {"join": {"class_name": "storey.JoinWithTable", "class_args": arguments, "responder": True}}
    namespace = {"customers": Table({7: {"land": "PT"}})}
    graph = Graph.from_mlrun({"steps": steps}, namespace=namespace, tables=tables)
    assert graph.run({"card": 7}) == {"card": 7, "land": "PT"}


def test_csv_goes_on_where_it_ended_and_has_no_header(tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    steps = {"out": {"class_name": "storey.CSVTarget", "class_args": {"path": str(path)}}}
    for row in ({"a": 1, "b": 2}, {"a": 3, "b": 4}):
        list(Graph.from_mlrun({"steps": steps}).stream([row]))
    assert path.read_text() == "1,2\n3,4\n"


@pytest.mark.parametrize(
    ("full_event", "answer"), [({}, [["Event", "Event"]]), ({"full_event": False}, [["int", "int"]])]
)
def test_a_batch_has_events_unless_it_says_otherwise(full_event: dict[str, bool], answer: object) -> None:
    steps = {
        "b": {"class_name": "storey.Batch", "class_args": {"max_events": 2}, **full_event},
        "kinds": {"handler": lambda batch: [type(one).__name__ for one in batch], "after": "b"},
    }
    assert list(Graph.from_mlrun({"steps": steps}).stream([1, 2])) == answer


@pytest.mark.parametrize("key_path", ["event['key']", 'event["key"]'])
def test_the_key_of_a_merge_is_an_expression_there_and_a_field_here(key_path: str) -> None:
    steps = {**MERGED["steps"], "left": {"handler": "({'key': event['key'], 'l': 1})", "after": ["start"]},
             "right": {"handler": "({'key': event['key'], 'r': 1})", "after": ["start"]}}  # fmt: skip
    steps["both"] = {**steps["both"], "class_args": {"key_path": key_path}}
    assert Graph.from_mlrun({"steps": steps}).run({"key": 7}) == [{"key": 7, "l": 1}, {"key": 7, "r": 1}]


def test_a_completing_step_is_the_responder() -> None:
    steps = {"a": {"handler": "(event + 1)"}, "done": {"class_name": "storey.Complete", "after": ["a"]}}
    assert Graph.from_mlrun({"steps": steps}).run(1) == 2


def test_a_text_of_an_imported_graph_means_our_steps_too() -> None:
    there = {"Merge": theirs("Merge", "mlrun.serving.merger")}
    graph = Graph.from_mlrun(MERGED, namespace=there)
    again = [Graph.from_yaml(graph.to_yaml(), namespace=there), Graph.parse(graph.source(), namespace=there)]
    assert [one.run(1) for one in again] == [[2, 3]] * 2


def test_a_class_that_derives_from_theirs_is_told_what_to_derive_from() -> None:
    own = type("Mine", (theirs("V2ModelServer", "mlrun.serving.v2_serving"),), {})
    router = {"class_name": "mlrun.serving.ModelRouter", "routes": {"m1": {"class_name": "Mine"}}}
    with pytest.raises(GraphError) as caught:
        Graph.from_mlrun(router, namespace={"Mine": own})
    assert str(caught.value) == (
        'routes.m1.class_name: "Mine" derives from mlrun.serving.v2_serving.V2ModelServer; let it derive from '
        "nbgraph.steps.ModelServer, which has the same hooks."
    )
