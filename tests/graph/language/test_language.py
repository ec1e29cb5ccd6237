"""The language of the cell."""

from __future__ import annotations

from typing import Any

import pytest

from nbgraph import Graph
from nbgraph.errors import LanguageError
from nbgraph.graph import Code, Edge
from nbgraph.types import EdgeKind


def parse(body: str, **namespace: Any) -> Graph:
    return Graph.parse(f"%%graph g\n{body}", namespace=namespace)


def pairs(graph: Graph) -> list[str]:
    return [f"{edge.source}>{edge.target}" for edge in graph.edges]


def names(graph: Graph) -> list[str]:
    return [step.name for step in graph.steps]


def test_the_whole_language_at_once() -> None:
    graph = parse("""
enrich = Enrich(table=customers, on="card")      # Python: a step with arguments
clean -> enrich -> score                         # an arrow line: wires steps
score -> alert if event["p"] > 0.9               # a condition, real Python over the body
score -> save else
score -> retry -> clean max 3                    # a cycle with its limit
score -> dead_letter on error
* -> catcher on error                            # for the whole graph
save -> Queue("scored") -> report@reporting      # a queue; report runs in the function "reporting"
save -> respond                                  # who answers the caller
""")
    built = Graph("g")
    built.to("clean").to("Enrich", "enrich", table=Code("customers"), on="card").to("score").to(
        "alert", when='event["p"] > 0.9'
    )
    score = built.step("score")
    score.to("save", otherwise=True).respond().to("Queue", "scored").to("report", function="reporting")
    score.to("retry").cycle_to("clean", max_iterations=3)
    score.error_handler("dead_letter")
    built.error_handler("catcher")
    assert graph == built


@pytest.mark.parametrize(
    ("body", "edges"),
    [
        ("a -> [b, c] -> d", ["a>b", "a>c", "b>d", "c>d"]),
        ("[a, b] -> [c, d]", ["a>c", "a>d", "b>c", "b>d"]),
        ("a -> [b,\n  c,  # why\n] -> d", ["a>b", "a>c", "b>d", "c>d"]),
        ("a -> \\\n  b", ["a>b"]),
        ("a ->\n  b", ["a>b"]),
        ("a -> b\n  -> c", ["a>b", "b>c"]),
        ("a\n-> b\n-> c", ["a>b", "b>c"]),
        ("a -> b\n\n-> c", ["a>b"]),
        ("Batch(2) -> Batch(2)", ["Batch>Batch2"]),
        ('Queue("q") -> a -> Queue("r")\nb -> Queue("q")', ["q>a", "a>r", "b>q"]),
        ("(event + 1) -> (event + 1)", ["(event + 1)>(event + 1) 2"]),
        ('"a:b" -> "<lambda>"', ["a:b><lambda>"]),
        ('clean -> step(score, name="a:b", input_path="x") -> "a:b"', ["clean>a:b", "a:b>a:b"]),
        ("str.strip -> str.upper\nupper -> a", ["strip>upper", "upper>a"]),
        ("a -> b if event['t'] == 'x -> y'", ["a>b"]),
        ("-> [c, a]\na -> c", ["a>c"]),
        ("  a -> b\n  b -> c", ["a>b", "b>c"]),
    ],
)
def test_what_arrows_wire(body: str, edges: list[str]) -> None:
    assert pairs(parse(body)) == edges


def test_a_leading_arrow_only_mentions_steps() -> None:
    graph = parse("-> [c, a]\na -> b\n\n-> lonely")
    assert (names(graph), pairs(graph)) == (["c", "a", "b", "lonely"], ["a>b"])


@pytest.mark.parametrize(
    ("ending", "edge"),
    [
        ("", Edge("a", "b")),
        (" if event > 3", Edge("a", "b", "event > 3")),
        (' if event["x"] == " else "', Edge("a", "b", 'event["x"] == " else "')),
        (" if (event\n  > 3)", Edge("a", "b", "(event\n  > 3)")),
        (" if 1 if event else 2", Edge("a", "b", "1 if event else 2")),
        (" else", Edge("a", "b", otherwise=True)),
        (" on error", Edge("a", "b", kind=EdgeKind.ERROR)),
        (" on error ValueError | KeyError", Edge("a", "b", "ValueError | KeyError", kind=EdgeKind.ERROR)),
        (" if event > 3 else", Edge("a", "b", "event > 3", otherwise=True)),
    ],
)
def test_what_is_said_behind_an_arrow(ending: str, edge: Edge) -> None:
    assert parse(f"a -> b{ending}").edges == (edge,)


def test_an_arrow_back_makes_a_cycle_and_max_its_limit() -> None:
    graph = parse("a -> b -> c\nb -> a if event > 3 max 4\nc -> c max 2")
    assert graph.edges[2:] == (Edge("b", "a", "event > 3", kind=EdgeKind.CYCLE), Edge("c", "c", kind=EdgeKind.CYCLE))
    assert [step.options.max_iterations for step in graph.steps] == [None, 4, 2]


def test_a_step_of_several_lines_may_follow_itself() -> None:
    graph = Graph("g")
    graph.to("(event +\n 1)", "a:b").cycle_to("a:b", max_iterations=3)
    assert Graph.parse(graph.source()) == graph


def test_a_handler_that_goes_back_to_the_failed_step_makes_a_cycle() -> None:
    graph = parse("score -> fix on error\nfix -> score max 2")
    assert graph.edges[1] == Edge("fix", "score", kind=EdgeKind.CYCLE)


def test_arguments_are_values_where_they_are_written_out() -> None:
    graph = parse(
        'a = Enrich(1, -2.5, x=[1, (2,)], y={"k": customers}, z=lambda event: event["x"], w=Table(t), v=None)\n-> a'
    )
    assert dict(graph.spec("a").arguments) == {
        "*": [1, -2.5],
        "x": [1, (2,)],
        "y": {"k": Code("customers")},
        "z": Code('lambda event: event["x"]'),
        "w": Code("Table(t)"),
        "v": None,
    }


def test_options_and_arguments_of_a_step() -> None:
    graph = parse(
        'c = step(Enrich(on="x"), input_path="a", retries=3, retry_on=(ValueError, KeyError), function="f")\n-> c'
    )
    spec = graph.spec("c")
    assert (spec.handler, dict(spec.arguments), spec.function) == ("Enrich", {"on": "x"}, "f")
    assert (spec.options.input_path, spec.options.retries, spec.options.retry_on) == ("a", 3, (ValueError, KeyError))


def test_a_queue_is_named_by_its_first_argument() -> None:
    graph = parse('a -> Queue("scored", shards=4) -> b\njobs = Queue("other")\nb -> jobs')
    scored, jobs = graph.spec("scored"), graph.spec("jobs")
    assert (scored.handler, dict(scored.arguments), dict(jobs.arguments)) == ("Queue", {"shards": 4}, {"name": "other"})


def test_routes_are_steps() -> None:
    graph = parse(
        'r = ModelRouter(routes={"m1": SklearnModel(model=m), "m2": double, "m3": step(double, retries=1)})\n-> r'
    )
    routes = graph.spec("r").arguments["routes"]
    assert {name: (route.handler, route.options.retries) for name, route in routes.items()} == {
        "m1": ("SklearnModel", 0),
        "m2": ("double", 0),
        "m3": ("double", 1),
    }


def test_the_header_carries_the_graphs_own_options() -> None:
    graph = Graph.parse("\n%%graph 'my graph' --max-iterations 7 --error-stream 'Queue(\"errors\")'  # why\na -> b")
    assert (graph.name, graph.max_iterations, graph.error_stream) == ("my graph", 7, Code('Queue("errors")'))


@pytest.mark.parametrize(
    ("body", "line", "column", "words"),
    [
        ("a -> b iff x", 2, 8, "found `iff`; expected an arrow `->`, `if`"),
        ("\n\na -> ", 4, 5, "the line ends here; expected a step"),
        ("a -> -> b", 2, 6, "found `->`; expected a step"),
        ("a -> b if", 2, 10, "expected a condition"),
        ("a -> b if event >", 2, 18, "invalid syntax"),
        ("a -> b if event > 3 -> c", 2, 21, "found `->` behind a condition"),
        ("a -> b max x", 2, 12, "found `x`; expected a whole number"),
        ("a -> b if event > 1\na -> c else if event > 2", 3, 8, "found `else if`"),
        ("a -> step(b, retries='3')", 2, 6, 'Step "b" has retries'),
        ("a -> b on eror", 2, 11, "expected `error`"),
        ("a -> [b, c", 2, 6, 'this "[" is never closed'),
        ("a -> []", 2, 6, "found an empty list"),
        ("a -> Batch(10", 2, 11, 'this "(" is never closed'),
        ("a -> Batch(10,,)", 2, 15, "invalid syntax"),
        ("a -> (event +)", 2, 14, "invalid syntax"),
        ("a -> 🙂", 2, 6, "found `🙂`; expected a step (a name that is no identifier stands in quotes)"),
        ("a -> if", 2, 6, "found `if`; expected a step"),
        ("a -> b@", 2, 8, "the name of a function"),
        ("a -> b@x\nc -> b@y", 3, 6, 'step "b" runs in "x"'),
        ("a -> *", 2, 6, "`* -> handler on error`"),
        ("* -> a", 2, 1, "`* -> handler on error`"),
        ("* -> a on error\n* -> b on error", 3, 1, "has an error handler already"),
        ("a -> b on error max 3", 2, 1, "found `max` behind `on error`"),
        ("a -> respond if x", 2, 6, "found more behind `respond`"),
        ("a -> respond -> b", 2, 6, "found more behind `respond`"),
        ("respond -> b", 2, 1, "found `respond` before an arrow"),
        ("a -> b -> respond\na -> respond", 3, 6, '"b" and "a" would both answer'),
        ("-> a if x", 2, 1, "found nothing before the arrow"),
        ("import os", 2, 1, "found `import os`; expected an arrow line"),
        ("a -> b\nx = 1", 3, 1, "found `x = 1`"),
        ("def f():\n    return 1\nf -> b", 2, 1, "found `def f():`"),
        ("if True:\n    a -> b", 3, 5, "inside a block"),
        ("x = Enrich(1)\na -> b", 2, 1, '"x" is declared but no arrow mentions it'),
        ("x = Enrich(1)\nx = Enrich(2)\n-> x", 3, 1, "declared twice"),
        ("x = step(clean, retries=n)\n-> x", 2, 1, "an option is written out"),
        ("x = step(clean, retries=-1)\n-> x", 2, 1, "retries=-1"),
        ('Queue("q") -> Queue("q", shards=2)', 2, 15, "made in another way"),
        ("os.system -> a", 2, 1, "may not import"),
        ("a -> b if __import__('os')", 2, 11, 'calls "__import__"'),
        ('a -> b\na -> Filter(fn="exit()")', 3, 6, 'calls "exit"'),
        ("x -> y = 3", 2, 8, "found `=`"),
    ],
)
def test_wrong_text_is_told_with_its_place(body: str, line: int, column: int, words: str) -> None:
    with pytest.raises(LanguageError) as caught:
        parse(body)
    error = caught.value
    assert ((error.line, error.column), words in str(error)) == ((line, column), True), str(error)


@pytest.mark.parametrize("text", ["a -> b", "", "%%graph\na -> b", "%%graph g h\na -> b", "%%graph g --max 3\na -> b"])
def test_a_wrong_header_is_told(text: str) -> None:
    with pytest.raises(LanguageError) as caught:
        Graph.parse(text)
    assert (caught.value.line, "%%graph NAME" in str(caught.value)) == (1, True)


def test_names_of_the_notebook_are_bound_late() -> None:
    namespace: dict[str, Any] = {}
    graph = Graph.parse("%%graph g\ndouble -> respond", namespace=namespace)
    namespace["double"] = lambda body: body * 2
    assert graph.run(4) == 8


SEVERAL = [
    "[a, b] -> respond",
    "a -> [b, c]\n[b, c] -> respond",
    "start -> [a, b] -> c -> [d, e, f] -> respond",
    "a -> b if event > 3\na -> c else\n[b, c] -> respond",
    "start -> a -> d\nstart -> b\n[d, b, a] -> respond",
    '[a, b] -> respond\nb -> "respond" on error',
    'a -> "respond" -> [b, c] -> respond',
    '[a, b] -> respond\n"respond" -> c',
    '[a, b] -> respond\nc -> "respond"',
]


@pytest.mark.parametrize("body", SEVERAL)
def test_several_before_respond_meet_in_one_step(body: str) -> None:
    graph = Graph.parse(f"%%graph g\n{body}\n", namespace={})
    read = [
        Graph.parse(graph.source(), namespace={}),
        Graph.from_dict(graph.to_dict(), namespace={}),
        Graph.from_yaml(graph.to_yaml(), namespace={}),
    ]
    assert ([each == graph for each in read], read[0].source()) == ([True] * 3, graph.source())


@pytest.mark.parametrize("body", SEVERAL[:3])
def test_they_are_written_as_they_were(body: str) -> None:
    assert Graph.parse(f"%%graph g\n{body}\n", namespace={}).source().split("\n")[-2].endswith("] -> respond")


def test_the_step_where_they_meet_answers_is_drawn_and_traced() -> None:
    graph = Graph.parse("%%graph g\nstart -> [a, b] -> respond\n", namespace={
        "start": lambda body: body, "a": lambda body: body + 1, "b": lambda body: body * 10})  # fmt: skip
    trace = graph.trace(2)
    seen = graph.run(2), list(graph.answers(2)), [frame.step for frame in trace], graph.svg().count(">respond<")
    assert seen == (3, [3, 20], ["start", "a", "respond", "b", "respond"], 1)


@pytest.mark.parametrize(
    ("body", "line", "column", "message"),
    [
        ("clean -> score ->\nscore -> respond", 3, 1, '"score" would follow itself: the line above ends in an arrow'),
        ("clean -> score ->\n  score", 3, 3, '"score" would follow itself'),
        ("clean -> score\n  -> score -> save", 3, 6, '"score" would follow itself'),
        ("clean -> [score, save] -> # both\n  [close, save]", 3, 11, '"save" would follow itself'),
        ("-> score", 2, 1, "found nothing before the arrow; expected a step."),
        ("-> score -> save", 2, 1, "found nothing before the first arrow; expected the step that it leaves."),
        ("a -> respond\nb -> respond\nc -> respond", 3, 6, "both answer; a graph has one responder. Let them meet"),
        ("a -> respond\n[b, c] -> respond", 3, 11, '"a" and "b" and "c" would all answer'),
        ("a >> b", 2, 3, "found `>>`; arrows are `->`: `a -> b` and not `a >> b`."),
        ("a | b | c", 2, 3, "found `|`; arrows are `->`: `a -> b -> c`"),
        ("a → b", 2, 3, "found `→`; arrows are `->`"),
        ("a <- b", 2, 3, "found `<-`; arrows are `->`"),
        ("a => b", 2, 3, "found `=>`; arrows are `->`"),
        ("a - b", 2, 3, "found `-`; arrows are `->`"),
        ("clean >> Batch(10) >> save.it", 2, 7, "`clean -> Batch -> save.it`"),
        ("a -> b >> c", 2, 8, "expected an arrow `->`"),
        ("a --> b", 2, 3, "expected an arrow `->`"),
    ],
)
def test_stray_and_foreign_arrows(body: str, line: int, column: int, message: str) -> None:
    with pytest.raises(LanguageError) as raised:
        Graph.parse(f"%%graph g\n{body}\n", namespace={})
    assert (raised.value.line, raised.value.column, message in str(raised.value)) == (line, column, True), raised.value


@pytest.mark.parametrize(
    "line",
    [
        'again -> ["a:b", (event\n+ 1)]\n["a:b", (event\n+ 1)] -> "a:b" max 3',
        "[a, Extend(\n  lambda body: {})] -> a max 3",
        "[a, b,\n c] -> [a, d] cycle",
        "a@audit -> [b,\n a] max 3",
        "[(\n event), a] -> a max 3  # a\n",
    ],
)
def test_a_step_follows_itself_beside_what_is_written_over_lines(line: str) -> None:
    graph = Graph.parse(f"%%graph g\n{line}\n", namespace={})
    again = Graph.parse(graph.source(), namespace={})
    assert (again == graph, any(edge.source == edge.target for edge in graph.edges)) == (True, True), graph.source()


def test_a_line_may_go_on_after_an_arrow_and_a_step_may_repeat_itself() -> None:
    graph = Graph.parse("%%graph g\na ->\n  b\n  -> c\nc -> c max 3\n", namespace={})
    assert [(edge.source, edge.target) for edge in graph.edges] == [("a", "b"), ("b", "c"), ("c", "c")]
