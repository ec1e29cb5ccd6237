"""The picture of a graph: DOT compared with saved files, SVG that any page can bear, PNG, an outline in words."""

import resource
from pathlib import Path
from xml.etree import ElementTree

import pytest

from nbgraph import Graph
from nbgraph.render import digraph, mimebundle, outline, png, svg, view
from nbgraph.render.collapse import foldable, folded
from nbgraph.types import EdgeKind

HERE = Path(__file__).parent
HOSTILE = [
    "<b>x</b>", "a:b", "</svg><script>alert(1)</script>", "<lambda>", "🚀 launch", "שלום עולם", "\u202egnp.exe",
    "x" * 10_000, "two\nlines", "nul\0l", "lone \ud800 surrogate", "javascript:alert(1)", '"quoted"', "back\\slash\\N",
    "{a|b}", "&amp;", "graph", "]]>", "--><!--", "%s{}", " ", "\uffff",
]  # fmt: skip


def clean(body):
    return body


class Enrich:
    def __init__(self, table, on):
        self.table, self.on = table, on

    def do(self, body):
        return body


def fraud() -> Graph:
    graph = Graph("fraud")
    score = graph.to(clean).to(Enrich, "enrich", table={}, on="card").to("ModelRouter", "score")
    score.add_route("m1", "SklearnModel", model="a.skops").add_route("m2", "OnnxModel")
    score.to(print, "alert", when="event['p'] > 0.9")
    score.to(clean, "save", otherwise=True).respond().to("Queue", "scored", shards=16).to(
        clean, "report", function="reporting"
    ).to("ParquetTarget", "lake", path="x.parquet", function="reporting")
    score.to(clean, "retry", when="event['p'] is None").cycle_to("clean", max_iterations=3)
    score.error_handler(clean, "dead_letter")
    return graph.error_handler(print, "catcher")


def nested() -> Graph:
    inner = Graph("inner")
    inner.to(str.strip).to(str.upper).respond()
    graph = Graph("outer")
    graph.to(clean).to(inner, "tidy").to(len).respond()
    return graph


def saved(name: str, text: str) -> str:
    """The saved file; it is written when it is missing, so that a change is made by deleting it and looking."""
    path = HERE / name
    if not path.exists():
        path.write_text(text)
        pytest.fail(f"{path.name} was missing and is written now; look at it and run again")
    return path.read_text()


@pytest.mark.parametrize("graph", [fraud(), nested()], ids=["fraud", "nested"])
def test_the_dot_is_the_saved_one(graph):
    assert digraph(graph).source == saved(f"{graph.name}.dot", digraph(graph).source)


def test_the_outline_says_everything_in_words():
    assert outline(fraud(), status={"clean": "done"}) == saved("fraud.txt", outline(fraud(), status={"clean": "done"}))


def test_a_line_or_a_step_has_its_id_class_and_status():
    root = ElementTree.fromstring(svg(fraud(), status={"score": "failed"}, prefix="p"))
    groups = {group.get("id"): group.attrib for group in root.iter("{http://www.w3.org/2000/svg}g") if group.get("id")}
    assert (groups["p-n2"], groups["p-e4"]["class"]) == (
        {"id": "p-n2", "class": "node router", "data-step": "n2", "data-status": "failed"},
        "edge flow",
    )


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_name_is_only_text(name):
    graph = Graph(name)
    graph.to(clean, name, function=name).to("ModelRouter", f"{name}2").add_route(name, name)
    graph.step(f"{name}2").to(clean, f"{name}3", when=f"event == {name!r}")
    graph.error_handler(clean, f"{name}4")
    root = ElementTree.fromstring(svg(graph))
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    drawn = {"svg", "style", "rect", "g", "title", "text", "path", "polygon", "polyline"}
    links = [key for element in root.iter() for key in element.attrib if "href" in key or key.startswith("on")]
    assert (tags - drawn, links, png(graph)[1:4]) == (set(), [], b"PNG")


def test_a_long_name_is_cut_and_whole_in_the_title():
    graph = Graph("long")
    graph.to(clean, "x" * 300)
    picture = svg(graph)
    assert f">{'x' * 31}…</text>" in picture
    assert f"<title>{'x' * 300}: clean()</title>" in picture


def test_names_stand_in_the_picture_as_they_are():
    graph = Graph("names")
    for name in ("<lambda>", "a:b", "back\\slash\\N", "🚀 launch", "&amp;"):
        graph.to(clean, name)
    texts = [text.text for text in ElementTree.fromstring(svg(graph)).iter("{http://www.w3.org/2000/svg}text")]
    assert {"<lambda>", "a:b", "back\\slash\\N", "🚀 launch", "&amp;"} <= set(texts)


def test_top_to_bottom():
    assert "rankdir=TB" in digraph(fraud(), direction="TB").source


def test_a_notebook_gets_picture_pixels_and_words():
    bundle = mimebundle(nested(), status={"tidy": "done"})
    assert (bundle["image/svg+xml"][:4], bundle["image/png"][1:4], bundle["text/plain"].splitlines()[0]) == (
        "<svg", b"PNG", "Graph outer: 3 steps, len answers",
    )  # fmt: skip


def test_an_empty_graph_and_one_that_holds_itself_are_drawn():
    loop = Graph("loop")
    loop.to(loop, "me")
    assert svg(Graph("empty")).startswith("<svg ")
    assert svg(loop).startswith("<svg ")


def processor_seconds() -> float:
    """Of this process and the layout engine's: what a busy machine does not change much."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def test_large_graphs_are_drawn_in_time():
    def seconds(count: int) -> float:
        graph = Graph(f"chain{count}")
        ref = graph.to(len, "s0")
        for number in range(1, count):
            ref = ref.to(len, f"s{number}")
        graph.connect(f"s{count - 1}", f"s{count - 9}", kind=EdgeKind.CYCLE)
        begin = processor_seconds()
        svg(graph)
        return processor_seconds() - begin

    svg(Graph("warm"))
    # goals: 0.04 and 0.4 s on a quiet machine; twice that is allowed here
    assert (seconds(100) < 0.08, seconds(1000) < 0.8) == (True, True)


def test_functions_and_inner_graphs_are_folded_into_one_node():
    graph = fraud()
    graph.step("clean").to(nested(), "all")
    shown = folded(view(graph), foldable(view(graph)))
    assert [(node.label, node.sublabel) for node in shown.nodes if node.kind in ("fold", "graph")] == [
        ("reporting", "2 steps"), ("all", "graph of 3 steps"),
    ]  # fmt: skip
    assert (shown.ids["lake"], shown.ids["all/tidy/strip"]) == ("fold0", shown.ids["all"])
    assert [line.kind for line in shown.lines if line.target == "fold0"] == ["flow"]


def test_a_router_is_folded_without_its_routes():
    graph = Graph("g")
    graph.to("ModelRouter", "models").add_route("m1", len).add_route("m2", str)
    (router,) = folded(view(graph), foldable(view(graph))).nodes
    assert (router.label, router.sublabel, router.routes) == ("models", "2 routes", ())
