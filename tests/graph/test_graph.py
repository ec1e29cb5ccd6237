"""Building a graph: every way to add, wire, take out and refuse."""

import copy
import pickle
from typing import Any

import pytest

from nbgraph import Graph, GraphError, step


def arrows(graph):
    return [(edge.source, edge.target) for edge in graph.edges]


def clean(text):
    return text.strip()


def test_to_chains_and_takes_the_handlers_names():
    graph = Graph("g")
    graph.to(clean).to(str.upper).to("json.dumps").to("(event + '!')", "shout")
    assert [one.name for one in graph.steps] == ["clean", "upper", "dumps", "shout"]
    assert graph.run(" a ") == '"A"!'


def test_add_step_after_a_list_and_after_the_last():
    graph = Graph("g")
    graph.to(str, "a")
    graph.add_step(str, "b", after="$prev")
    graph.add_step(str, "c", after="a")
    graph.add_step(str, "d", after=["b", "c"])
    assert arrows(graph) == [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]


def test_add_step_between_takes_the_arrow_over_with_its_condition():
    graph = Graph("g")
    graph.to(int, "a").to(str, "b", when="event > 1")
    graph.add_step("(event * 2)", "double", after="a", before="b")
    assert arrows(graph) == [("a", "double"), ("double", "b")]
    assert [graph.run(1), graph.run(2)] == [None, "4"]


def test_add_step_before_only_takes_over_all_arrows():
    graph = Graph("g")
    graph.to(int, "a")
    graph.to(int, "b")
    graph.add_step(str, "end", after=["a", "b"])
    graph.add_step("(event + 1)", "more", before="end")
    assert sorted(arrows(graph)) == [("a", "more"), ("b", "more"), ("more", "end")]


def test_remove_takes_arrows_and_lonely_handlers_along():
    graph = Graph("g")
    graph.to(int, "a").error_handler(str, "caught").to(str, "b").respond()
    graph.remove("a")
    assert ([one.name for one in graph.steps], graph.edges, "a" in graph) == (["b"], (), False)
    graph.remove("b")
    assert (graph.steps, graph.responder) == ((), None)


def test_a_declared_step_keeps_its_options():
    declared = step(clean, input_path="a", result_path="b")
    graph = Graph("g")
    graph.to(declared, "first")
    assert graph.run({"a": " x "}) == {"a": " x ", "b": "x"}


def test_graphs_are_equal_by_their_spec():
    def make():
        graph = Graph("g")
        graph.to(clean).to(str.upper, when="len(event) > 1")
        return graph

    other = make()
    other.to(len)
    assert make() == make()
    assert make() != other


def says(act, *words):
    with pytest.raises(GraphError) as caught:
        act()
    for word in words:
        assert word in str(caught.value)


def test_a_name_twice_an_unknown_name_two_responders_rise_at_once():
    graph = Graph("g")
    first = graph.to(clean)
    says(lambda: graph.to(clean), '"clean" already')
    says(lambda: graph.add_step(str, after="claen"), '"claen"', "Known steps: clean", 'Did you mean "clean"?')
    first.respond()
    says(lambda: first.to(str).respond(), '"clean" already does')
    says(lambda: graph.step("nothing"), '"nothing"')


def test_an_accidental_loop_is_refused_and_a_meant_one_is_not():
    graph = Graph("g")
    first = graph.to(clean)
    second = first.to(str, "second")
    says(lambda: second.to(first), "loop", "cycle_to")
    second.cycle_to("clean", max_iterations=3)
    assert [str(edge.kind) for edge in graph.edges] == ["flow", "cycle"]


def test_before_on_a_graphs_handler_and_a_lonely_otherwise():
    graph = Graph("g")
    says(lambda: graph.error_handler(str, "h", before="x"), "before", "step(name).error_handler")
    graph.to(clean).to(str, "other", otherwise=True)
    assert len(graph.check()) == 1
    assert "otherwise" in graph.check()[0]


def test_all_problems_come_at_once_at_check_and_at_the_first_use():
    graph = Graph("g")
    graph.to("clen").to("sqare").to("json.nothing")
    problems = graph.check()
    assert len(problems) == 3
    assert '"clen"' in problems[0]
    assert 'Did you mean "clean"?' in problems[0]
    with pytest.raises(GraphError) as caught:
        graph.run(1)
    assert caught.value.problems == problems


@pytest.mark.parametrize(
    ("options", "word"),
    [({"retries": -1}, "retries"), ({"concurrency": 0}, "concurrency"), ({"timeout": 0}, "timeout"),
     ({"input_path": "a..b"}, "input_path"), ({"max_iterations": True}, "max_iterations"),
     ({"full_event": True, "input_path": "a"}, "full_event")],
)  # fmt: skip
def test_options_that_can_not_be(options, word):
    says(lambda: Graph("g").to(clean, **options), word)


def test_a_condition_where_events_enter_is_refused():
    says(lambda: Graph("g").to(clean, when="event"), "Filter")


def test_what_is_no_handler():
    class Nothing:
        pass

    for handler, words in [(7, "int 7"), (Nothing, "none of do(body)"), (Nothing(), "expected a function")]:
        graph = Graph("g")
        graph.to(handler, "x")
        says(lambda graph=graph: graph.run(1), words)


def twice(body: int) -> int:
    return body * 2


def larger(body: list[int]) -> bool:
    return body[0] > 4


def cleaned() -> Graph:
    graph = Graph("cleaned", max_iterations=7)
    graph.to(twice).to("Batch", max_events=1).to("(event[0] + 1)", "more", when=larger).respond()
    graph.redacted = {"card"}
    return graph


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda graph: pickle.loads(pickle.dumps(graph))])
@pytest.mark.parametrize(
    "make",
    [
        cleaned,
        lambda: Graph.from_yaml(cleaned().to_yaml(), namespace={"twice": twice, "larger": larger}),
        lambda: Graph.from_yaml("{version: 1, name: g, steps: {a: {handler: str.upper}}}"),
    ],
)
def test_a_copy_is_the_same_graph_and_goes_its_own_way(copied: Any, make: Any) -> None:
    graph = make()
    other = copied(graph)
    same = other == graph, other.scope == graph.scope, other.redacted == graph.redacted
    other.to("str", "stray")
    assert (same, "stray" in graph) == ((True, True, True), False)


def test_a_copied_graph_runs() -> None:
    graph = cleaned()
    graph.run(1)
    copies = [copy.copy(graph), copy.deepcopy(graph), pickle.loads(pickle.dumps(graph))]
    assert [[each.run(3), each.redacted] for each in copies] == [[7, {"card"}]] * 3
