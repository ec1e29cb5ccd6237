"""What `check()` can know before anything runs; `run` raises the same list at once, before the first event."""

from __future__ import annotations

import functools
import json
import types
from typing import Any

import pytest

from nbgraph import Graph, GraphError, step, steps
from nbgraph.graph import Code
from nbgraph.graph.language.header import Header
from nbgraph.graph.language.language import build
from nbgraph.graph.language.reader import read_cell
from nbgraph.graph.scope import Scope


class Enrich:
    def __init__(self, table: Any, on: str = "id", context: Any = None) -> None:
        self.table = table

    def do(self, body: Any) -> Any:
        return body


class Pair:
    def do(self, left: Any, right: Any) -> Any:
        return left


def two(left: Any, right: Any) -> Any:
    return left


def none() -> None: ...


def clean(body: Any) -> Any:
    return body


def injected(function: Any) -> Any:
    @functools.wraps(function)
    def called(body: Any) -> Any:
        return function(body, 1)

    return called


class Table:
    name = "t"


NAMES: dict[str, Any] = {
    "clean": clean, "Enrich": Enrich, "Pair": Pair, "two": two, "none": none, "df": None, "np": json, "number": 42,
    "wrapped": injected(two), "table": Table(), "customers": {}, "later": 3, "is_big": bool,
}  # fmt: skip


def notebook(text: str, names: dict[str, Any] = NAMES) -> Graph:
    """The graph of a cell's arrow lines, whose names are the notebook's."""
    cell = read_cell(text, 2)
    return build(cell, Header("g"), Scope(names), cell.declarations)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("clean -> df", 'Step "df" has None as its handler; expected a function'),
        ("clean -> np", 'Step "np" has the module json as its handler; name a function in it: json.NAME.'),
        ("clean -> number", 'Step "number" has int 42 as its handler'),
        ("clean -> table.name", "Step \"name\" has str 't' as its handler"),
        ("clean -> table.nam", 'has no "nam"'),
        ("clean -> claen", 'Step "claen": handler "claen" is neither defined here nor a built-in step; define it, or '
         'correct the name. Did you mean "clean"?'),
        ("clean -> Enrich", 'Step "Enrich" can\'t be built: Enrich(table, on="id"): nothing is given for "table"'),
        ("clean -> Enrich(tabel=customers)", 'Step "Enrich" can\'t be built: Enrich(table, on="id") has no argument '
         '"tabel". Did you mean "table"?'),
        ("clean -> Enrich(table=custmers)", 'Step "Enrich", argument "table": "custmers" in `custmers` is not defined '
         'here. Did you mean "customers"?'),
        ("clean -> Batch(max_event=10)", 'Step "Batch" can\'t be built: Batch(max_events=None, '
         'flush_after_seconds=None, key=None) has no argument "max_event". Did you mean "max_events"?'),
        ("clean -> two", 'Step "two" can\'t be called: two(left, right): nothing is given for "right"; a step gets the '
         "body, and what is said beside it: right=..."),
        ("clean -> none", 'Step "none" can\'t be called: none(): it takes no body; a step gets one.'),
        ("clean -> Pair", 'Step "Pair" can\'t be called: Pair.do(left, right): nothing is given for "right"'),
        ("clean -> two(rihgt=1)", 'two(left, right) has no argument "rihgt". Did you mean "right"?'),
        ("clean -> print if evnt > 1", 'The condition of "clean" -> "print": "evnt" in `evnt > 1` is not defined here. '
         'Did you mean "event"?'),
        ("clean -> (evnt + 1)", '"evnt" in `(evnt + 1)` is not defined here. Did you mean "event"?'),
        ('clean -> Filter("evnt > 1")', '"evnt"'),
        ("clean -> c2 on error NoSuchError\nc2 = step(clean)", 'The arrow on error "clean" -> "c2": "NoSuchError" is '
         "no exception that is known here"),
        ("clean -> c2 on error KeyEror\nc2 = step(clean)", 'Did you mean "KeyError"?'),
        ("clean -> c2 on error clean\nc2 = step(clean)", '"clean" is not an exception but'),
        ("clean -> Queue(\"q\", shards=2)", 'Step "q": Queue "q" has 2 shards and no key to spread events by'),
        ("clean -> FixedWindows", 'Step "FixedWindows" has the class FixedWindows as its handler'),
        ('clean -> ModelRouter(routes={"m": Enrich(tabel=customers)})', 'Step "ModelRouter", route "m": can\'t be '
         'built: Enrich(table, on="id") has no argument "tabel"'),
        ("clean -> SampleWindow(window_size=0)", 'Step "SampleWindow": '),
        ('clean -> Batch("x")', "Batch got max_events='x'; expected a whole number"),
        ("clean -> Batch(2.5)", "Batch got max_events=2.5; expected a whole number"),
        ("clean -> ParallelRun()", 'Router "ParallelRun" has no routes; add one'),
        ("clean -> step(ToDataFrame(), full_event=True)", "ToDataFrame works on the body, so full_event=True has"),
        ('clean -> AggregateByKey([FieldAggregator("a", "b", ["summ"], FixedWindows(["1h"]))])', 'no operation "summ"'),
        ('clean -> AggregateByKey([FieldAggregator("a", "b", ["sum"], FixedWindows(["1w"]))])', "is not a duration"),
    ],
)  # fmt: skip
def test_what_can_be_known_is_told(text: str, expected: str) -> None:
    told = notebook(text).check()
    assert [expected in one for one in told] == [True], told


@pytest.mark.parametrize(
    "text",
    [
        "clean -> wrapped", "clean -> two(right=1)", "clean -> Enrich(table=customers)", "clean -> int",
        "clean -> print", "clean -> clean2 if is_big\nclean2 = step(clean)", 'clean -> Filter("len(event) > 1")',
        "clean -> c2 if [x for x in event if x > later]\nc2 = step(clean)", "clean -> json.dumps",
        "clean -> c2 on error ValueError | KeyError\nc2 = step(clean)", 'clean -> Map("(lambda y: y)(1)[0]")',
        'clean -> Enrich(customers, on="a")', "clean -> Map(lambda body: body + later)",
    ],
)  # fmt: skip
def test_what_is_right_is_not_told(text: str) -> None:
    assert notebook(text).check() == []


def test_an_unknown_error_stream_is_told_with_its_name() -> None:
    graph = Graph("g", error_stream="dead")
    graph.to(clean)
    told = 'The error_stream of graph "g": handler "dead" is neither defined here'
    assert [told in one for one in graph.check()] == [True]
    with pytest.raises(GraphError, match=told):
        graph.run(1)


def test_all_is_told_at_once_before_the_first_event() -> None:
    calls: list[Any] = []
    graph = notebook(
        "seen -> Enrich(tabel=customers) -> Batch(max_event=1) -> two\nseen -> df if evnt\n"
        'seen -> h on error NoSuchError\nseen -> Queue("q", shards=2)\nh = step(clean)\n',
        {**NAMES, "seen": calls.append},
    )
    with pytest.raises(GraphError) as raised:
        graph.run(1)
    assert (raised.value.problems, len(raised.value.problems), calls) == (graph.check(), 7, [])


def test_names_of_the_notebook_are_looked_up_there() -> None:
    graph = Graph("g")
    graph.to(step(Enrich, table=Code("nowhere")))
    graph.step("Enrich").to(lambda body: body, "end", when="limit < event")
    assert [one.split('"')[3] for one in graph.check()] == ["table", "end"]


def test_a_graph_inside_is_looked_at_too() -> None:
    inner = Graph("inner")
    inner.to(two)
    outer = Graph("outer")
    outer.to(clean).to(inner)
    assert [one.partition(": ")[0] for one in outer.check()] == ['In the graph "inner"']


@pytest.mark.parametrize(
    ("text", "is_told"),
    [
        ("clean -> score -> clean", True),
        ("clean -> score -> clean max 3", True),
        ("clean -> score -> clean\nscore -> end", True),
        ("clean -> score -> clean if event < 3\nscore -> end else", False),
        ('clean -> Filter("event") -> clean cycle', False),
        ("clean -> score -> clean\nscore -> end on error", False),
        ("clean -> score -> clean\n* -> end on error", False),
        ("clean -> many -> clean", False),
    ],
)
def test_a_cycle_that_nothing_leaves_is_told(text: str, is_told: bool) -> None:
    def many(body: Any) -> Any:
        yield from ()

    names = {"clean": clean, "score": lambda body: body, "end": lambda body: body, "many": many}
    graph = Graph.parse(f"%%graph g\n{text}\n", namespace=names)
    assert [one.startswith("Nothing leaves the cycle") for one in graph.check()] == [True] * is_told


def test_a_second_beginning_is_told_where_nothing_joins_it() -> None:
    apart = Graph.parse("%%graph g\nclean -> score\nsave -> alert\n", namespace=dict.fromkeys(
        ["clean", "score", "save", "alert"], clean))  # fmt: skip
    joined = Graph.parse(
        "%%graph g\n[clean, save] -> alert\n", namespace=dict.fromkeys(["clean", "save", "alert"], clean)
    )
    assert ([one[:34] for one in apart.check()], joined.check()) == (['Events enter at "clean" and at "sa'], [])


def test_what_a_removed_step_leaves_without_an_arrow_is_told() -> None:
    def chain() -> Graph:
        graph = Graph("g")
        graph.to(clean, "a").to(clean, "b").to(clean, "c")
        return graph

    graph, first, mended = chain(), chain(), chain()
    graph.remove("b")
    first.remove("a")
    mended.remove("b")
    mended.step("a").to(mended.step("c"))
    told = 'Step "c" gets events as they enter the graph, since "b", which led to it, was removed'
    assert ([one.partition(";")[0] for one in graph.check()], first.check(), mended.check()) == ([told], [], [])


def test_a_condition_that_is_a_function_takes_the_body() -> None:
    graph = Graph("g")
    graph.to(clean).to(clean, "a", when=two)
    graph.step("clean").to(clean, "b", when=is_large)
    graph.step("clean").to(clean, "c", when="two", otherwise=False)
    assert [one.partition(": ")[2].partition(":")[0] for one in graph.check()] == ["two(left, right)"] * 2


def is_large(body: Any, limit: int = 3) -> bool:
    return bool(body > limit)


def test_what_only_shows_when_graphs_inside_are_steps_is_told() -> None:
    inner, ring = Graph("inner"), Graph("ring")
    inner.to(clean)
    ring.to(ring, "again")
    outer = Graph("outer")
    outer.to(inner, "inside", retries=2)
    assert ([each.check()[0][:33] for each in (outer, ring)]) == [
        'Step "inside" is a graph and has ', 'Graph "ring" -> "ring" contains i'
    ]  # fmt: skip


def test_a_module_is_no_handler_in_python_either() -> None:
    graph = Graph("g")
    graph.to(types, "t")
    with pytest.raises(GraphError, match='Step "t" has the module types as its handler'):
        graph.run(1)


def test_a_trial_builds_nothing_that_reaches_outside() -> None:
    built: list[int] = []

    class Own(steps.Map):
        def __init__(self) -> None:
            built.append(1)

    graph = Graph("g")
    graph.to(Own)
    assert (graph.check(), built) == ([], [])
