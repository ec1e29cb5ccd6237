"""Random graphs go through every text form and come back the same."""

from __future__ import annotations

import contextlib
import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nbgraph import Graph, GraphError
from nbgraph.graph import Code, Step, step
from nbgraph.graph.edge import WHOLE_GRAPH
from nbgraph.types import EdgeKind


def clean(body: Any) -> Any:
    return body


def is_big(body: Any) -> bool:
    return bool(body > 3)


class Enrich:
    def __init__(self, table: Any = None) -> None:
        self.table = table


class OddError(Exception):
    pass


NAMESPACE = {"clean": clean, "is_big": is_big, "Enrich": Enrich, "OddError": OddError}
ODD_NAMES = [
    "a:b", "<lambda>", "<b>x</b>", "respond", "if", "max", "on", "é", "ﬁ", "🙂", 'say "x"', "back\\slash", "two\nlines",
    "a.b", "(event + 1)", "Queue", "step", "Graph", "Batch", "Batch2", "x -> y", "# x", " ",
    "null", "1", "%%graph", "@",
]  # fmt: skip
plain_names = st.from_regex(r"[a-z]{1,3}", fullmatch=True)
other_names = st.text(min_size=1, max_size=4).filter(lambda name: "(" not in name and "." not in name)
names = st.one_of(plain_names, st.sampled_from(ODD_NAMES), other_names)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=3), st.dates(),
    st.datetimes(timezones=st.just(datetime.UTC) | st.none()), st.timedeltas(), st.decimals(), st.complex_numbers(),
    st.sampled_from(["customers", "3", "a  + b", "F(x, y=[1])", "[a, 1]", '"x"', "(\n a)"]).map(Code), st.just(clean),
)  # fmt: skip
hashable = st.one_of(st.integers(), st.text(max_size=3), st.booleans())
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=2).map(tuple),
        st.dictionaries(hashable, inner, max_size=2),
        st.dictionaries(st.sampled_from(["$code", "$tuple", "a"]), inner, max_size=2),
        st.sets(hashable, max_size=3),
        st.frozensets(hashable, max_size=3),
    ),
    max_leaves=5,
)
argument_names = st.sampled_from(["table", "on", "key", "class", "a b", "ﬁ", "shards", "*"])
arguments = st.dictionaries(argument_names, values, max_size=3).map(
    lambda given: {key: [value] if key == "*" else value for key, value in given.items()}
)
options = st.fixed_dictionaries(
    {},
    optional={
        "input_path": st.sampled_from(["a", "a.b"]),
        "result_path": st.just("c d.e"),
        "max_iterations": st.integers(1, 9),
        "concurrency": st.integers(1, 9),
        "ordered": st.booleans(),
        "retries": st.integers(0, 3),
        "retry_on": st.sampled_from([(ValueError, OddError), (KeyError,), (Exception,), ()]),
        "timeout": st.sampled_from([1, 0.5]),
        "function": st.sampled_from(["audit", "a function"]),
    },
)
handlers = st.sampled_from(
    [
        clean,
        Enrich,
        str.strip,
        len,
        lambda event: event,
        "clean",
        "Queue",
        "Batch",
        "Enrich",
        "(event + 1)",
        "( event['x'] )",
        "(event\n+ 1)",
        "weird one",
        "class",
    ]
)
conditions = st.sampled_from(
    [
        "event # x",
        "event['x'] if event else 0",
        is_big,
        "event > 3",
        'event["x"] == " -> "',
        'event["a"] == " max 3"',
        "event  ==  1",
        " event ",
        '"text"',
        "(event\n> 3)",
    ]
)


@st.composite
def steps(draw: Any, name: str) -> Step:
    handler = draw(st.one_of(st.just(name), handlers))
    declared = step(handler, name, **draw(options))
    given = draw(arguments) if handler not in (name, clean, len) else {}
    if draw(st.integers(0, 9)) == 0:
        given["routes"] = {
            "m1": step("Enrich", "m1", table=Code("t")),
            "m 2": step(clean, "m 2"),
            "m3": step("other", "m3", retries=1),
        }
    return Step(name, declared.handler, given, declared.function, declared.options)


@st.composite
def graphs(draw: Any, depth: int = 1) -> Graph:
    stream = draw(
        st.sampled_from([None, "errors", "a b", '"x"', "-x", "f(x)", Code("errors"), Code('Queue("errors")'), clean])
    )
    graph = Graph(draw(names), draw(st.sampled_from([100, 3])), stream)
    used = draw(st.lists(names.filter(lambda name: name != "*"), min_size=1, max_size=6, unique=True))
    for name in used:
        if depth and draw(st.integers(0, 9)) == 0:
            graph.place(Step(name, draw(graphs(depth=0))))
        else:
            graph.place(draw(steps(name)))
    for _ in range(draw(st.integers(0, 9))):
        connect(graph, draw, used)
    if draw(st.booleans()):
        graph.respond(draw(st.sampled_from(used)))
    return graph


def connect(graph: Graph, draw: Any, used: list[str]) -> None:
    source, target = draw(st.sampled_from(used)), draw(st.sampled_from(used))
    kind = draw(st.sampled_from([EdgeKind.FLOW, EdgeKind.FLOW, EdgeKind.FLOW, EdgeKind.CYCLE, EdgeKind.ERROR]))
    if kind is EdgeKind.ERROR and any(edge.is_error and edge.source == source for edge in graph.edges):
        return
    if kind is EdgeKind.ERROR and draw(st.booleans()) and not any(edge.source == WHOLE_GRAPH for edge in graph.edges):
        source = WHOLE_GRAPH
    when = (
        draw(st.none() | conditions)
        if kind is not EdgeKind.ERROR
        else draw(st.sampled_from([None, "ValueError | OddError"]))
    )
    with contextlib.suppress(GraphError):  # it would be a loop
        graph.connect(source, target, when=when, otherwise=draw(st.booleans()) and when is None, kind=kind)


relaxed = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    report_multiple_bugs=False,
)
ALLOW = ["a"]  # of a.b


@given(graphs())
@relaxed
def test_a_dict_comes_back(graph: Graph) -> None:
    document = graph.to_dict()
    again = Graph.from_dict(json.loads(json.dumps(document, allow_nan=False)), namespace=NAMESPACE, allow=ALLOW)
    assert (again == graph, again.to_dict(), list(again.to_dict()["steps"])) == (
        True,
        document,
        list(document["steps"]),
    )


@given(graphs())
@relaxed
def test_yaml_comes_back(graph: Graph) -> None:
    text = graph.to_yaml()
    again = Graph.from_yaml(text, namespace=NAMESPACE, allow=ALLOW)
    assert (again == graph, again.to_yaml()) == (True, text)


@given(graphs())
@relaxed
def test_the_language_comes_back(graph: Graph) -> None:
    text = graph.source()
    again = Graph.parse(text, namespace=NAMESPACE, allow=ALLOW)
    assert (again == graph, again.source()) == (True, text), text
    assert [one.name for one in again.steps] == [one.name for one in graph.steps], text
    assert again.to_dict().get("edges") == graph.to_dict().get("edges"), text


@pytest.mark.parametrize("ending", ["json", "yaml"])
def test_a_byte_order_mark_is_no_part_of_a_text(ending: str, tmp_path: Path) -> None:
    graph = Graph.parse("\ufeff%%graph g\n-> [upper]\n", namespace={"upper": str.upper})
    path = graph.save(tmp_path / f"g.{ending}")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    read = [
        Graph.load(path, namespace={}),
        Graph.from_yaml("\ufeff" + graph.to_yaml(), namespace={}),
        Graph.from_mlrun("\ufeffsteps: {upper: {kind: task, handler: upper}}", namespace={}),
    ]
    assert [len(each.steps) for each in read] == [1, 1, 1]
