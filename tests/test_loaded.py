"""What a loaded graph may make code of, and reach: told for every step of the catalogue, through all five loaders."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbgraph import Graph, GraphError, NbgraphError, step, steps
from nbgraph.cli import load as load_by_command
from nbgraph.graph.documents.literal import NotLiteralError
from nbgraph.graph.documents.literal import python as python_text
from nbgraph.handler import Handler, expressions_of

MARK = 31415926
HARMLESS = f"event or {MARK}"  # whether it becomes code, the interpreter tells
LIBRARY = {name: steps.catalogue()[name] for name in steps.catalogue().modules}
STEPS = sorted(
    name for name, kind in LIBRARY.items() if issubclass(kind, Handler) and kind not in (steps.Source, steps.Target)
)
WORDS = sorted({
    parameter for kind in LIBRARY.values() if kind is not steps.Partitioned
    for parameter in inspect.signature(kind).parameters
} | {"aggregation_filter", "column", "operations", "mode"})  # fmt: skip
GIVEN: Mapping[str, dict[str, Any]] = {  # what a step needs besides the argument that is looked at
    "AggregateByKey": {"key": "k", "time_field": "t", "aggregates": [
        {"name": "n", "column": "x", "operations": ["count"], "windows": ["1h"]}]},
    "BatchHttpRequests": {"url": "http://127.0.0.1:9"}, "ChoiceByField": {"field_name": "k"},
    "CSVSource": {"paths": "/nowhere/a.csv"}, "CSVTarget": {"path": "/nowhere/a.csv"},
    "Deployed": {"name": "nothing"},
    "DateExtractor": {"parts": ["hour"], "timestamp_col": "t"}, "DropColumns": {"columns": ["x"]},
    "DropFeatures": {"features": ["x"]}, "HttpSource": {"url": "http://127.0.0.1:9"}, "Schedule": {"cron": "@daily"},
    "HttpTarget": {"url": "http://127.0.0.1:9"}, "JoinWithTable": {"table": {}, "key": "k"},
    "KafkaSource": {"brokers": "127.0.0.1:9", "topics": "t"}, "KafkaTarget": {"brokers": "127.0.0.1:9", "topic": "t"},
    "MapValues": {"mapping": {"x": {1: 2}}}, "MapWithState": {"initial_state": 0, "fn": "(event, state)"},
    "NatsSource": {"servers": "127.0.0.1:9", "subject": "t"}, "NatsTarget": {"servers": "127.0.0.1:9", "subject": "t"},
    "OneHotEncoder": {"mapping": {"x": [1]}}, "ParquetSource": {"paths": "/nowhere/a.parquet"},
    "ParquetTarget": {"path": "/nowhere/a.parquet"}, "QueryByKey": {"features": ["n_count_1h"], "table": {}},
    "QueueReader": {"queue": "q"}, "QueueWriter": {"queue": "q"}, "Reduce": {"initial_value": 0, "fn": "state"},
    "ReifyMetadata": {"mapping": ["id"]}, "RemoteStep": {"url": "http://127.0.0.1:9"},
    "Rename": {"mapping": {"x": "y"}},
    "SampleWindow": {"window_size": 2}, "SQLSource": {"db_path": "sqlite://", "table_name": "t"},
    "SQLTarget": {"db_path": "sqlite://", "table_name": "t"}, "Validate": {"rules": {"x": {"min": 0}}},
    "Map": {"fn": "event"}, "Filter": {"fn": "event"}, "ForEach": {"fn": "event"}, "FlatMap": {"fn": "[event]"},
    "Extend": {"fn": "event"}, "Partition": {"predicate": "event"}, "Concurrent": {},
}  # fmt: skip

_compiled: list[CodeType] | None = None


def _heard(event: str, details: tuple[Any, ...]) -> None:
    if event == "exec" and _compiled is not None and has_mark(details[0]):
        _compiled.append(details[0])


def has_mark(code: CodeType) -> bool:
    return any(one == MARK or (isinstance(one, CodeType) and has_mark(one)) for one in code.co_consts)


sys.addaudithook(_heard)


THERE = {("AggregateByKey", "key"): "key_field", ("QueryByKey", "key"): "key_field"}  # as MLRun calls arguments


def code_made_by(action: Callable[[], object]) -> list[CodeType]:
    """The code with the mark that came to be meanwhile."""
    global _compiled
    _compiled = []
    try:
        action()
    except (NbgraphError, Exception):  # whether such arguments do is not asked here
        pass
    finally:
        found, _compiled = _compiled, None
    return found


def arguments(kind: str, name: str, value: Any) -> dict[str, Any]:
    return {**GIVEN.get(kind, {}), name: value}


def loaders(kind: str, given: Mapping[str, Any], folder: Path, **options: Any) -> Iterator[Callable[[], Graph]]:
    """One graph of a step, through each of the five loaders."""
    document = {"version": 1, "name": "g", "steps": {"a": {"handler": kind, "arguments": dict(given)}}}
    path = folder / "g.json"
    path.write_text(json.dumps(document))
    named = ", ".join(f"{name}={python_text(value)}" for name, value in given.items())
    theirs = {THERE.get((kind, name), name): value for name, value in given.items()}
    mlrun = {"steps": {"a": {"kind": "task", "class_name": kind, "class_args": theirs}}}
    options = {"namespace": {"b": str}, **options}
    yield lambda: Graph.from_dict(document, **options)
    yield lambda: Graph.from_yaml(json.dumps(document), **options)
    yield lambda: Graph.load(path, **options)
    yield lambda: Graph.parse(f"%%graph g\nb -> {kind}({named})\n", **options)
    yield lambda: Graph.from_mlrun(mlrun, **options)


def declared(kind: str, name: str) -> bool:
    return any(way.split(".")[0] == name for way in expressions_of(LIBRARY[kind]))


def run(graph: Graph) -> None:
    graph.plan()
    if not getattr(graph.plan().steps[graph.steps[-1].name].call.target, "io", ""):
        graph.run({"k": 1, "t": 0, "x": 1})


nested = st.recursive(
    st.just(f"({HARMLESS})"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3),
    max_leaves=4,
)


@pytest.mark.parametrize("kind", STEPS)
@settings(max_examples=12, deadline=None)
@given(value=nested, data=st.data())
def test_no_text_becomes_code_unless_the_step_declares_it(
    kind: str, value: Any, data: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    names = [
        name
        for name, parameter in inspect.signature(LIBRARY[kind]).parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD
        and not declared(kind, name)
        and name not in ("context", "routes")
    ]
    if names:
        given = arguments(kind, data.draw(st.sampled_from(names)), value)
        made = [code_made_by(lambda load=load: run(load())) for load in loaders(kind, given, folder)]  # type: ignore[misc]
        assert made == [[]] * 5


DECLARED = [(kind, way) for kind in STEPS for way in expressions_of(LIBRARY[kind])]


def holding(way: str, text: str) -> Any:
    """The value of an argument that has the text where the declaration says."""
    _, *parts = way.split(".")
    if not parts:
        return text
    return [{"name": "n", "column": "x", "operations": ["count"], "windows": ["1h"], parts[0]: text}]


def without_url(kind: str) -> dict[str, Any]:
    return {name: value for name, value in GIVEN.get(kind, {}).items() if name != "url"}


@pytest.mark.parametrize(("kind", "way"), DECLARED)
def test_what_is_declared_becomes_code(kind: str, way: str, tmp_path: Path) -> None:
    given = {**GIVEN.get(kind, {}), way.split(".")[0]: holding(way, HARMLESS)}
    given = {name: value for name, value in given.items() if name != "url" or way != "url_expression"}
    made = [code_made_by(lambda load=load: load().plan()) for load in loaders(kind, given, tmp_path)]  # type: ignore[misc]
    assert [len(texts) for texts in made] == [1] * 5


HOSTILE = [
    "print('RAN', __import__('os').getuid()) or 1", "open('/etc/passwd')", "event.__class__.__mro__",
    "().__class__.__base__.__subclasses__()", "eval('1')", "(lambda: 1).__globals__", "len.__self__.open('x')",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize(("kind", "way"), DECLARED)
def test_hostile_code_is_refused(kind: str, way: str, text: str, tmp_path: Path) -> None:
    given = {**without_url(kind), way.split(".")[0]: holding(way, text)}
    refused = 0
    for load in loaders(kind, given, tmp_path):
        with pytest.raises(GraphError):
            load()
        refused += 1
    assert refused == 5


RAN = "(print('RAN') or 1)"


class Own(steps.Filter):
    """A user's step that hands a text of its own on."""

    def __init__(self, text: str) -> None:
        super().__init__(text)


def one(**fields: Any) -> dict[str, Any]:
    return {"version": 1, "name": "g", "steps": {"a": fields}}


@pytest.mark.parametrize(
    "document",
    [
        one(handler="ModelRouter", arguments={"routes": {"$dict": [["m1", RAN]]}}),
        one(handler="ModelRouter", arguments={"routes": {"$code": f'{{"m1": "{RAN}"}}'}}),
        one(handler="ModelRouter", arguments={"routes": {"$code": f'dict(m1="{RAN}")'}}),
        one(handler="ModelRouter", arguments={"routes": {"$code": f'[{{"m1": x}} for x in ["{RAN}"]][0]'}}),
        one(handler="ModelRouter", arguments={"routes": {"$dict": [["m1", "helper.__globals__.get"]]}}),
        one(handler="Own", arguments={"text": RAN}),
        one(handler="Own", arguments={"*": [RAN]}),
        one(handler="declared", arguments={"fn": RAN}),
        one(handler="Map", arguments={"fn": {"$code": "Filter"}}),
        one(handler="Map", arguments={"fn": {"$code": "lambda event: Filter(event)"}}),
        one(handler="__loader__.get_data"),
        one(handler="__builtins__.eval"),
        one(handler="open"),
        {**one(handler="str"), "error_stream": {"$code": f'[ForEach(x) for x in ["{RAN}"]][0]'}},
        {**one(handler="str"), "error_stream": {"$code": f'ForEach("{RAN}")'}},
    ],
)
def test_other_ways_to_code_are_closed(document: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    names = {
        "Own": Own, "declared": step(steps.Filter, fn="event"), "helper": one, "open": open, "__name__": "notebook",
        "__loader__": __loader__, "__builtins__": __builtins__,
    }  # fmt: skip
    with pytest.raises(GraphError):
        Graph.from_dict(document, namespace=names if document["steps"]["a"]["handler"] != "open" else None).plan()
    assert capsys.readouterr().out == ""


def test_what_the_shell_put_into_a_notebook_is_not_the_documents() -> None:
    notebook = {"__name__": "__main__", "open": open}
    exec("from nbgraph import Graph\ndef load(document): return Graph.from_dict(document)", notebook)
    with pytest.raises(GraphError, match='"open" is neither defined here'):
        notebook["load"](one(handler="open")).run("/etc/hostname")  # type: ignore[operator]


def test_a_documents_condition_sees_a_name_that_means_something_else_now() -> None:
    names = {"limit": 3}
    document = {
        **one(handler="str"), "edges": [{"source": "a", "target": "b", "when": "int(event) > limit"}],
        "steps": {"a": {"handler": "str"}, "b": {"handler": "len"}},
    }  # fmt: skip
    graph = Graph.from_dict(document, namespace=names)
    first = graph.run(5)
    names["limit"] = 7
    assert (first, graph.run(5)) == (1, None)


IO = [
    "AddFeatures", "BatchHttpRequests", "CSVSource", "CSVTarget", "Deployed", "FeatureTarget", "HttpSource",
    "HttpTarget", "HuggingFaceModel", "KafkaSource",
    "KafkaTarget", "LightGBMModel", "ModelServer", "NatsSource", "NatsTarget", "OnnxModel", "ParquetSource",
    "ParquetTarget", "QueueReader", "QueueWriter", "RemoteStep", "SQLSource", "SQLTarget", "SendToHttp", "SklearnModel",
    "TorchModel", "XGBoostModel",
]  # fmt: skip


@pytest.mark.parametrize("kind", STEPS)
def test_without_io_the_steps_that_reach_outside_are_refused(kind: str, tmp_path: Path) -> None:
    refused = []
    for load in loaders(kind, GIVEN.get(kind, {}), tmp_path, io=False):
        try:
            load()
            refused.append(False)
        except (GraphError, NotLiteralError) as error:
            refused.append(f'"{kind}" works with' in str(error))
    assert refused == [kind in IO] * 5


@pytest.mark.parametrize(
    "table", ['Table(SqliteDriver("a.db"))', "Table(RedisDriver())", 'Cache(SqliteDriver("a.db"))']
)
def test_without_io_a_tables_driver_is_refused(table: str) -> None:
    document = one(handler="JoinWithTable", arguments={"table": {"$code": table}, "key": "k"})
    Graph.from_dict(document, namespace={})
    with pytest.raises(GraphError, match=r"Driver\" works with databases"):
        Graph.from_dict(document, namespace={}, io=False)


def test_without_io_a_class_of_the_namespace_is_refused_too() -> None:
    document = one(handler="Sink", arguments={"path": "a.csv"})
    with pytest.raises(GraphError, match='"Sink" works with files'):
        Graph.from_dict(document, namespace={"Sink": type("Sink", (steps.CSVTarget,), {})}, io=False)


def test_the_command_line_refuses_them_too(tmp_path: Path) -> None:
    path = tmp_path / "g.json"
    path.write_text(json.dumps(one(handler="CSVTarget", arguments={"path": "a.csv"})))
    with pytest.raises(GraphError, match=r'steps.a.handler: "CSVTarget" works with files'):
        load_by_command(path, io=False)


@pytest.mark.parametrize(
    "document",
    [
        {**one(handler="str"), "error_stream": "CSVTarget"},
        {**one(handler="str"), "error_stream": {"$code": 'CSVTarget("errors.csv")'}},
        one(handler="ModelRouter", arguments={"routes": {"m": {"handler": "OnnxModel"}}}),
        one(handler="ModelRouter", arguments={"routes": {"$dict": [["m", "OnnxModel"]]}}),
        one(handler="ModelRouter", arguments={"routes": {"$code": "dict(m=OnnxModel)"}}),
        one(graph=one(handler="CSVTarget", arguments={"path": "a.csv"})),
        one(handler="Map", arguments={"fn": {"$code": 'lambda event: CSVSource("/etc/passwd")'}}),
        one(handler="nbgraph.steps.targets.csv.CSVTarget", arguments={"path": "a.csv"}),
        one(handler="sink"),
        one(handler="declared"),
    ],
)
def test_no_other_way_leads_outside(document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = {"sink": steps.CSVTarget("a.csv"), "declared": step(steps.CSVTarget, path="a.csv")}
    with pytest.raises(GraphError, match=r"works with (files|model files)"):
        Graph.from_dict(document, namespace=names, allow=["nbgraph.steps"], io=False).plan()
