"""Graphs as plain data, YAML and files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nbgraph import Graph, GraphError, step
from nbgraph.graph import Code
from nbgraph.steps import Batch, Filter


def clean(body: Any) -> Any:
    return body


def is_big(body: Any) -> bool:
    return bool(body > 3)


def small() -> Graph:
    graph = Graph("g")
    graph.to(clean).to("Enrich", "enrich", table=Code("customers"), on="card").to(clean, "save", when=is_big).respond()
    graph.error_handler("catcher")
    return graph


def test_a_document_leaves_out_what_is_as_usual() -> None:
    here = "tests.graph.documents.test_document" if "tests" in clean.__module__ else clean.__module__
    assert small().to_dict() == {
        "version": 1,
        "name": "g",
        "steps": {
            "clean": {"handler": f"{here}.clean"},
            "enrich": {"handler": "Enrich", "arguments": {"table": {"$code": "customers"}, "on": "card"}},
            "save": {"handler": f"{here}.clean"},
            "catcher": {},
        },
        "edges": [
            {"source": "clean", "target": "enrich"},
            {"source": "enrich", "target": "save", "when": f"{here}.is_big(event)"},
            {"source": "*", "target": "catcher", "kind": "error"},
        ],
        "responder": "save",
    }


def test_a_loaded_graph_equals_the_saved_one(tmp_path: Path) -> None:
    graph = small()
    loaded = [Graph.load(graph.save(tmp_path / name)) for name in ("g.yaml", "g.yml", "g.json")]
    assert loaded == [graph] * 3


def test_a_step_object_and_its_class_with_arguments_are_one_spec() -> None:
    first, second = Graph("g"), Graph("g")
    first.to(Batch(10)).to(Filter(is_big))
    second.to(Batch, max_events=10).to("Filter", fn=Code(f"{is_big.__module__}.is_big"))
    assert first == second


def test_a_function_equals_its_name_and_another_option_does_not() -> None:
    graphs = [Graph("g"), Graph("g"), Graph("g")]
    graphs[0].to(len)
    graphs[1].to("len")
    graphs[2].to("len", retries=1)
    assert (graphs[0] == graphs[1], graphs[1] == graphs[2]) == (True, False)


def test_graphs_with_values_without_a_text_can_still_be_compared() -> None:
    value = object()
    first, second, third = Graph("g"), Graph("g"), Graph("g")
    first.to("Enrich", table=[value])
    second.to("Enrich", table=[value])
    third.to("Enrich", table=[object()])
    assert (first == second, first == third) == (True, False)


def test_a_value_without_a_text_is_told(tmp_path: Path) -> None:
    graph = Graph("g")
    with (tmp_path / "x").open("w") as file:
        graph.to("Enrich", "enrich", out=file)
        with pytest.raises(
            GraphError, match=r'Step "enrich": argument "out" is a _io.TextIOWrapper, .* Code\("data"\)'
        ):
            graph.to_dict()


def test_a_lambda_goes_by_the_name_of_its_step() -> None:
    graph = Graph("g")
    graph.to(lambda body: body + 1, "inc").respond()
    loaded = Graph.from_dict(graph.to_dict(), namespace={"inc": lambda body: body + 1})
    assert (loaded == graph, loaded.run(1)) == (True, 2)


def test_routes_and_inner_graphs_are_written_nested() -> None:
    inner, graph = Graph("inner"), Graph("g")
    inner.to("double")
    graph.to(inner).to("ModelRouter", "models", routes={"m1": step("double", retries=2)})
    assert graph.to_dict()["steps"] == {
        "inner": {"graph": {"version": 1, "name": "inner", "steps": {"double": {}}}},
        "models": {"handler": "ModelRouter", "arguments": {"routes": {"m1": {"handler": "double", "retries": 2}}}},
    }
    assert Graph.from_yaml(graph.to_yaml()) == graph


def test_a_list_of_steps_is_read_too() -> None:
    text = "version: 1\nname: g\nsteps: [a, {name: b, retries: 2}]\nedges: [{source: a, target: b}]"
    graph = Graph.from_yaml(text)
    assert [(one.name, one.options.retries) for one in graph.steps] == [("a", 0), ("b", 2)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: g", "version: found no version; this nbgraph reads version 1"),
        ("version: 2", "version: found 2"),
        ("version: 1\nstepz: {}", 'stepz: unknown field; did you mean "steps"?'),
        ("version: 1\nsteps: {score: {retrys: 3}}", 'steps.score.retrys: unknown field; did you mean "retries"?'),
        ("version: 1\nsteps: {score: {retries: -1}}", "steps.score: retries=-1"),
        ("version: 1\nsteps: {score: {ordered: 3}}", "steps.score.ordered: found 3; expected bool"),
        ("version: 1\nsteps: {a: {}}\nedges: [{source: a, target: b}]", "edges[0].target: found 'b', which is not in"),
        ("version: 1\nsteps: {a: {}}\nedges: [{source: a}]", 'edges[0]: the field "target" is missing'),
        ("version: 1\nsteps: {a: {}}\nedges: [{source: a, target: a, wen: x}]", "edges[0].wen: unknown field"),
        ("version: 1\nsteps: {a: {}}\nedges: [{source: a, target: a, kind: x}]", 'edges[0].kind: found "x"'),
        ("version: 1\nsteps: {a: {}}\nresponder: b", "responder: found 'b'"),
        ("version: 1\nsteps: {a: {handler: os.system}}", 'steps.a.handler: "os.system" is in module "os"'),
        ("version: 1\nsteps: {a: {}, a: {}}", 'line 2: "a" stands twice'),
        ("version: 1\nsteps: {a: {arguments: {x: {$nope: 1}}}}", 'steps.a.arguments.x: the tag "$nope" is unknown'),
        ("version: 1\nsteps: {a: {arguments: {x: {$date: yesterday}}}}", 'steps.a.arguments.x: the value of "$date"'),
        ("version: 1\nsteps: {a: {arguments: 3}}", "steps.a.arguments: found int; expected a mapping"),
        ("version: 1\nsteps: 3", "steps: found int"),
        ("version: 1\nname: 3", "name: found 3"),
        ("[1]", "The document: found list"),
        ("a: [", "The text is not YAML"),
        ("a: !!python/object:os.system {}", "The text is not YAML"),
        ("a: &x [*x]", "contains itself"),
        ("[" * 50_000 + "]" * 50_000, "more than 200 values inside each other"),
    ],
)
def test_a_wrong_document_is_refused_with_its_path(text: str, words: str) -> None:
    with pytest.raises(GraphError) as caught:
        Graph.from_yaml(text)
    assert words in str(caught.value)


def test_anchors_that_unfold_without_end_are_refused() -> None:
    rows = [f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 9)}]" for number in range(1, 12)]
    with pytest.raises(GraphError, match="unfold to more than"):
        Graph.from_yaml("\n".join(["a0: &a0 [x]", *rows]))


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=r'ends in ".txt"; a graph is kept as .yaml, .yml or .json'):
        small().save(tmp_path / "g.txt")
    with pytest.raises(GraphError, match="can't be read"):
        Graph.load(tmp_path / "none.yaml")


def test_loading_imports_nothing() -> None:
    text = "version: 1\nname: g\nsteps: {a: {handler: sndhdr_not_there.run}, b: {handler: antigravity.fly}}"
    with pytest.raises(GraphError, match="may not import"):
        Graph.from_yaml(text)
    Graph.from_yaml(text, allow=["sndhdr_not_there", "antigravity"])
    assert "antigravity" not in sys.modules


def test_a_document_does_not_depend_on_the_hash_seed() -> None:
    code = (
        "from nbgraph import Graph; g = Graph('g'); "
        "g.to('A', 'a', x={'q', 'w', 'e', 'r'}, y=frozenset({'t', 'z'})).to('b', retries=2); "
        "print(g.to_yaml(), g.source())"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True, timeout=60
        ).stdout
        for seed in "123"
    }
    assert len(texts) == 1


def test_json_holds_every_document() -> None:
    graph = Graph("g")
    graph.to("A", "a", x=float("nan"), y={1: {2}}, z=b"\x00")
    assert Graph.from_dict(json.loads(json.dumps(graph.to_dict(), allow_nan=False))) == graph
