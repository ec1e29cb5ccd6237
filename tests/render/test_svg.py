"""SVG that any page can take, PNG, and what a notebook stores."""

import resource
from xml.etree import ElementTree

import pytest

from nbgraph import Graph
from nbgraph.render import mimebundle, png, svg
from nbgraph.types import EdgeKind
from tests.render.drawings import clean, fraud, nested

HOSTILE = [
    "<b>x</b>", "a:b", "</svg><script>alert(1)</script>", "<lambda>", "🚀 launch", "שלום עולם", "\u202egnp.exe",
    "x" * 10_000, "two\nlines", "nul\0l", "lone \ud800 surrogate", "javascript:alert(1)", '"quoted"', "back\\slash\\N",
    "{a|b}", "&amp;", "graph", "]]>", "--><!--", "%s{}", " ", "\uffff",
]  # fmt: skip


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
